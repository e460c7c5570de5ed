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
    `Data: ${report.data}. At most ${report.maxDrop} points of ${score} may be lost.`,
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
