import type { NodeId } from '../../ir/model.ts';
import type { RecipeStep } from '../../passes/pass.ts';
import type { SensitivityFigures } from '../report.ts';
import type { KeepOut } from './keepOut.ts';

/** A layer under one scheme, by itself. */
export interface MixedOption {
  readonly scheme: string;
  /** Signal to noise of the outputs, dB; null where nothing changes. */
  readonly sqnrDb: number | null;
  /** Bytes that the file grows by; negative where it shrinks. */
  readonly bytes: number;
  /** Milliseconds that the device's estimate grows by; null when unknown. */
  readonly latencyMs: number | null;
}

export interface MixedLayer {
  readonly id: NodeId;
  readonly name: string;
  readonly op: string;
  /** The first one keeps the layer as it is. */
  readonly options: readonly MixedOption[];
  readonly chosen: string;
}

export interface MixedPoint {
  readonly fileBytes: number;
  readonly latencyMs: number | null;
  /** If the layers' errors add up like independent noise; null for none. */
  readonly predictedSqnrDb: number | null;
  /** How many layers take each scheme. */
  readonly counts: Readonly<Record<string, number>>;
}

export interface MixedCheck extends SensitivityFigures {
  readonly fileBytes: number;
  /** Percentage points of accuracy, or of agreement without labels, against the original. */
  readonly drop: number;
}

export type MixedBudget =
  | { readonly kind: 'size'; readonly bytes: number }
  | { readonly kind: 'latency'; readonly ms: number }
  | { readonly kind: 'accuracy'; readonly drop: number };

export interface MixedReport {
  readonly budget: MixedBudget;
  readonly schemes: readonly string[];
  readonly data: string;
  /** Where the plan was checked: on samples that nothing was chosen by, where there are some. */
  readonly heldOut: boolean;
  readonly original: {
    readonly fileBytes: number;
    readonly latencyMs: number | null;
    readonly top1?: number;
  };
  readonly layers: readonly MixedLayer[];
  /** From the smallest to the most accurate; some of many. */
  readonly frontier: readonly MixedPoint[];
  /** Whether the frontier is all there is, or cut to a resolution. */
  readonly exact: boolean;
  readonly chosen: MixedPoint | null;
  readonly measured: MixedCheck | null;
  readonly keepOut: readonly KeepOut[];
  readonly recipe: readonly RecipeStep[];
  readonly inferences: number;
  readonly seconds: number;
  readonly notes: readonly string[];
  readonly out: string | null;
}
