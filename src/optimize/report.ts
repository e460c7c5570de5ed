import type { Fit } from '../devices/estimate.ts';
import type { NodeId } from '../ir/model.ts';
import type { RecipeStep } from '../passes/pass.ts';

/** One recipe that was tried, with what it cost. Unknown numbers are null. */
export interface Candidate {
  readonly title: string;
  readonly recipe: readonly RecipeStep[];
  readonly fileBytes: number | null;
  /** Bytes after brotli, what an update over the air ships. */
  readonly compressedBytes: number | null;
  readonly macs: number | null;
  /** Measured on this machine, median. */
  readonly measuredMs: number | null;
  /** Estimated on the device. */
  readonly latencyMs: number | null;
  readonly energyMj: number | null;
  readonly ramBytes: number | null;
  readonly fits: { readonly flash: Fit; readonly ram: Fit };
  /** Accuracy on labels when there are some, else agreement with the original; 0..1. */
  readonly score: number | null;
  readonly scoreKind: 'top1' | 'agreement' | 'none';
  /** Why this candidate was not built, when it failed; its numbers are null then. */
  readonly failure?: string;
}

export interface OptimizeReport {
  readonly device: string;
  readonly data: string;
  /** Percentage points of the score that the chosen candidate may lose. */
  readonly maxDrop: number;
  readonly baseline: Candidate;
  readonly candidates: readonly Candidate[];
  /** Indexes into `candidates` that no other candidate beats in size, latency and score at once. */
  readonly pareto: readonly number[];
  readonly chosen: number | null;
  /** One sentence: why this one was chosen, or why none was. */
  readonly reason: string;
  readonly out: string | null;
}

export interface SensitivityReport {
  readonly scheme: string;
  readonly metric: string;
  readonly data: string;
  readonly layers: readonly {
    readonly id: NodeId;
    readonly name: string;
    readonly sqnrDb: number | null;
    readonly agreement: number;
  }[];
  readonly inferences: number;
  readonly seconds: number;
  readonly baselineInferenceSeconds: number;
  readonly notCovered: readonly string[];
}
