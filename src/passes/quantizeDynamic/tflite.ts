import { GraphEditor } from '../../ir/edit.ts';
import type { Graph, Node, TfliteModel, ValueId } from '../../ir/model.ts';
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

/** Operators with hybrid kernels: float32 activations, int8 weights (LiteRT kernels; see docs/passes.md). */
const hybrid = new Set(['CONV_2D', 'DEPTHWISE_CONV_2D', 'FULLY_CONNECTED', 'TRANSPOSE_CONV']);

export interface HybridOptions {
  readonly perChannelDense: boolean;
  readonly smallest: number;
}

/** Stores weights as int8 and leaves the graph as it is: the kernels quantize their input as they run. */
export async function quantizeDynamicTflite(
  model: TfliteModel,
  options: HybridOptions,
  context: PassContext,
): Promise<PassResult> {
  const graph = model.graphs[0];
  const editor = new GraphEditor(graph, model);
  const facts = factsOf(model);
  const stored = new Map<string, ValueId>();
  let done = 0;
  let small = 0;
  for (const [index, node] of graph.nodes.entries()) {
    if (context.layers !== undefined && !context.layers.has(node.id)) continue;
    const role = hybridRole(model, graph, node);
    if (role === undefined) continue;
    if (facts.dtypeOf(node.inputs[role.activation]) !== 'float32') continue;
    const tensor = readableConstant(graph, node.inputs[role.input]) as Tensor;
    if (sizeOf(tensor) < options.smallest) {
      small += 1;
      continue;
    }
    await context.step(index / graph.nodes.length, `quantizing ${node.id}`);
    const axis = role.kind === 'matmul' && !options.perChannelDense ? undefined : role.outputAxis;
    const id = node.inputs[role.input] as ValueId;
    const inputs = [...node.inputs];
    inputs[role.input] = stored.get(`${id}|${axis}`) ?? store(editor, id, tensor, axis);
    stored.set(`${id}|${axis}`, inputs[role.input] as ValueId);
    editor.replaceNode(node.id, [{ ...node, inputs }]);
    done += 1;
  }
  const notes = [`${done} layers have int8 weights and float32 activations`];
  if (small > 0) notes.push(`${small} layers with fewer than ${options.smallest} weights left float`);
  notes.push('TensorFlow Lite Micro has no such kernels: use quantize-static for microcontrollers');
  const result = editor.finish();
  return resultOf(model, withMainGraph(model, result), changedNodes(graph, result), notes);
}

function hybridRole(model: TfliteModel, graph: Graph, node: Node): WeightRole | undefined {
  if (node.domain !== '' || !hybrid.has(node.op)) return undefined;
  const role = operatorOf(model, node)?.weights?.(node, model)[0];
  return role && readableConstant(graph, node.inputs[role.input])?.dtype === 'float32' ? role : undefined;
}

function store(editor: GraphEditor, id: ValueId, tensor: Tensor, axis: number | undefined): ValueId {
  const { tensor: codes, scales } = quantizeWeight(tensor, axis);
  return editor.addConstant(`${id}_int8`, codes, symmetric(scales, axis ?? 0));
}
