import type { Candidate, EvalReport } from '../../engine/protocol.ts';
import type { DiffReport, InspectReport } from '../../engine/answers.ts';
import type { Run } from './runHistory.ts';
import { formatBytes, formatChange, formatCount, formatMs, formatPercent } from '../support/format.ts';
import { bullets, cell, table } from './reportParts.ts';

/** Results as Markdown, for VS Code's own preview. No `vscode` import. */

export function comparisonReport(
  names: readonly [string, string],
  reports: { readonly before: InspectReport; readonly after: InspectReport; readonly diff: DiffReport },
): string {
  const { before, after, diff } = reports;
  const row = (title: string, a: number | null, b: number | null, format: (value: number | null) => string) =>
    `| ${title} | ${format(a)} | ${format(b)} | ${formatChange(a, b)} |`;
  const changes = diff.changed.map(({ id, classes }) => `| ${cell(id)} | ${classes.join(', ')} |`);
  return [
    `# ${names[0]} → ${names[1]}`,
    '',
    `| | ${names[0]} | ${names[1]} | |`,
    '|---|--:|--:|--:|',
    row('File', before.fileBytes, after.fileBytes, formatBytes),
    row('Parameters', before.params, after.params, formatCount),
    row('Weights', before.weightBytes, after.weightBytes, formatBytes),
    row('MACs', before.macs, after.macs, formatCount),
    row('FLOPs', before.flops, after.flops, formatCount),
    row('Peak activations', before.peakActivationBytes, after.peakActivationBytes, formatBytes),
    row('Layers', before.layers.length, after.layers.length, formatCount),
    '',
    `${String(diff.unchanged)} layers are the same, ${String(diff.changed.length)} changed, ${String(diff.added.length)} added, ${String(diff.removed.length)} removed.`,
    '',
    ...table(['Changed layer', 'What'], changes),
    ...bullets('Added', diff.added),
    ...bullets('Removed', diff.removed),
    ...bullets('Not covered', diff.notCovered),
  ].join('\n');
}

export function evaluationReport(name: string, report: EvalReport): string {
  const { reference } = report;
  return [
    `# Evaluation of ${name}`,
    '',
    `${String(report.samples)} samples from ${cell(report.data)}.`,
    '',
    '| | |',
    '|---|--:|',
    ...(report.top1 === undefined ? [] : [`| Top-1 accuracy | ${formatPercent(report.top1)} |`]),
    ...(report.top5 === undefined ? [] : [`| Top-5 accuracy | ${formatPercent(report.top5)} |`]),
    ...(reference === undefined
      ? []
      : [
          `| Agreement with the original | ${formatPercent(reference.agreement)} |`,
          `| Signal to quantization noise | ${reference.sqnrDb === null ? 'identical outputs' : `${reference.sqnrDb.toFixed(1)} dB`} |`,
          `| Cosine similarity | ${reference.cosine.toPrecision(4)} |`,
          `| KL divergence | ${reference.klDiv.toPrecision(3)} |`,
        ]),
    ...(report.notes === undefined ? [] : ['', ...bullets('Notes', report.notes)]),
  ].join('\n');
}

export function runReport({ file, when, steps, report }: Run): string {
  const { latencyMs, against } = report;
  const layers = report.layers
    .slice(0, 50)
    .map((layer) => `| ${cell(layer.name)} | ${formatMs(layer.ms)} | ${formatPercent(layer.share)} |`);
  return [
    `# ${file.split('/').at(-1) ?? file}`,
    '',
    `${when}, ${report.runtime} (${report.provider}), ${String(report.threads)} threads, ${String(report.runs)} runs, ${cell(report.inputs)}.`,
    '',
    `Passes: ${steps.length === 0 ? 'none' : steps.join(', ')}`,
    '',
    '| | |',
    '|---|--:|',
    `| Median | ${formatMs(latencyMs.median)} |`,
    `| Minimum | ${formatMs(latencyMs.min)} |`,
    `| 90th percentile | ${formatMs(latencyMs.p90)} |`,
    `| 99th percentile | ${formatMs(latencyMs.p99)} |`,
    `| Load | ${formatMs(report.loadMs)} |`,
    `| Peak memory | ${formatBytes(report.peakRssBytes)} |`,
    ...(against === undefined
      ? []
      : [
          `| Original, median | ${formatMs(against.latencyMs.median)} (speedup ${against.speedup.toFixed(2)}×) |`,
        ]),
    '',
    ...table(['Layer', 'Time', 'Share'], layers),
  ].join('\n');
}

/** One candidate as the quick pick shows it. */
export function candidateLine(
  candidate: Candidate,
  baseline: Candidate,
): { description: string; detail: string } {
  if (candidate.failure !== undefined) return { description: '', detail: candidate.failure };
  const score =
    candidate.scoreKind === 'none'
      ? 'not evaluated'
      : `${candidate.scoreKind === 'top1' ? 'accuracy' : 'agreement'} ${formatPercent(candidate.score)}`;
  const size =
    `${formatBytes(candidate.fileBytes)} ${formatChange(baseline.fileBytes, candidate.fileBytes)}`.trim();
  const slower = formatChange(baseline.measuredMs, candidate.measuredMs);
  return {
    description: `${size} · ${score}`,
    detail: [
      `on device ${formatMs(candidate.latencyMs)} (estimated)`,
      `here ${formatMs(candidate.measuredMs)} (measured${slower === '' || slower === '±0 %' ? '' : `, ${slower}`})`,
      ...fitText(candidate.fits),
    ].join(' · '),
  };
}

/** What has a limit: a board without flash has none to fit into. */
function fitText({ flash, ram }: Candidate['fits']): readonly string[] {
  const known = [['flash', flash] as const, ['RAM', ram] as const].filter(([, fit]) => fit !== 'unknown');
  return known.length === 0 ? [] : [known.map(([what, fit]) => `${what} ${fit}`).join(', ')];
}
