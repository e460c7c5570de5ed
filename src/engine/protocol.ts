import type { InspectReport, ApplyReport, DiffReport, NodeDetails } from './answers.ts';
import type { LayerCost, MemoryPlan } from '../analysis/report.ts';
import type { TensorStatistics } from '../analysis/statistics.ts';
import type { EstimateReport, LayerEstimate } from '../devices/estimate.ts';
import type { WeightStatistics } from '../analysis/weightSurvey.ts';
import type { DeviceProfile } from '../devices/profile.ts';
import type { TextForm } from '../formats/text/form.ts';
import type { Damage, ErrorReason } from '../ir/errors.ts';
import type { Dialect } from '../ir/model.ts';
import type { MixedBudget, MixedReport } from '../optimize/mixed/report.ts';
import type { Candidate, OptimizeReport, SensitivityReport } from '../optimize/report.ts';
import type { OptionValue, OptionValues, Pass, PassOption, RecipeStep } from '../passes/pass.ts';
import type { BudgetUse } from '../rules/budget.ts';
import type { CheckConfig } from '../rules/configured.ts';
import type { Budget, Finding, Fix, Rule } from '../rules/rule.ts';
import type { BenchReport, EvalReport } from '../runtime/measure/reports.ts';
import type { SpeedReport } from '../runtime/measure/speed.ts';
import type { AuditReport } from './audit/report.ts';
import type { Shipped } from './shipping/shipped.ts';
import type { GraphView } from './view.ts';
import type { ChannelMap, LayerSparsity, TensorPage } from './weights/reports.ts';

// What callers need to name; the page imports types from here and from `view.ts` only.
export type {
  AuditReport,
  BenchReport,
  BudgetUse,
  Candidate,
  ChannelMap,
  DeviceProfile,
  EstimateReport,
  EvalReport,
  Finding,
  Fix,
  LayerCost,
  LayerEstimate,
  MemoryPlan,
  MixedBudget,
  MixedReport,
  OptimizeReport,
  OptionValue,
  OptionValues,
  PassOption,
  RecipeStep,
  SensitivityReport,
  Shipped,
  SpeedReport,
  TensorStatistics,
  TextForm,
};

/** A model value held by the engine. Handles are content-addressed: the same file and steps give the same handle. */
export type Handle = string;

export interface Opened {
  readonly handle: Handle;
  readonly format: Dialect;
  readonly damage: readonly Damage[];
}

/** What a team agreed on, for the findings of one model; `file` is the model's name as suppressions have it. */
export interface Checks extends CheckConfig {
  readonly file: string;
}

/** The declaration of a pass, without what runs it. */
export type PassInfo = Omit<Pass, 'run' | 'appliesTo'>;

/** The declaration of a rule, without what runs it. */
export type RuleInfo = Omit<Rule, 'check'>;

export interface BenchOptions {
  readonly runs?: number;
  readonly warmup?: number;
  readonly threads?: number;
  readonly provider?: string;
  readonly data?: string;
  /** Sizes of free dimensions, by symbol. */
  readonly bind?: Bindings;
}

type Bindings = Readonly<Record<string, number>>;

/**
 * Everything the engine does. One entry per call: parameters and result. Request, response, client and server types
 * derive from this interface; there is no second list.
 */
