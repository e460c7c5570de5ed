import type { Fit } from '../devices/estimate.ts';
import { bytesText } from '../rules/support.ts';
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
  /** Why the device cannot run it as it is. */
  readonly refused?: string;
  /** Why this candidate was not built, when it failed; its numbers are null then. */
  readonly failure?: string;
}

export interface OptimizeReport {
  readonly device: string;
  readonly data: string;
  /** Percentage points of the score that the chosen candidate may lose. */
  readonly maxDrop: number;
  /** Which samples the scores come from, in words. */
  readonly scoredOn?: string;
  readonly baseline: Candidate;
  readonly candidates: readonly Candidate[];
  /** Indexes into `candidates` that no other candidate beats in size, latency and score at once. */
  readonly pareto: readonly number[];
  readonly chosen: number | null;
  /** One sentence: why this one was chosen, or why none was. */
  readonly reason: string;
  readonly out: string | null;
}

/** How far the outputs move when one layer changes. */
export interface SensitivityFigures {
  /** Signal to noise of the outputs against the original's, dB; null when they are identical. */
  readonly sqnrDb: number | null;
  readonly cosine: number;
  /** Kullback-Leibler divergence from the original's distribution, nats. */
  readonly klDiv: number;
  /** Share of samples whose arg-max agrees. */
  readonly agreement: number;
  /** Accuracy, where the data has labels. */
  readonly top1?: number;
  /** Samples it was measured on. */
  readonly samples: number;
  /** Standard error of `sqnrDb` beside those of other layers, dB; 0 when it was measured on all samples. */
  readonly sqnrErrorDb?: number;
}

export interface LayerSensitivity extends Partial<SensitivityFigures> {
  readonly id: NodeId;
  readonly name: string;
  readonly op: string;
  /** Measured, or what the chosen method takes for it; lower hurts more. Null: no effect. */
  readonly sqnrDb: number | null;
  /** Signal to noise of the weights themselves, without data. */
  readonly weightSqnrDb?: number | null;
  /** Kurtosis of the weights: 3 for a normal distribution, more with outliers. */
  readonly kurtosis?: number;
  /** Signal to noise of the layer's own outputs, from the moments of its inputs. */
  readonly localSqnrDb?: number | null;
  /** The change of the weights alone, and of the activations alone. */
  readonly weights?: SensitivityFigures;
  readonly activations?: SensitivityFigures;
}

export interface CumulativePoint {
  /** The least sensitive layers, this many of them, changed together. */
  readonly layers: number;
  /** As if the layers' errors were independent. */
  readonly predictedSqnrDb: number | null;
  readonly measured?: SensitivityFigures;
}

export type SensitivityMethod = 'measured' | 'gram' | 'weights';

export interface SensitivityReport {
  readonly scheme: string;
  readonly step: RecipeStep;
  readonly method: SensitivityMethod;
  readonly metric: string;
  readonly data: string;
  /** Most sensitive first. */
  readonly layers: readonly LayerSensitivity[];
  readonly cumulative: readonly CumulativePoint[];
  /** Samples of the analysis: with many layers, each is measured on as many of them as their order takes. */
  readonly samples: number;
  /** Of measured layers: how many samples any of them saw, and the rank correlation (Spearman) to be expected with all. */
  readonly ranking?: { readonly samples: number; readonly expectedCorrelation: number };
  /** Accuracy of the original on these samples, where there are labels. */
  readonly top1?: number;
  /** Work of all runs, calibration included, in whole inferences of the original for one sample. */
  readonly inferences: number;
  /** Layers x samples, what one whole inference per layer and sample would be. */
  readonly naiveInferences: number;
  readonly seconds: number;
  /** What one inference of the original takes, for comparison. */
  readonly baselineInferenceSeconds: number;
  readonly notCovered: readonly string[];
}

/** The report as Markdown: the table of candidates, the choice and its reason. */
export function optimizeMarkdown(report: OptimizeReport, model: string): string {
  const rows = [report.baseline, ...report.candidates].map((candidate, index) => {
    const isChosen = report.chosen !== null && index === report.chosen + 1;
    const isPareto = report.pareto.includes(index - 1);
    return row(candidate, isChosen ? ' **(chosen)**' : isPareto ? ' (Pareto)' : '');
  });
  const failures = report.candidates
    .filter((candidate) => candidate.failure !== undefined || candidate.refused !== undefined)
    .map((candidate) => `- ${candidate.title}: ${candidate.failure ?? candidate.refused}`);
  const { scoreKind } = report.baseline;
  const score = scoreKind === 'none' ? 'score' : scoreKind;
  return [
    `# ${model} on ${report.device}`,
    '',
    `Data: ${report.data}${report.scoredOn === undefined ? '' : ` (${report.scoredOn})`}. At most ${report.maxDrop} points of ${score} may be lost.`,
    '',
    `| recipe | file | compressed | MACs | measured here | estimated | energy | RAM | flash / RAM | ${score} |`,
    '|---|---:|---:|---:|---:|---:|---:|---:|---|---:|',
    ...rows,
    '',
    report.reason,
    ...(report.out === null ? [] : ['', `Written to ${report.out}.`]),
    ...(failures.length === 0 ? [] : ['', '## Not usable', '', ...failures]),
    '',
  ].join('\n');
}

function row(candidate: Candidate, mark: string): string {
  const digits = (value: number | null, unit: string) =>
    value === null ? 'unknown' : `${Number(value.toPrecision(3))} ${unit}`;
  const cells = [
    `${candidate.title}${mark}`,
    kilobytes(candidate.fileBytes),
    kilobytes(candidate.compressedBytes),
    candidate.macs === null ? 'unknown' : digits(candidate.macs / 1e6, 'M'),
    digits(candidate.measuredMs, 'ms'),
    digits(candidate.latencyMs, 'ms'),
    digits(candidate.energyMj, 'mJ'),
    kilobytes(candidate.ramBytes),
    `${candidate.fits.flash} / ${candidate.fits.ram}`,
    candidate.score === null ? 'unknown' : `${(candidate.score * 100).toFixed(2)} %`,
  ];
  return `| ${cells.join(' | ')} |`;
}

function kilobytes(bytes: number | null): string {
  return bytes === null ? 'unknown' : bytesText(bytes);
}
