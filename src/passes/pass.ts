import type { Dialect, Model, Node, NodeId, ValueId } from '../ir/model.ts';

/** An option of a pass: its form field, its command-line flag and its recipe key all come from this. */
export type PassOption = {
  readonly name: string;
  readonly title: string;
  readonly unit?: string;
  /** Formats it means something for; the others ignore it. All of them when absent. */
  readonly dialects?: readonly Dialect[];
} & (
  | {
      readonly type: 'number' | 'integer';
      readonly default: number;
      readonly min: number;
      readonly max: number;
    }
  | { readonly type: 'boolean'; readonly default: boolean }
  | { readonly type: 'choice'; readonly default: string; readonly choices: readonly string[] }
  /** Free text; `example` shows its form where a person types it. */
  | { readonly type: 'text'; readonly default: string; readonly example: string }
);

export type OptionValue = number | boolean | string;
export type OptionValues = Readonly<Record<string, OptionValue>>;

/** Range of one tensor over the calibration samples. */
export interface ObservedRange {
  readonly min: number;
  readonly max: number;
}

/** How often numbers fell into each of the equal bins between `min` and `max`. */
export interface Histogram extends ObservedRange {
  readonly counts: Float64Array;
}

/**
 * Moments of the vectors that a layer's weights meet: rows of its input, or the patches under a convolution's window,
 * padding included. Elements are in the order in which the weight stores the inputs of one output. A convolution in
 * groups has one set per group, one after another (a depthwise one: per channel); other layers have one group.
 */
export interface InputMoments {
  readonly groups: number;
  /** Elements per vector. */
  readonly size: number;
  /** Vectors seen, per group. */
  readonly count: number;
  /** `groups` x `size`. */
  readonly mean: Float64Array;
  /** Mean of x xT, `groups` x `size` x `size`, row-major. */
  readonly gram: Float64Array;
}

/**
 * Moments of what a layer reads now, and with what the layer in whose place it stands reads at the same positions:
 * all that a least-squares repair needs.
 */
export interface CrossMoments extends InputMoments {
  /** Elements per vector of the reference. */
  readonly referenceSize: number;
  /** `groups` x `referenceSize`. */
  readonly referenceMean: Float64Array;
  /** Mean of x_ref xT, `groups` x `referenceSize` x `size`, row-major. */
  readonly cross: Float64Array;
}

/** Moments of a value over everything but one axis, one number per index of that axis. */
export interface ChannelMoments {
  readonly count: number;
  readonly mean: Float64Array;
  readonly variance: Float64Array;
  readonly min: Float64Array;
  readonly max: Float64Array;
}

/** What one pass over the data is to tell of a model. */
export interface SurveyPlan {
  readonly ranges: readonly ValueId[];
  readonly channels: readonly ValueAxis[];
  /** Layers whose input moments are wanted; large feature maps are sampled more thinly than by `moments`. */
  readonly moments: readonly NodeId[];
  /**
   * Moments of layers, and means and variances of channels, come from this many samples; extremes from all of them, where
   * zero counts as seen behind a rectifier.
   */
  readonly few: number;
}

export interface Survey {
  readonly ranges: ReadonlyMap<ValueId, ObservedRange>;
  readonly channels: ReadonlyMap<ValueId, ChannelMoments>;
  readonly moments: ReadonlyMap<NodeId, InputMoments>;
}

export interface LayerPair {
  readonly reference: NodeId;
  readonly current: NodeId;
}

export interface ValueAxis {
  readonly value: ValueId;
  readonly axis: number;
}

/** What passes may ask of an inference runtime; the engine provides it. */
export interface Calibrator {
  /** Where the samples come from, for reports: a dataset's path, or "seeded random inputs". */
  readonly source: string;
  readonly samples: number;
  /**
   * Minimum and maximum of each float value of the main graph over all samples, computed inside the runtime; with a
   * momentum, the exponential moving average of the minima and maxima of batches.
   */
  ranges(
    model: Model,
    values: readonly ValueId[],
    momentum?: number,
  ): Promise<ReadonlyMap<ValueId, ObservedRange>>;
  /** Counts of the same values between `ranges`, in a second pass over the data; values without a finite range are absent. */
  histograms(
    model: Model,
    values: readonly ValueId[],
    ranges: ReadonlyMap<ValueId, ObservedRange>,
  ): Promise<ReadonlyMap<ValueId, Histogram>>;
  /**
   * Input moments of layers that `multiplyLayerOf` describes. Large feature maps are sampled on a grid; layers whose
   * vectors are too long, and other layers, are absent.
   */
  moments(
    model: Model,
    layers: readonly NodeId[],
    /** At most so many samples, where fewer tell enough. */
    samples?: number,
  ): Promise<ReadonlyMap<NodeId, InputMoments>>;
  /**
   * Runs both models on the same samples and compares the inputs of paired layers, by the id of the current one. The
   * two must have the same inputs; paired layers the same kind, groups, window and output positions, otherwise they
   * are absent.
   */
  crossMoments(
    reference: Model,
    current: Model,
    pairs: readonly LayerPair[],
  ): Promise<ReadonlyMap<NodeId, CrossMoments>>;
  /** Moments per index of an axis; values that are not float, or do not have that axis, are absent. */
  channels(model: Model, values: readonly ValueAxis[]): Promise<ReadonlyMap<ValueId, ChannelMoments>>;
  /** Ranges, channels and moments of one model together, for little more than the price of the inferences. */
  survey?(model: Model, plan: SurveyPlan): Promise<Survey>;
}

export interface PassContext {
  /** Only these layers, when given. */
  readonly layers?: ReadonlySet<NodeId>;
  /** Present when the pass requires calibration, or takes it and there are data. */
  readonly calibrator?: Calibrator;
  readonly seed: number;
  /** Reports progress (0..1) and lets a cancellation through: throws `KerfError('cancelled')`. */
  step(fraction: number, message: string): Promise<void>;
}

export interface PassResult {
  readonly model: Model;
  /** Ids of layers changed, added or removed; empty when the model is the same value or only lost unused constants. */
  readonly changed: readonly NodeId[];
  /** One-line remarks for the report: what was left out and why. */
  readonly notes: readonly string[];
}

/** A transformation, declared once; every surface (menu, palette, form, CLI, recipe, tool) reads this. */
export interface Pass {
  readonly id: string;
  readonly title: string;
  /** One sentence for a person who is choosing. */
  readonly summary: string;
  /** Dialects it works on; `refusal` says in one line why it cannot work on the other. */
  readonly dialects: readonly Dialect[];
  readonly refusal?: string;
  /** Whether results stay the same up to floating-point rounding. */
  readonly exact: boolean;
  /** `optional`: works without data, and better with them. */
  readonly calibration: 'none' | 'optional' | 'required';
  /** True when a runtime may run the result more slowly: surfaces time it before and after, and warn. */
  readonly mayBeSlower?: boolean;
  readonly options: readonly PassOption[];
  /** Whether the pass can do something to this node on its own; absent when it only makes sense for whole models. */
  appliesTo?(node: Node, model: Model): boolean;
  run(model: Model, options: OptionValues, context: PassContext): Promise<PassResult>;
}

/** One step of a recipe: deterministic, so replaying it gives the same bytes. */
export interface RecipeStep {
  readonly pass: string;
  readonly options?: OptionValues;
  readonly layers?: readonly NodeId[];
  /** Dataset path the step was calibrated with. */
  readonly data?: string;
  /** Numbers for free dimensions while calibrating, by name; the others are 1. */
  readonly bind?: Readonly<Record<string, number>>;
  readonly seed?: number;
}
