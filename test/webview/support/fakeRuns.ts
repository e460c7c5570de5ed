import type { BenchReport, Candidate, EstimateReport, OptimizeReport } from '../../../src/engine/protocol.ts';
import type { PageResult } from '../../../src/editor/page/protocol.ts';
import type { RecipeStep } from '../../../src/passes/pass.ts';
import type { FakeNode } from './builder.ts';
import { deviceList } from './fakeCatalogue.ts';
import { applyStep, estimatesOf, inspectOf, isLayer } from './fakeModel.ts';

/** What running the made-up model would tell; derived from its layers like everything else. */

type Nodes = readonly FakeNode[];

export function benchOf(nodes: Nodes): Omit<BenchReport, 'against'> {
  const layers = nodes.filter(isLayer).map((node) => ({
    id: node.id,
    name: node.id,
    ms: 0.002 + (node.macs ?? 0) / (node.precision === 'int8' ? 2e8 : 5e7),
  }));
  const sum = layers.reduce((total, { ms }) => total + ms, 0);
  return {
    runtime: 'ONNX Runtime 1.30',
    provider: 'cpu',
    threads: 1,
    runs: 50,
    loadMs: 12.3,
    latencyMs: { min: sum * 0.97, median: sum, mean: sum * 1.02, p90: sum * 1.1, p99: sum * 1.3 },
    peakRssBytes: 91e6,
    layers: layers.map((layer) => ({ ...layer, share: layer.ms / sum })),
    fallback: [],
    inputs: 'seeded random inputs',
  };
}

function fitsOf(device: string | null, nodes: Nodes): EstimateReport['fits'] {
  const { fileBytes, peakActivationBytes } = inspectOf(nodes);
  const profile = deviceList.find(({ id }) => id === device);
  const fit = (used: number | null, allowed: number | undefined) =>
    used === null || allowed === undefined ? 'unknown' : used <= allowed ? 'fits' : 'does not fit';
  return { flash: fit(fileBytes, profile?.flashBytes), ram: fit(peakActivationBytes, profile?.ramBytes) };
}

export function estimateOf(device: string | null, nodes: Nodes): EstimateReport {
  const { fileBytes, peakActivationBytes } = inspectOf(nodes);
  const layers = estimatesOf(nodes);
  const ms = layers.reduce((total, layer) => total + (layer.ms ?? 0), 0);
  return {
    device: device ?? '',
    latencyMs: ms,
    latencyRangeMs: [ms / 1.5, ms * 1.5],
    basis: 'estimated',
    energyMj: ms * 0.15,
    energyScope: 'the board',
    notes: [],
    flashBytes: fileBytes,
    ramBytes: peakActivationBytes,
    fits: fitsOf(device, nodes),
    unsupported: [],
    layers,
  };
}

function candidateOf(
  device: string,
  nodes: Nodes,
  { title, recipe, score }: Pick<Candidate, 'title' | 'recipe' | 'score'>,
): Candidate {
  const after = recipe.reduce(applyStep, nodes);
  const { fileBytes, macs, peakActivationBytes } = inspectOf(after);
  const { latencyMs, energyMj } = estimateOf(device, after);
  return {
    title,
    recipe,
    fileBytes,
    compressedBytes: Math.round(fileBytes * 0.9),
    macs,
    measuredMs: benchOf(after).latencyMs.median,
    latencyMs,
    energyMj,
    ramBytes: peakActivationBytes,
    fits: fitsOf(device, after),
    score,
    scoreKind: 'agreement',
  };
}

export function optimizeOf(device: string, nodes: Nodes, maxDrop: number): OptimizeReport {
  const step = (pass: string, options: NonNullable<RecipeStep['options']>): readonly RecipeStep[] => [
    { pass, options },
  ];
  const candidate = (title: string, recipe: readonly RecipeStep[], score: number) =>
    candidateOf(device, nodes, { title, recipe, score });
  return {
    device,
    data: 'seeded random inputs',
    baseline: candidate('As it is', [], 1),
    candidates: [
      candidate('Half precision', step('fp16', {}), 0.999),
      candidate('Quantize to int8', step('quantize-static', { ranges: 'minmax' }), 0.991),
      {
        ...candidate('Split for the delegate', [], 1),
        failure: 'Delegates are a TFLite matter.',
      },
    ],
    pareto: [0, 1],
    chosen: 1,
    maxDrop,
    reason: 'Quantize to int8 is the smallest that loses at most 1 point.',
    out: null,
  };
}

/** Against the model as it was opened. */
export function comparisonOf(original: Nodes, nodes: Nodes) {
  const [before, after] = [inspectOf(original), inspectOf(nodes)];
  const headline = ({ fileBytes, params, macs }: typeof before) => ({ fileBytes, params, macs });
  const [formerly, now] = [idsOf(original), idsOf(nodes)];
  const changed = changedOf(
    original,
    nodes.filter(({ id }) => formerly.has(id)),
  );
  const added = before.layers.length === 0 ? [] : [...now.keys()].filter((id) => !formerly.has(id));
  return {
    before,
    after,
    diff: {
      added,
      removed: [...formerly.keys()].filter((id) => !now.has(id)),
      changed: changed.map((id) => ({ id, classes: ['type', 'weights'] as const })),
      unchanged: now.size - changed.length - added.length,
      renamed: [],
      before: headline(before),
      after: headline(after),
      groups: [],
      notCovered: [],
    },
  };
}

function idsOf(nodes: Nodes): ReadonlyMap<string, Nodes[number]> {
  return new Map(nodes.filter(isLayer).map((node) => [node.id, node]));
}

/** Layers whose precision differs. */
export function changedOf(before: Nodes, after: Nodes): readonly string[] {
  const formerly = idsOf(before);
  return after
    .filter((node) => isLayer(node) && node.precision !== formerly.get(node.id)?.precision)
    .map(({ id }) => id);
}

/** Layers with weights, each a little less sensitive than the one before. */
export function sensitivityOf(scheme: string, nodes: Nodes): PageResult<'sensitivity'> {
  const weighted = nodes.filter((node) => (node.params ?? 0) > 0);
  return {
    scheme,
    data: 'seeded random inputs',
    layers: weighted.map(({ id }, i) => ({ id, sqnrDb: 18 + 2 * i })),
  };
}
