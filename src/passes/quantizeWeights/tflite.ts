import { GraphEditor } from '../../ir/edit.ts';
import type { Node, TfliteModel, ValueId } from '../../ir/model.ts';
import { withMainGraph } from '../../ir/model.ts';
import { numberTensor, readFloats, sizeOf } from '../../ir/numbers.ts';
import type { Tensor } from '../../ir/tensor.ts';
import { indexOf } from '../../ir/walk.ts';
import { operatorOf } from '../../ops/registry.ts';
import type { PassContext, PassResult } from '../pass.ts';
import { readableConstant } from '../support/constants.ts';
import { factsOf } from '../support/facts.ts';
import { changedNodes, resultOf } from '../support/graph.ts';
import { roundedByData } from '../support/dataRounding.ts';
import { storedOrder } from '../support/refit.ts';
import type { RoundedLayer } from '../support/roundLayers.ts';
import { symmetric } from '../support/tflite.ts';
import type { WeightBits } from '../support/weightCodes.ts';
import { byChannel, codeType, encodeWeight } from '../support/weightCodes.ts';
import type { WeightOptions } from './options.ts';
import { dataRounding, storageNote } from './options.ts';

/** Operators whose hybrid kernels read both int8 and int4 weights with a scale per output channel. */
const layers = new Set(['CONV_2D', 'FULLY_CONNECTED']);
/** Operators with a weight that stay float here. */
const others = new Set(['DEPTHWISE_CONV_2D', 'TRANSPOSE_CONV', 'CONV_3D', 'BATCH_MATMUL']);

/** Weights as int8 or int4 with a scale per output channel; the graph stays as it is. */
export async function quantizeWeightsTflite(
  model: TfliteModel,
  options: WeightOptions,
  context: PassContext,
): Promise<PassResult> {
  const { chosen, remarks } = chooseLayers(model, options, context);
  if (chosen.length === 0) return resultOf(model, model, [], ['there is no weight to quantize', ...remarks]);
  const data = await roundedByData(model, chosen, dataRounding(options), context);
  const graph = data.model.graphs[0];
  const editor = new GraphEditor(graph, data.model);
  const stored = new Map<ValueId, ValueId>();
  const { node: nodes } = indexOf(graph);
  for (const [index, { id }] of chosen.entries()) {
    await context.step(index / chosen.length, `quantizing ${id}`);
    const node = nodes.get(id) as Node;
    const role = weightRole(data.model, node);
    if (role === undefined) continue;
    const weight = node.inputs[role.input] as ValueId;
    let codes = stored.get(weight);
    if (codes === undefined) {
      const tensor = readableConstant(graph, weight) as Tensor;
      const made = encoded(tensor, role.outputAxis, data.bitsOf(id), data.rounded.get(id));
      const quantization = symmetric(made.scales, role.outputAxis);
      codes = editor.addConstant(`${weight}_${made.codes.dtype}`, made.codes, quantization);
      stored.set(weight, codes);
    }
    const inputs = node.inputs.map((input, at) => (at === role.input ? (codes as ValueId) : input));
    editor.replaceNode(node.id, [{ ...node, inputs }]);
  }
  const notes = [
    `weights of ${chosen.length} ${chosen.length === 1 ? 'layer' : 'layers'} in ${options.bits} bits; the kernels quantize their float input to 8 bits as they run`,
    ...(options.bits < 4 ? [storageNote(options.bits)] : []),
    ...data.notes,
    ...remarks,
    'TensorFlow Lite Micro has no such kernels, and runtimes before 2025 may refuse them',
  ];
  const result = editor.finish();
  return resultOf(model, withMainGraph(model, result), changedNodes(model.graphs[0], result), notes);
}

function chooseLayers(
  model: TfliteModel,
  { bits, conv, smallest }: WeightOptions,
  { layers: wanted }: PassContext,
) {
  const graph = model.graphs[0];
  const facts = factsOf(model);
  const left = new Map<string, number>();
  const chosen: Node[] = [];
  let small = 0;
  let slow = 0;
  for (const node of graph.nodes) {
    if (wanted !== undefined && !wanted.has(node.id)) continue;
    const role = weightRole(model, node);
    if (role === undefined || facts.dtypeOf(node.inputs[role.activation]) !== 'float32') continue;
    const tensor = readableConstant(graph, node.inputs[role.input]);
    if (tensor?.dtype !== 'float32') continue;
    if (others.has(node.op)) left.set(node.op, (left.get(node.op) ?? 0) + 1);
    else if (sizeOf(tensor) < smallest) small += 1;
    else if (node.op === 'CONV_2D' && bits < 8 && !conv) slow += 1;
    else chosen.push(node);
  }
  const remarks = [...left].map(([op, count]) => `${count} ${op} left float`);
  if (slow > 0) {
    remarks.push(
      `${slow} CONV_2D left float: with 4-bit weights LiteRT has only a slow kernel for them (option conv)`,
    );
  }
  if (small > 0) remarks.push(`${small} layers with fewer than ${smallest} weights left float`);
  return { chosen, remarks };
}

function weightRole(model: TfliteModel, node: Node) {
  if (node.domain !== '' || !(layers.has(node.op) || others.has(node.op))) return undefined;
  return operatorOf(model, node)?.weights?.(node, model)[0];
}

/** TFLite keeps scales beside the tensor, so they are made at once. */
function encoded(
  tensor: Tensor,
  axis: number,
  bits: WeightBits,
  rounded: RoundedLayer | undefined,
): { codes: Tensor; scales: Float32Array } {
  if (rounded === undefined) {
    const { codes, scales } = encodeWeight(tensor, byChannel(tensor.dims, axis), bits);
    return { codes, scales: readFloats(scales) };
  }
  const codes = numberTensor(codeType(bits), tensor.dims, storedOrder(rounded.layer, rounded.codes));
  return { codes, scales: rounded.scales };
}
