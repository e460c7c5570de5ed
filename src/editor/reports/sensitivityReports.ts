import { basename } from 'node:path';
import type { MixedReport, SensitivityReport } from '../../engine/protocol.ts';
import { formatBytes, formatChange, formatMs, formatPercent } from '../support/format.ts';
import { lineChart } from './frontierChart.ts';
import { bullets, cell, table } from './reportParts.ts';

/** Results as Markdown, for VS Code's own preview. No `vscode` import. */

function decibels(value: number | null | undefined): string {
  return value === undefined ? '' : value === null ? 'identical' : `${value.toFixed(1)} dB`;
}

/** One row per layer, most sensitive first; columns that no layer has a number for are left out. */
export function sensitivityReport(name: string, report: SensitivityReport): string {
  const { layers, inferences, naiveInferences, seconds } = report;
  type Layer = SensitivityReport['layers'][number];
  const columns: readonly (readonly [string, (layer: Layer) => string])[] = [
    ['Layer', (layer) => cell(layer.name === '' ? layer.id : layer.name)],
    ['Operator', ({ op }) => op],
    ['SQNR', ({ sqnrDb }) => decibels(sqnrDb)],
    ['Agreement', ({ agreement }) => (agreement === undefined ? '' : formatPercent(agreement))],
    ['Accuracy', ({ top1 }) => (top1 === undefined ? '' : formatPercent(top1))],
    ['Weights alone', ({ weights }) => decibels(weights?.sqnrDb)],
    ['Activations alone', ({ activations }) => decibels(activations?.sqnrDb)],
    ['Weights, without data', ({ weightSqnrDb }) => decibels(weightSqnrDb)],
  ];
  const shown = columns.filter(([, read]) => layers.some((layer) => read(layer) !== ''));
  const rows = layers.map((layer) => `| ${shown.map(([, read]) => read(layer)).join(' | ')} |`);
  const share =
    naiveInferences === 0 ? '' : `, ${formatPercent(inferences / naiveInferences)} of layers × samples`;
  return [
    `# Sensitivity of ${name} to ${report.scheme}`,
    '',
    `Each layer is changed alone. SQNR: ${report.metric}. Data: ${cell(basename(report.data))}. The work of ${Math.round(inferences).toLocaleString('en-US')} inferences${share}, ${seconds.toFixed(1)} s.`,
    '',
    ...curve(report),
    ...table(
      shown.map(([title]) => title),
      rows,
    ),
    ...bullets('Not covered', report.notCovered),
  ].join('\n');
}

function curve({ cumulative, scheme }: SensitivityReport): readonly string[] {
  const points = cumulative.flatMap(({ layers, predictedSqnrDb, measured }) => {
    const y = measured === undefined ? predictedSqnrDb : measured.sqnrDb;
    return y === null ? [] : [{ x: layers, y, marked: measured !== undefined }];
  });
  if (points.length < 2) return [];
  const titles = { x: `layers under ${scheme} together, least sensitive first`, y: 'SQNR, dB' };
  return [lineChart(points, titles, { x: String, y: (value) => value.toFixed(0) }), ''];
}

/** What could be had at least: nobody should have to look for it in the table. */
function smallestText(frontier: MixedReport['frontier']): string {
  const [smallest] = [...frontier].sort((a, b) => a.fileBytes - b.fileBytes);
  if (smallest === undefined) return '';
  return ` The smallest of them takes ${formatBytes(smallest.fileBytes)}, at ${decibels(smallest.predictedSqnrDb)} predicted SQNR. Allow more, or more schemes.`;
}

/** The frontier as a chart and a table, then what each layer takes. */
export function mixedReport(name: string, report: MixedReport): string {
  const { original, chosen, measured, frontier } = report;
  const points = frontier.flatMap(({ fileBytes, predictedSqnrDb }) =>
    predictedSqnrDb === null
      ? []
      : [{ x: fileBytes, y: predictedSqnrDb, marked: fileBytes === chosen?.fileBytes }],
  );
  const titles = { x: 'size', y: 'predicted SQNR, dB' };
  const format = { x: formatBytes, y: (value: number) => value.toFixed(0) };
  const rows = frontier.map(({ fileBytes, latencyMs, predictedSqnrDb, counts }) => {
    const mark = fileBytes === chosen?.fileBytes ? '**chosen**' : '';
    const schemes = Object.entries(counts).map(([scheme, count]) => `${String(count)} ${scheme}`);
    const cells = [
      formatBytes(fileBytes),
      formatMs(latencyMs),
      decibels(predictedSqnrDb),
      schemes.join(', '),
      mark,
    ];
    return `| ${cells.join(' | ')} |`;
  });
  const layers = report.layers.map(({ id, op, chosen: takes }) => `| ${cell(id)} | ${op} | ${takes} |`);
  return [
    `# Mixed precision of ${name}`,
    '',
    ...(measured === null || chosen === null
      ? [`No assignment of schemes to layers meets the budget.${smallestText(frontier)}`]
      : [
          `${formatBytes(original.fileBytes)} → ${formatBytes(measured.fileBytes)} (${formatChange(original.fileBytes, measured.fileBytes)}), SQNR ${decibels(measured.sqnrDb)} measured, ${decibels(chosen.predictedSqnrDb)} predicted; ${scoreText(report)}.`,
        ]),
    '',
    ...(points.length < 2 ? [] : [lineChart(points, titles, format), '']),
    ...table(['Size', 'Latency, estimated', 'SQNR, predicted', 'Layers', ''], rows),
    '## Layers',
    '',
    ...table(['Layer', 'Operator', 'Takes'], layers),
    ...bullets(
      'Left out, or worth it',
      report.keepOut.map(
        ({ id, reason, applied }) => `${applied ? 'left out' : 'consider'}: ${id}: ${reason}`,
      ),
    ),
    ...bullets('Notes', report.notes),
  ].join('\n');
}

function scoreText({ measured, original, heldOut }: MixedReport): string {
  if (measured === null) return '';
  const where = heldOut ? 'on samples that nothing was chosen by' : 'on the samples it was chosen by';
  if (measured.top1 === undefined) return `agreement ${formatPercent(measured.agreement)} ${where}`;
  return `accuracy ${formatPercent(original.top1 ?? null)} → ${formatPercent(measured.top1)} ${where}`;
}
