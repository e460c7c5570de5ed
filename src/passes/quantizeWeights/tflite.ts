import { GraphEditor } from '../../ir/edit.ts';
import type { Node, TfliteModel, ValueId } from '../../ir/model.ts';
import { withMainGraph } from '../../ir/model.ts';
import { sizeOf } from '../../ir/numbers.ts';
import { operatorOf } from '../../ops/registry.ts';
import type { PassContext, PassResult } from '../pass.ts';
import { readableConstant } from '../support/constants.ts';
import { factsOf } from '../support/facts.ts';
import { changedNodes, resultOf } from '../support/graph.ts';
import { symmetric } from '../support/tflite.ts';
import { byChannel, encodeWeight } from '../support/weightCodes.ts';
import type { WeightOptions } from './quantizeWeights.ts';

/** Operators whose hybrid kernels read both int8 and int4 weights with a scale per output channel. */
const layers = new Set(['CONV_2D', 'FULLY_CONNECTED']);
/** Operators with a weight that stay float here. */
const others = new Set(['DEPTHWISE_CONV_2D', 'TRANSPOSE_CONV', 'CONV_3D', 'BATCH_MATMUL']);

/** Weights as int8 or int4 with a scale per output channel; the graph stays as it is. */
export async function quantizeWeightsTflite(
  model: TfliteModel,
  { bits, conv, smallest }: WeightOptions,
  context: PassContext,
): Promise<PassResult> {
  const graph = model.graphs[0];
  const editor = new GraphEditor(graph, model);
  const facts = factsOf(model);
  const stored = new Map<ValueId, ValueId>();
  const left = new Map<string, number>();
  const counts = { done: 0, small: 0, slow: 0 };
  for (const [index, node] of graph.nodes.entries()) {
    if (context.layers !== undefined && !context.layers.has(node.id)) continue;
    const role = weightRole(model, node);
    if (role === undefined || facts.dtypeOf(node.inputs[role.activation]) !== 'float32') continue;
    const id = node.inputs[role.input] as ValueId;
    const tensor = readableConstant(graph, id);
    if (tensor?.dtype !== 'float32') continue;
    if (others.has(node.op)) left.set(node.op, (left.get(node.op) ?? 0) + 1);
    else if (sizeOf(tensor) < smallest) counts.small += 1;
    else if (node.op === 'CONV_2D' && bits === 4 && !conv) counts.slow += 1;
    else {
      await context.step(index / graph.nodes.length, `quantizing ${node.id}`);
      let codes = stored.get(id);
      if (codes === undefined) {
        const encoded = encodeWeight(tensor, byChannel(tensor.dims, role.outputAxis), bits);
        const quantization = symmetric(encoded.scales, role.outputAxis);
        codes = editor.addConstant(`${id}_int${bits}`, encoded.codes, quantization);
        stored.set(id, codes);
      }
      const inputs = node.inputs.map((input, at) => (at === role.input ? (codes as ValueId) : input));
      editor.replaceNode(node.id, [{ ...node, inputs }]);
      counts.done += 1;
    }
  }
  const remarks = [...left].map(([op, count]) => `${count} ${op} left float`);
  if (counts.slow > 0) {
    remarks.push(
      `${counts.slow} CONV_2D left float: with 4-bit weights LiteRT has only a slow kernel for them (option conv)`,
    );
  }
  if (counts.small > 0) remarks.push(`${counts.small} layers with fewer than ${smallest} weights left float`);
  if (counts.done === 0) return resultOf(model, model, [], ['there is no weight to quantize', ...remarks]);
  const notes = [
    `weights of ${counts.done} ${counts.done === 1 ? 'layer' : 'layers'} in ${bits} bits; the kernels quantize their float input to 8 bits as they run`,
    ...remarks,
    'TensorFlow Lite Micro has no such kernels, and runtimes before 2025 may refuse them',
  ];
  const result = editor.finish();
  return resultOf(model, withMainGraph(model, result), changedNodes(graph, result), notes);
}

function weightRole(model: TfliteModel, node: Node) {
  if (node.domain !== '' || !(layers.has(node.op) || others.has(node.op))) return undefined;
  return operatorOf(model, node)?.weights?.(node, model)[0];
}
