import { intAttribute } from '../../ir/attribute.ts';
import { GraphEditor } from '../../ir/edit.ts';
import type { Graph, Node, NodeId, TfliteModel, ValueId } from '../../ir/model.ts';
import { withMainGraph } from '../../ir/model.ts';
import { sizeOf } from '../../ir/numbers.ts';
import type { Tensor } from '../../ir/tensor.ts';
import type { WeightRole } from '../../ops/operator.ts';
import { operatorOf } from '../../ops/registry.ts';
import type { PassContext, PassResult } from '../pass.ts';
import { readableConstant } from '../support/constants.ts';
import { factsOf } from '../support/facts.ts';
import { changedNodes, resultOf } from '../support/graph.ts';
import { quantizeWeight } from '../support/quantization.ts';
import { symmetric } from '../support/tflite.ts';
import { wideNotes } from '../support/prepare.ts';
import { withWideWeights } from '../support/widened.ts';

/** Operators with hybrid kernels: float32 activations, int8 weights (LiteRT kernels; see docs/passes.md). */
const hybrid = new Set(['CONV_2D', 'DEPTHWISE_CONV_2D', 'FULLY_CONNECTED', 'TRANSPOSE_CONV']);

/** The same with state of their own, which stays float; their matrices are all of one type, with one scale each. */
export const hybridRecurrent: ReadonlySet<string> = new Set([
  'LSTM',
  'UNIDIRECTIONAL_SEQUENCE_LSTM',
  'BIDIRECTIONAL_SEQUENCE_LSTM',
  'RNN',
  'UNIDIRECTIONAL_SEQUENCE_RNN',
  'BIDIRECTIONAL_SEQUENCE_RNN',
  'SVDF',
]);

interface HybridOptions {
  readonly perChannelDense: boolean;
  readonly smallest: number;
}

/** What became of the layers that were asked for. */
interface HybridLayers {
  readonly model: TfliteModel;
  readonly done: readonly NodeId[];
  /** Layers with fewer weights than the smallest that pay. */
  readonly small: number;
  /** Recurrent layers with peepholes, whose hybrid kernels want those in integers too. */
  readonly peepholes: number;
}

/** Stores weights as int8 and leaves the graph as it is: the kernels quantize their input as they run. */
export async function quantizeDynamicTflite(
  model: TfliteModel,
  options: HybridOptions,
  context: PassContext,
): Promise<PassResult> {
  const wanted = (node: Node) => context.layers === undefined || context.layers.has(node.id);
  const wide = withWideWeights(model, (node) => wanted(node) && hybrid.has(node.op));
  const {
    model: hybridized,
    done,
    small,
    peepholes,
  } = await withHybridWeights(wide.model, options, wanted, context);
  const after = done.length === 0 ? model : hybridized;
  const notes = done.length === 0 ? [] : wideNotes(wide.widened);
  notes.push(`${done.length} layers have int8 weights and float32 activations`);
  if (small > 0) notes.push(`${small} layers with fewer than ${options.smallest} weights left float`);
  if (peepholes > 0) notes.push(`${peepholes} recurrent layers with peepholes left float`);
  notes.push('TensorFlow Lite Micro has no such kernels: use quantize-static for microcontrollers');
  const graph = after.graphs[0];
  return resultOf(model, after, changedNodes(model.graphs[0], graph), notes);
}

/** Gives int8 weights to the wanted layers that have hybrid kernels and float32 activations. */
export async function withHybridWeights(
  model: TfliteModel,
  { perChannelDense, smallest }: HybridOptions,
  wanted: (node: Node) => boolean,
  { step }: Pick<PassContext, 'step'>,
): Promise<HybridLayers> {
  const graph = model.graphs[0];
  const editor = new GraphEditor(graph, model);
  const facts = factsOf(model);
  const stored = new Map<string, ValueId>();
  const done: NodeId[] = [];
  let small = 0;
  let peepholes = 0;
  for (const [index, node] of graph.nodes.entries()) {
    if (!wanted(node)) continue;
    const roles = hybridRoles(model, graph, node);
    if (roles.length === 0 || facts.dtypeOf(node.inputs[0]) !== 'float32') continue;
    const tensorOf = (role: WeightRole) => readableConstant(graph, node.inputs[role.input]) as Tensor;
    if (hasPeepholes(node)) {
      peepholes += 1;
      continue;
    }
    if (roles.reduce((sum, role) => sum + sizeOf(tensorOf(role)), 0) < smallest) {
      small += 1;
      continue;
    }
    await step(index / graph.nodes.length, `quantizing ${node.id}`);
    const inputs = [...node.inputs];
    for (const role of roles) {
      const perTensor = role.kind === 'recurrent' || (role.kind === 'matmul' && !perChannelDense);
      const axis = perTensor ? undefined : role.outputAxis;
      const id = node.inputs[role.input] as ValueId;
      const codes = stored.get(`${id}|${axis}`) ?? store(editor, id, tensorOf(role), axis);
      stored.set(`${id}|${axis}`, codes);
      inputs[role.input] = codes;
    }
    editor.replaceNode(node.id, [{ ...node, inputs }]);
    done.push(node.id);
  }
  return { model: withMainGraph(model, editor.finish()), done, small, peepholes };
}

/** The weights of a layer that a hybrid kernel reads, when all of them are float constants. */
function hybridRoles(model: TfliteModel, graph: Graph, node: Node): readonly WeightRole[] {
  const recurrent = hybridRecurrent.has(node.op);
  if (node.domain !== '' || !(recurrent || hybrid.has(node.op))) return [];
  // The basic LSTM kernel has no hybrid form.
  if (node.op === 'LSTM' && intAttribute(node, 'kernel_type', 0) !== 0) return [];
  const all = operatorOf(model, node)?.weights?.(node, model) ?? [];
  const roles = recurrent ? all : all.slice(0, 1);
  const isFloat = ({ input }: WeightRole) => readableConstant(graph, node.inputs[input])?.dtype === 'float32';
  return roles.every(isFloat) ? roles : [];
}

function hasPeepholes(node: Node): boolean {
  const places = node.op === 'BIDIRECTIONAL_SEQUENCE_LSTM' ? [9, 10, 11, 26, 27, 28] : [9, 10, 11];
  return node.op.endsWith('LSTM') && places.some((place) => node.inputs[place] != null);
}

function store(editor: GraphEditor, id: ValueId, tensor: Tensor, axis: number | undefined): ValueId {
  const { tensor: codes, scales } = quantizeWeight(tensor, axis);
  return editor.addConstant(`${id}_int8`, codes, symmetric(scales, axis ?? 0));
}
