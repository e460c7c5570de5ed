import type { LayerSensitivity, SensitivityReport } from '../report.ts';
import { noiseOf } from './curve.ts';

type Column = readonly [string, (layer: LayerSensitivity) => unknown];

const columns: readonly Column[] = [
  ['id', ({ id }) => id],
  ['name', ({ name }) => name],
  ['op', ({ op }) => op],
  ['sqnrDb', ({ sqnrDb }) => sqnrDb],
  ['cosine', ({ cosine }) => cosine],
  ['klDiv', ({ klDiv }) => klDiv],
  ['agreement', ({ agreement }) => agreement],
  ['top1', ({ top1 }) => top1],
  ['samples', ({ samples }) => samples],
  ['weightSqnrDb', ({ weightSqnrDb }) => weightSqnrDb],
  ['kurtosis', ({ kurtosis }) => kurtosis],
  ['localSqnrDb', ({ localSqnrDb }) => localSqnrDb],
  ['weightsAloneSqnrDb', ({ weights }) => weights?.sqnrDb],
  ['activationsAloneSqnrDb', ({ activations }) => activations?.sqnrDb],
  ['sqnrErrorDb', ({ sqnrErrorDb }) => sqnrErrorDb],
];

/** RFC 4180, one row per layer; cells are empty where a number is unknown or infinite. */
export function sensitivityCsv({ layers }: SensitivityReport): string {
  const cell = (value: unknown) => {
    const text = value === undefined || value === null ? '' : String(value);
    return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
  };
  const rows = layers.map((layer) => columns.map(([, read]) => cell(read(layer))).join(','));
  return `${[columns.map(([name]) => name).join(','), ...rows].join('\r\n')}\r\n`;
}

/**
 * Node data of Model Explorer (its "Custom node data" guide): noise over signal in percent, more is hotter, on the graph
 * that `kerf export --to model-explorer` writes. `outputs` gives the name under which Model Explorer's own readers know
 * a layer: that of its first output.
 */
export function sensitivityNodeData(
  { layers, scheme }: SensitivityReport,
  graph: string,
  outputs: ReadonlyMap<string, string> = new Map(),
): string {
  const results: Record<string, { value: number }> = {};
  for (const { id, sqnrDb } of layers) {
    const value = 100 * noiseOf(sqnrDb);
    results[id] = { value };
    const output = outputs.get(id);
    if (output !== undefined) results[output] = { value };
  }
  const gradient = [
    { stop: 0, bgColor: '#ffffff', textColor: 'black' },
    { stop: 1, bgColor: '#d7301f', textColor: 'white' },
  ];
  return `${JSON.stringify({ [graph]: { results, gradient, name: `sensitivity to ${scheme}` } }, null, 1)}\n`;
}
