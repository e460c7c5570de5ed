import { GraphEditor } from '../../ir/edit.ts';
import type { Model } from '../../ir/model.ts';
import { withMainGraph } from '../../ir/model.ts';
import { sizeOf } from '../../ir/numbers.ts';
import type { Tensor } from '../../ir/tensor.ts';
import type { Calibrator, OptionValues, Pass, PassContext, PassResult } from '../pass.ts';
import type { FloatWeight } from '../support/floatWeights.ts';
import { floatRoles, floatWeights, storeTensor, withVisibleWeights } from '../support/floatWeights.ts';
import { changedNodes, resultOf } from '../support/graph.ts';
import type { Options } from '../support/options.ts';
import { readOptions } from '../support/options.ts';
import { statisticsNote, withStatistics } from '../support/statistics.ts';
import { changedTensor, eachPiece } from '../support/pieces.ts';
import type { DenseLayer } from '../support/denseLayer.ts';
import { KerfError } from '../../ir/errors.ts';
import { pruneByData } from './byData.ts';
import type { NOfM, PatternName } from './patterns.ts';
import { groupwise, nOfM, patterns } from './patterns.ts';
import type { Cut, Scope } from './smallest.ts';
import { smallestOf } from './smallest.ts';
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
  const groups = nOfM(pattern);
  const pruned =
    groups === undefined
      ? await withoutSmallest(weights, options.number('sparsity'), options.choice('scope'), context)
      : await withNOfM(weights, groups, context);
  let zeros = 0;
  let total = 0;
  for (const [index, { tensor, zeros: own, changed }] of pruned.entries()) {
    const weight = weights[index] as FloatWeight;
    zeros += own;
    total += sizeOf(tensor);
    if (changed) storeTensor(graph, editor, weight, tensor, 'pruned');
  }
  const left = pruned.filter(({ fits }) => !fits);
  const notes = [shareNote(model, zeros, total)];
  if (left.length > 0)
    notes.push(`${left.length} weights have too few input channels for ${pattern} and stay dense`);
  if (start !== model)
    notes.push('simplified first, because weights were hidden behind Transpose or Identity');
  let result = withMainGraph(start, editor.finish());
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
      ...(scope !== 'auto' && { shareOf: await sharesOf(alone, sparsity, scope, context) }),
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

/** A weight with zeros. */
interface Pruned {
  readonly tensor: Tensor;
  readonly zeros: number;
  /** Whether more elements are zero than before. */
  readonly changed: boolean;
  /** False where the weight has no axis that the pattern fits on. */
  readonly fits: boolean;
}

async function withoutSmallest(
  weights: readonly FloatWeight[],
  sparsity: number,
  scope: string,
  { step }: PassContext,
): Promise<readonly Pruned[]> {
  const cuts = await cutsOf(weights, sparsity, scope, (done) => step(done, 'comparing weights'));
  return weights.map(({ tensor }, index) => {
    const { count, zeros, ...cut } = cuts[index] as Cut;
    const changed = count > zeros;
    return {
      tensor: changed ? changedTensor(tensor, (floats, first) => zeroSmall(floats, first, cut)) : tensor,
      zeros: Math.max(count, zeros),
      changed,
      fits: true,
    };
  });
}

/** Zeroes what is cut of a piece that begins at element `first`. The bits of magnitudes sort like the numbers. */
function zeroSmall(
  floats: Float32Array,
  first: number,
  { magnitude, equalUntil }: Pick<Cut, 'magnitude' | 'equalUntil'>,
): void {
  const words = new Int32Array(floats.buffer, floats.byteOffset, floats.length);
  const limit = new Int32Array(Float32Array.of(magnitude).buffer)[0] as number;
  const equal = Math.min(floats.length, Math.max(0, equalUntil - first));
  const zero = (from: number, to: number, below: number) => {
    for (let i = from; i < to; i += 1) {
      const word = words[i] as number;
      // Nothing but ones where the magnitude is below.
      words[i] = word & ~(((word & 0x7fffffff) - below) >> 31);
    }
  };
  zero(0, equal, limit + 1);
  zero(equal, floats.length, limit);
}

async function withNOfM(
  weights: readonly FloatWeight[],
  groups: NOfM,
  { step }: PassContext,
): Promise<readonly Pruned[]> {
  const pruned: Pruned[] = [];
  for (const [done, { id, tensor, role }] of weights.entries()) {
    await step(done / weights.length, `pruning ${id}`);
    const after = groupwise(tensor, role.inputAxis, groups);
    const [before, zeros] = [zerosOf(tensor), zerosOf(after ?? tensor)];
    pruned.push({ tensor: after ?? tensor, zeros, changed: zeros > before, fits: after !== undefined });
  }
  return pruned;
}

function zerosOf(tensor: Tensor): number {
  let zeros = 0;
  eachPiece(tensor, (floats) => {
    for (let i = 0; i < floats.length; i += 1) if (floats[i] === 0) zeros += 1;
  });
  return zeros;
}

/** How much each layer loses when the share is spread by magnitudes. */
async function sharesOf(
  weights: readonly FloatWeight[],
  sparsity: number,
  scope: string,
  { step }: PassContext,
) {
  const cuts = await cutsOf(weights, sparsity, scope, (done) => step(0.1 * done, 'comparing weights'));
  const shares = new Map(
    weights.map(({ id, tensor }, index) => {
      const { count, zeros } = cuts[index] as Cut;
      return [id, Math.max(count, zeros) / sizeOf(tensor)];
    }),
  );
  return ({ weightId }: DenseLayer) => shares.get(weightId) ?? sparsity;
}

function cutsOf(
  weights: readonly FloatWeight[],
  sparsity: number,
  scope: string,
  step: (done: number) => Promise<void>,
): Promise<readonly Cut[]> {
  const tensors = weights.map(({ tensor }) => tensor);
  // Without data, a share is spread by LAMP score.
  return smallestOf(tensors, sparsity, scope === 'auto' ? 'lamp' : (scope as Scope), step);
}