export interface EngineApi {
  open(p: { path: string; steps?: readonly RecipeStep[] }): Opened;
  release(p: { handle: Handle }): null;
  /** Applies one more step to a model; the result is a new handle. */
  apply(p: { handle: Handle; step: RecipeStep }): { handle: Handle; report: ApplyReport };
  save(p: { handle: Handle; path: string }): { fileBytes: number };
  inspect(p: { handle: Handle; bind?: Bindings; sparsity?: boolean }): InspectReport;
  /** Findings on nodes are those that `checks` leaves; all of them without it. */
  graph(p: {
    handle: Handle;
    device?: string;
    graph?: number;
    checks?: Checks;
    /** False leaves the columns of findings empty, so that the picture need not wait for the rules. */
    marks?: boolean;
  }): GraphView;
  /** `brief`: without passes and findings, which look at the whole model the first time they are asked for. */
  node(p: { handle: Handle; id: string; device?: string; checks?: Checks; brief?: boolean }): NodeDetails;
  layers(p: { handle: Handle }): { layers: readonly LayerCost[]; memory: MemoryPlan | null };
  tensor(p: { handle: Handle; graph?: number; value: string }): TensorStatistics;
  /** Some elements of a constant, as many as a page holds at most. */
  tensorPage(p: { handle: Handle; graph?: number; value: string; offset: number; count: number }): TensorPage;
  /** Means of a constant over its channels: a picture of it, not its values. */
  channels(p: { handle: Handle; graph?: number; value: string; axis?: number }): ChannelMap;
  /** Writes a constant as `.npy`. */
  exportTensor(p: { handle: Handle; graph?: number; value: string; path: string }): { bytes: number };
  /** Share of zeros in the weights of each layer; reads every weight once. */
  sparsity(p: { handle: Handle }): LayerSparsity;
  /** Statistics of every stored tensor, in one pass over the bytes. */
  weights(p: { handle: Handle }): { weights: readonly WeightStatistics[] };
  text(p: { handle: Handle }): TextForm;
  /** Layers of an ONNX model, or all of them, in ONNX's own text syntax. Throws `KerfError('unsupported')` for TFLite. */
  onnxText(p: { handle: Handle; layers?: readonly string[] }): { text: string };
  /** `budget`: every limit that was given against what the model takes. `target`: whose rules count instead of the device's. */
  check(p: { handle: Handle; device?: string; budget?: Budget; target?: string }): {
    findings: readonly Finding[];
    budget?: readonly BudgetUse[];
  };
  /** Whether a change made a model faster here: both in alternating runs, for about a second. */
  speed(p: { before: Handle; after: Handle; options?: BenchOptions }): SpeedReport;
  /** What a runtime makes of a quantized model here: which layers run on integers, and why the others do not. */
  audit(p: { handle: Handle }): AuditReport;
  passes(p: Record<string, never>): { passes: readonly PassInfo[] };
  rules(p: Record<string, never>): { rules: readonly RuleInfo[] };
  devices(p: { folders?: readonly string[] }): { devices: readonly DeviceProfile[] };
  estimate(p: { handle: Handle; device: string; bind?: Bindings }): EstimateReport;
  bench(p: { handle: Handle; against?: Handle; options?: BenchOptions }): BenchReport;
  evaluate(p: {
    handle: Handle;
    /** Without it, seeded random inputs: only closeness to the reference can be told. */
    data?: string;
    reference?: Handle;
    samples?: number;
    bind?: Bindings;
  }): EvalReport;
  sensitivity(p: {
    handle: Handle;
    data?: string;
    scheme: string;
    /** Instead of what the scheme stands for. */
    step?: RecipeStep;
    bind?: Bindings;
    samples?: number;
    method?: SensitivityReport['method'];
    /** Every layer on every sample, whatever it costs. */
    exact?: boolean;
    /** Weights and activations of a static scheme by themselves as well. */
    apart?: boolean;
    /** Measures this many points of the cumulative curve. */
    cumulative?: number;
    layers?: readonly string[];
    /** Where the table goes as CSV, and as node data of Model Explorer. */
    csv?: string;
    nodeData?: string;
  }): SensitivityReport;
  /** Writes a report of `sensitivity` for spreadsheets, or as node data of Model Explorer. */
  exportSensitivity(p: {
    handle: Handle;
    report: SensitivityReport;
    to: 'csv' | 'node-data';
    path: string;
  }): { bytes: number };
  /** A scheme for each layer under a budget. */
  mixed(p: {
    handle: Handle;
    schemes: readonly string[];
    budget: MixedBudget;
    data?: string;
    bind?: Bindings;
    samples?: number;
    device?: string;
    /** Layers that stay as they are. */
    keep?: readonly string[];
    /** Leaves out no layer that was not named. */
    keepNone?: boolean;
    /** Where the model goes, its recipe beside it unless `recipe` says where. */
    out?: string;
    recipe?: string;
  }): MixedReport;
  optimize(p: {
    handle: Handle;
    device: string;
    data?: string;
    bind?: Bindings;
    maxDrop?: number;
    /** Where the chosen model goes; its recipe goes beside it. */
    out?: string;
    /** Where the report goes, as Markdown. */
    report?: string;
  }): OptimizeReport;
  /** What an update over the air would carry: the whole model compressed, and the delta against another one. */
  shipped(p: { handle: Handle; against?: Handle; quality?: number }): Shipped;
  diff(p: { a: Handle; b: Handle }): DiffReport;
  convert(p: { handle: Handle; path: string; signature?: string }): {
    fileBytes: number;
    notes: readonly string[];
  };
  /** `steps`: instead of those that led to the model. */
  export(p: { handle: Handle; to: string; path: string; steps?: readonly RecipeStep[] }): {
    path: string;
    bytes: number;
  };
}

export type Method = keyof EngineApi;
export type Params<M extends Method> = Parameters<EngineApi[M]>[0];
export type Result<M extends Method> = ReturnType<EngineApi[M]>;

export interface WireError {
  readonly reason: ErrorReason;
  readonly message: string;
  readonly file?: string;
  readonly place?: string;
}

export type ToEngine =
  | { readonly kind: 'call'; readonly id: number; readonly method: Method; readonly params: unknown }
  | { readonly kind: 'cancel'; readonly id: number };

export type FromEngine =
  | { readonly kind: 'result'; readonly id: number; readonly result: unknown }
  | { readonly kind: 'error'; readonly id: number; readonly error: WireError }
  | { readonly kind: 'progress'; readonly id: number; readonly fraction: number; readonly message: string };

/** How callers follow and stop a call. */
export interface CallOptions {
  readonly onProgress?: (fraction: number, message: string) => void;
  readonly signal?: AbortSignal;
}

/** The engine as its callers see it, in this process or another. */
export interface Engine {
  call<M extends Method>(method: M, params: Params<M>, options?: CallOptions): Promise<Result<M>>;
  dispose(): void;
}
