import { GraphEditor } from '../../ir/edit.ts';
import type { Model } from '../../ir/model.ts';
import { withMainGraph } from '../../ir/model.ts';
import { readFloats } from '../../ir/numbers.ts';
import type { Calibrator, OptionValues, Pass, PassContext, PassResult } from '../pass.ts';
import { stridesOf } from '../support/constants.ts';
import type { FloatWeight } from '../support/floatWeights.ts';
import { floatRoles, floatWeights, storeWeight, withVisibleWeights } from '../support/floatWeights.ts';
import { changedNodes, resultOf } from '../support/graph.ts';
import type { Options } from '../support/options.ts';
import { readOptions } from '../support/options.ts';
import { statisticsNote, withStatistics } from '../support/statistics.ts';
import type { Threshold } from '../support/threshold.ts';
import { thresholdOf } from '../support/threshold.ts';
import type { DenseLayer } from '../support/denseLayer.ts';
import { KerfError } from '../../ir/errors.ts';
import { pruneByData } from './byData.ts';
import type { NOfM, PatternName } from './patterns.ts';
import { nOfM, patterns } from './patterns.ts';
import { withSparseStorage } from './sparseStorage.ts';

/**
 * Sets the weights of least magnitude to zero (Han et al. 2015, arXiv 1506.02626; 2:4 as in arXiv 2104.08378); with
 * calibration data, those that the outputs miss least, and the others make up for them.
 */
export const pruneMagnitude: Pass = {
  id: 'prune-magnitude',
  title: 'Prune small weights',
  summary:
    'Sets weights to zero, by size or by what sample data say: a smaller compressed file, and with sparse storage a smaller and sometimes faster TFLite model.',
  dialects: ['onnx', 'tflite'],
  exact: false,
  calibration: 'optional',
  options: [
    {
      name: 'sparsity',
      title: 'Share of weights set to zero (unstructured)',
      type: 'number',
      default: 0.3,
      min: 0,
      max: 1,
    },
    {
      name: 'pattern',
      title: 'Which weights may go',
      type: 'choice',
      default: 'unstructured',
      choices: patterns,
    },
    {
      name: 'scope',
      title:
        'How the share is spread: by what it costs (auto, with sample data), by LAMP score (auto, without), by plain magnitude over all layers, or alike in every layer',
      type: 'choice',
      default: 'auto',
      choices: ['auto', 'lamp', 'global', 'layer'],
    },
    {
      name: 'update',
      title:
        'How the other weights make up for the lost ones: fitted to the sample data layer after layer (auto), all at once, by means and variances alone (statistics), or not at all',
      type: 'choice',
      default: 'auto',
      choices: ['auto', 'sequential', 'optimized', 'statistics', 'none'],
    },
    {
      name: 'storage',
      title:
        'How weights are stored; sparse where that is smaller and the runtime reads it (TFLite), as the last step',
      type: 'choice',
      default: 'dense',
      choices: ['dense', 'sparse'],
    },
  ],
  appliesTo: (node, model) => floatRoles(model, model.graphs[0], node).length > 0,
  run: runPrune,
};

async function runPrune(model: Model, values: OptionValues, context: PassContext): Promise<PassResult> {
  const options = readOptions(pruneMagnitude.options, values);
  const pruned = await prunedBy(model, options, context);
  if (options.choice('storage') === 'dense') return pruned;
  const stored = withSparseStorage(pruned.model, context.layers);
  const changed = [...pruned.changed, ...changedNodes(pruned.model.graphs[0], stored.model.graphs[0])];
  return resultOf(model, stored.model, changed, [...pruned.notes, ...stored.notes]);
}

