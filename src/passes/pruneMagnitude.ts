import { GraphEditor } from '../ir/edit.ts';
import type { Model } from '../ir/model.ts';
import { withMainGraph } from '../ir/model.ts';
import { readFloats } from '../ir/numbers.ts';
import type { OptionValues, Pass, PassContext, PassResult } from './pass.ts';
import { stridesOf } from './support/constants.ts';
import type { FloatWeight } from './support/floatWeights.ts';
import { floatRoles, floatWeights, storeWeight, withVisibleWeights } from './support/floatWeights.ts';
import { changedNodes, resultOf } from './support/graph.ts';
import { readOptions } from './support/options.ts';
import type { Threshold } from './support/threshold.ts';
import { thresholdOf } from './support/threshold.ts';

/** Sets the weights of least magnitude to zero (Han et al. 2015, arXiv 1506.02626; 2:4 as in arXiv 2104.08378). */
export const pruneMagnitude: Pass = {
  id: 'prune-magnitude',
  title: 'Prune small weights',
  summary:
    'Sets the smallest weights to zero: a smaller compressed file; the CPU runtimes are not faster for it.',
  dialects: ['onnx', 'tflite'],
  exact: false,
  calibration: 'none',
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
      choices: ['unstructured', '2:4'],
    },
    {
      name: 'scope',
      title:
        'How the share is spread: by LAMP score, by plain magnitude over all layers, or alike in every layer',
      type: 'choice',
      default: 'lamp',
      choices: ['lamp', 'global', 'layer'],
    },
  ],
  appliesTo: (node, model) => floatRoles(model, model.graphs[0], node).length > 0,
  run: runPrune,
};

async function runPrune(model: Model, values: OptionValues, context: PassContext): Promise<PassResult> {
  const options = readOptions(pruneMagnitude.options, values);
  const start = await withVisibleWeights(model, context);
  const graph = start.graphs[0];
  const weights = floatWeights(start, graph, context.layers);
  if (weights.length === 0) return resultOf(model, model, [], ['there are no float weights to prune']);
  const editor = new GraphEditor(graph, start);
  const sparsity = options.number('sparsity');
  const structured = options.choice('pattern') === '2:4';
  const thresholdFor = structured ? undefined : thresholds(weights, sparsity, options.choice('scope'));
  const left: string[] = [];
  let zeros = 0;
  let total = 0;
  for (const [done, weight] of weights.entries()) {
    await context.step(done / weights.length, `pruning ${weight.id}`);
    const floats = readFloats(weight.tensor);
    const before = floats.slice();
    if (thresholdFor !== undefined) pruneBelow(floats, thresholdFor(floats));
    else if (!pruneTwoOfFour(floats, weight)) left.push(weight.id);
    for (const value of floats) if (value === 0) zeros += 1;
    total += floats.length;
    if (floats.some((value, i) => value !== before[i])) storeWeight(graph, editor, weight, floats, 'pruned');
  }
  const pruned = editor.finish();
  const share = ((100 * zeros) / total).toFixed(1);
  const notes = [
    `${share} % of ${total} weights are zero; ONNX Runtime and LiteRT on CPU gain compressed size only, no speed`,
  ];
  if (left.length > 0)
    notes.push(`${left.length} weights have no input axis of at least 4 for 2:4 and stay dense`);
  if (start !== model)
    notes.push('simplified first, because weights were hidden behind Transpose or Identity');
  const changed = changedNodes(model.graphs[0], pruned);
  return resultOf(model, withMainGraph(start, pruned), changed, notes);
}

/** Gives the threshold of each weight; the object counts down its ties, so a shared one is the same object. */
function thresholds(
  weights: readonly FloatWeight[],
  sparsity: number,
  scope: string,
): (floats: Float32Array) => Threshold {
  if (scope === 'layer') return (floats) => thresholdOf([() => floats], sparsity);
  const parts = weights.map(
    ({ tensor }) =>
      () =>
        scope === 'lamp' ? lampScores(readFloats(tensor)) : readFloats(tensor),
  );
  const shared = thresholdOf(parts, sparsity);
  if (scope === 'global') return () => shared;
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

/** Keeps the two largest of every four neighbours along the input axis; false when there is no such axis. */
function pruneTwoOfFour(floats: Float32Array, { tensor, role }: FloatWeight): boolean {
  const size = role.inputAxis === undefined ? 0 : (tensor.dims[role.inputAxis] as number);
  if (role.inputAxis === undefined || size < 4) return false;
  const step = stridesOf(tensor.dims)[role.inputAxis] as number;
  const block = step * size;
  for (let start = 0; start < floats.length; start += block) {
    for (let lane = 0; lane < step; lane += 1) {
      for (let group = 0; group + 4 <= size; group += 4)
        pruneGroup(floats, start + lane + group * step, step);
    }
  }
  return true;
}

function pruneGroup(floats: Float32Array, first: number, step: number): void {
  for (let pruned = 0; pruned < 2; pruned += 1) {
    let least = -1;
    for (let i = 0; i < 4; i += 1) {
      const at = first + i * step;
      if (floats[at] === 0) continue;
      if (least < 0 || Math.abs(floats[at] as number) < Math.abs(floats[least] as number)) least = at;
    }
    const zeros = [0, 1, 2, 3].filter((i) => floats[first + i * step] === 0).length;
    if (zeros >= 2 || least < 0) return;
    floats[least] = 0;
  }
}
