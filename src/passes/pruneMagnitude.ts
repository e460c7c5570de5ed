import { GraphEditor } from '../ir/edit.ts';
import type { Graph, Model, Node, ValueId } from '../ir/model.ts';
import { withMainGraph } from '../ir/model.ts';
import { numberTensor, readFloats } from '../ir/numbers.ts';
import type { Tensor } from '../ir/tensor.ts';
import { indexOf } from '../ir/walk.ts';
import type { WeightRole } from '../ops/operator.ts';
import { operatorOf } from '../ops/registry.ts';
import type { OptionValues, Pass, PassContext, PassResult } from './pass.ts';
import { readableConstant, stridesOf } from './support/constants.ts';
import { simplify } from './simplify/simplify.ts';
import { changedNodes, isOnnxOp, resultOf } from './support/graph.ts';
import { readOptions } from './support/options.ts';
import { withConstantMakers } from './support/prepare.ts';
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
  appliesTo: (node, model) => prunableRoles(model, model.graphs[0], node).length > 0,
  run: runPrune,
};

interface Prunable {
  readonly id: ValueId;
  readonly tensor: Tensor;
  readonly role: WeightRole;
  readonly readers: readonly Node[];
}

async function runPrune(model: Model, values: OptionValues, context: PassContext): Promise<PassResult> {
  const options = readOptions(pruneMagnitude.options, values);
  const start = hidesWeights(model) ? await withWeights(model, context) : model;
  const graph = start.graphs[0];
  const weights = prunableWeights(start, graph, context.layers);
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
    if (floats.some((value, i) => value !== before[i])) store(graph, editor, weight, floats);
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

async function withWeights(model: Model, context: PassContext): Promise<Model> {
  const { layers } = context;
  const wider = layers && withConstantMakers(model.graphs[0], layers);
  return (await simplify.run(model, {}, { ...context, ...(wider && { layers: wider }) })).model;
}

/** PyTorch exports linear layers with a Transpose between the weight and its MatMul. */
function hidesWeights(model: Model): boolean {
  const { producer } = indexOf(model.graphs[0]);
  return model.graphs[0].nodes.some((node) =>
    (operatorOf(model, node)?.weights?.(node, model) ?? []).some((role) => {
      const maker = producer.get(node.inputs[role.input] ?? '');
      const hides = maker !== undefined && isOnnxOp(maker, 'Transpose', 'Identity');
      return hides && readableConstant(model.graphs[0], maker.inputs[0]) !== undefined;
    }),
  );
}

function prunableRoles(model: Model, graph: Graph, node: Node): readonly WeightRole[] {
  const roles = operatorOf(model, node)?.weights?.(node, model) ?? [];
  return roles.filter((role) => {
    const tensor = role.kind === 'embedding' ? undefined : readableConstant(graph, node.inputs[role.input]);
    return tensor?.dtype === 'float32' || tensor?.dtype === 'float16';
  });
}

/** Every weight once, with the chosen layers that read it. */
function prunableWeights(
  model: Model,
  graph: Graph,
  layers: ReadonlySet<string> | undefined,
): readonly Prunable[] {
  const found = new Map<ValueId, Prunable & { readers: Node[] }>();
  for (const node of graph.nodes) {
    if (layers !== undefined && !layers.has(node.id)) continue;
    for (const role of prunableRoles(model, graph, node)) {
      const id = node.inputs[role.input] as ValueId;
      const known = found.get(id);
      if (known !== undefined) known.readers.push(node);
      else found.set(id, { id, role, tensor: readableConstant(graph, id) as Tensor, readers: [node] });
    }
  }
  return [...found.values()];
}

/** Gives the threshold of each weight; the object counts down its ties, so a shared one is the same object. */
function thresholds(
  weights: readonly Prunable[],
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
function pruneTwoOfFour(floats: Float32Array, { tensor, role }: Prunable): boolean {
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

/** Changes the constant in place, or gives the chosen layers a copy when others read it as well. */
function store(graph: Graph, editor: GraphEditor, weight: Prunable, floats: Float32Array): void {
  const value = graph.values.get(weight.id);
  const tensor = numberTensor(weight.tensor.dtype, weight.tensor.dims, floats);
  const { uses, isOutput } = indexOf(graph);
  const chosen = new Set(weight.readers);
  const others = (uses.get(weight.id) ?? []).some((use) => !chosen.has(use.node));
  const alone = value?.constant !== undefined && !others && !isOutput.has(weight.id);
  if (alone) editor.setValue({ ...value, constant: tensor });
  const id = alone ? weight.id : editor.addConstant(`${weight.id}_pruned`, tensor, value?.quantization);
  for (const node of weight.readers) {
    const inputs = node.inputs.map((input) => (input === weight.id ? id : input));
    editor.replaceNode(node.id, [{ ...node, inputs }]);
  }
}