async function prunedBy(model: Model, options: Options, context: PassContext): Promise<PassResult> {
  const start = await withVisibleWeights(model, context);
  const graph = start.graphs[0];
  const weights = floatWeights(start, graph, context.layers);
  if (weights.length === 0) return resultOf(model, model, [], ['there are no float weights to prune']);
  const pattern = options.choice('pattern') as PatternName;
  const { calibrator } = context;
  const update = options.choice('update');
  if (calibrator !== undefined && update !== 'none' && update !== 'statistics')
    return runByData(model, start, weights, options, { ...context, calibrator });
  if (pattern === 'block4')
    throw new KerfError('unsupported', 'blocks are chosen by sample data: give a dataset');
  const editor = new GraphEditor(graph, start);
  const sparsity = options.number('sparsity');
  const groups = nOfM(pattern);
  const thresholdFor =
    groups === undefined ? thresholds(weights, sparsity, options.choice('scope')) : undefined;
  const left: string[] = [];
  let zeros = 0;
  let total = 0;
  for (const [done, weight] of weights.entries()) {
    await context.step(done / weights.length, `pruning ${weight.id}`);
    const floats = readFloats(weight.tensor);
    const before = floats.slice();
    if (thresholdFor !== undefined) pruneBelow(floats, thresholdFor(floats));
    else if (groups !== undefined && !pruneNOfM(floats, weight, groups)) left.push(weight.id);
    for (const value of floats) if (value === 0) zeros += 1;
    total += floats.length;
    if (floats.some((value, i) => value !== before[i])) storeWeight(graph, editor, weight, floats, 'pruned');
  }
  const pruned = editor.finish();
  const notes = [shareNote(model, zeros, total)];
  if (left.length > 0)
    notes.push(`${left.length} weights have too few input channels for ${pattern} and stay dense`);
  if (start !== model)
    notes.push('simplified first, because weights were hidden behind Transpose or Identity');
  let result = withMainGraph(start, pruned);
  if (calibrator !== undefined && update === 'statistics') {
    const corrected = await withStatistics(start, result, calibrator, context);
    result = corrected.model;
    notes.push(statisticsNote(corrected.corrected, calibrator, 'means and variances'));
  }
  return resultOf(model, result, changedNodes(model.graphs[0], result.graphs[0]), notes);
}

function shareNote({ dialect }: Model, zeros: number, total: number): string {
  const share = ((100 * zeros) / total).toFixed(1);
  const gain =
    dialect === 'onnx'
      ? 'ONNX Runtime on CPU gains compressed size only, no speed'
      : 'stored dense, LiteRT on CPU gains compressed size only; stored sparsely (storage=sparse), networks of 1 x 1 convolutions may gain speed';
  return `${share} % of ${total} weights are zero; ${gain}`;
}

/** Layers that the data say nothing of stay as they are. */
async function runByData(
  model: Model,
  start: Model,
  weights: readonly FloatWeight[],
  options: Options,
  context: PassContext & { readonly calibrator: Calibrator },
): Promise<PassResult> {
  const { calibrator } = context;
  const alone = weights.filter((weight) => weight.readers.length === 1);
  const readers = new Set(alone.flatMap((weight) => weight.readers));
  const sparsity = options.number('sparsity');
  const scope = options.choice('scope');
  const found = await pruneByData(
    start,
    start.graphs[0].nodes.filter((node) => readers.has(node)),
    {
      sparsity,
      pattern: options.choice('pattern') as PatternName,
      ...(scope !== 'auto' && { shareOf: sharesOf(alone, sparsity, scope) }),
      sequential: options.choice('update') !== 'optimized',
    },
    calibrator,
    context,
  );
  let zeros = 0;
  let total = 0;
  for (const { weights: count, kept } of found.layers.values()) {
    zeros += count - kept;
    total += count;
  }
  if (total === 0) return resultOf(model, model, [], ['no layer could be observed: nothing was pruned']);
  const left = weights.length - found.layers.size;
  const notes = [
    shareNote(model, zeros, total),
    `chosen and made up for with ${calibrator.samples} samples of ${calibrator.source}`,
  ];
  if (left > 0)
    notes.push(`${left} other weights stay dense: not observable, shared, or too narrow for the pattern`);
  if (start !== model)
    notes.push('simplified first, because weights were hidden behind Transpose or Identity');
  return resultOf(model, found.model, changedNodes(model.graphs[0], found.model.graphs[0]), notes);
}

/** How much each layer loses when the share is spread by magnitudes. */
function sharesOf(weights: readonly FloatWeight[], sparsity: number, scope: string) {
  const shares = new Map<string, number>();
  const thresholdFor = thresholds(weights, sparsity, scope);
  for (const { id, tensor } of weights) {
    const floats = readFloats(tensor);
    pruneBelow(floats, thresholdFor(floats));
    shares.set(id, floats.reduce((sum, value) => sum + (value === 0 ? 1 : 0), 0) / floats.length);
  }
  return ({ weightId }: DenseLayer) => shares.get(weightId) ?? sparsity;
}

/** Gives the threshold of each weight; the object counts down its ties, so a shared one is the same object. */
function thresholds(
  weights: readonly FloatWeight[],
  sparsity: number,
  scope: string,
): (floats: Float32Array) => Threshold {
  const byScore = scope === 'lamp' || scope === 'auto';
  if (scope === 'layer') return (floats) => thresholdOf([() => floats], sparsity);
  const parts = weights.map(
    ({ tensor }) =>
      () =>
        byScore ? lampScores(readFloats(tensor)) : readFloats(tensor),
  );
  const shared = thresholdOf(parts, sparsity);
  if (!byScore) return () => shared;
  // Within a layer scores rise with magnitudes, so a layer loses as many of its smallest weights as it has low scores.
  return (floats) => {
    let low = 0;
    for (const score of lampScores(floats)) {
      if (score < shared.magnitude) low += 1;
      else if (score === shared.magnitude && shared.ties > 0) {
        shared.ties -= 1;
        low += 1;
      }
    }
    return thresholdOf([() => floats], low / floats.length);
  };
}

/**
 * LAMP scores (Lee et al. 2021, arXiv 2010.07611), sorted: the square of a weight over the sum of the squares that
 * are not smaller. They do not depend on the scale of a layer, which batch-norm folding makes arbitrary.
 */
function lampScores(floats: Float32Array): Float32Array {
  const sizes = floats.map(Math.abs).sort();
  let rest = 0;
  for (let i = sizes.length - 1; i >= 0; i -= 1) {
    const square = (sizes[i] as number) ** 2;
    rest += square;
    sizes[i] = rest === 0 ? 0 : square / rest;
  }
  return sizes;
}

/** Zeroes what lies below the threshold, and of what lies on it as many as the share asks for. */
function pruneBelow(floats: Float32Array, threshold: Threshold): void {
  for (let i = 0; i < floats.length; i += 1) {
    const size = Math.abs(floats[i] as number);
    if (size < threshold.magnitude) floats[i] = 0;
    else if (size === threshold.magnitude && threshold.ties > 0) {
      threshold.ties -= 1;
      floats[i] = 0;
    }
  }
}

/** Keeps the largest of every few neighbours along the input axis; false when there is no such axis. */
function pruneNOfM(floats: Float32Array, { tensor, role }: FloatWeight, { keep, of }: NOfM): boolean {
  const size = role.inputAxis === undefined ? 0 : (tensor.dims[role.inputAxis] as number);
  if (role.inputAxis === undefined || size < of) return false;
  const step = stridesOf(tensor.dims)[role.inputAxis] as number;
  const block = step * size;
  for (let start = 0; start < floats.length; start += block) {
    for (let lane = 0; lane < step; lane += 1) {
      for (let group = 0; group + of <= size; group += of)
        pruneGroup(floats, start + lane + group * step, step, { keep, of });
    }
  }
  return true;
}

function pruneGroup(floats: Float32Array, first: number, step: number, { keep, of }: NOfM): void {
  for (;;) {
    let least = -1;
    let zeros = 0;
    for (let i = 0; i < of; i += 1) {
      const at = first + i * step;
      if (floats[at] === 0) {
        zeros += 1;
        continue;
      }
      if (least < 0 || Math.abs(floats[at] as number) < Math.abs(floats[least] as number)) least = at;
    }
    if (zeros >= of - keep || least < 0) return;
    floats[least] = 0;
  }
}
