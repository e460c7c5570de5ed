import { blockwise } from '../../formats/tflite/extra.ts';
import { GraphEditor } from '../../ir/edit.ts';
import type { Node, NodeId, TfliteModel, ValueId } from '../../ir/model.ts';
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
import { wideNotes } from '../support/prepare.ts';
import { symmetric } from '../support/tflite.ts';
import { withWideWeights } from '../support/widened.ts';
import type { Grouping } from '../support/grouping.ts';
import type { WeightBits } from '../support/weightCodes.ts';
import { byChannel } from '../support/grouping.ts';
import { codeType, encodeWeight } from '../support/weightCodes.ts';
import { hybridRecurrent } from '../quantizeDynamic/tflite.ts';
import type { WeightOptions } from './options.ts';
import { dataRounding, storageNote } from './options.ts';

/** Operators whose hybrid kernels read both int8 and int4 weights with a scale per output channel. */
const layers = new Set(['CONV_2D', 'FULLY_CONNECTED']);
/** Operators with a weight that stay float here; hybrid depthwise kernels are slower than float ones (vww: 0.55 x). */
const others = new Set([
  'DEPTHWISE_CONV_2D',
  'TRANSPOSE_CONV',
  'CONV_3D',
  'BATCH_MATMUL',
  ...hybridRecurrent,
]);

/** Weights as int8 or int4 with a scale per output channel; the graph stays as it is. */
export async function quantizeWeightsTflite(
  stored: TfliteModel,
  options: WeightOptions,
  context: PassContext,
): Promise<PassResult> {
  const wanted = (node: Node) => context.layers === undefined || context.layers.has(node.id);
  const { model, widened } = withWideWeights(stored, (node) => wanted(node) && layers.has(node.op));
  const { chosen, remarks } = chooseLayers(model, options, context);
  if (chosen.length === 0)
    return resultOf(stored, stored, [], ['there is no weight to quantize', ...remarks]);
  const data = await roundedByData(
    model,
    chosen,
    dataRounding(
      options,
      (node) => isPacked(options, node),
      (inputs, width) => blockFor(options, inputs, width),
    ),
    context,
  );
  const graph = data.model.graphs[0];
  const editor = new GraphEditor(graph, data.model);
  const codesOf = new Map<ValueId, ValueId>();
  const blocked = new Set<NodeId>();
  const { node: nodes } = indexOf(graph);
  for (const [index, { id }] of chosen.entries()) {
    await context.step(index / chosen.length, `quantizing ${id}`);
    const node = nodes.get(id) as Node;
    const role = weightRole(data.model, node);
    if (role === undefined) continue;
    const weight = node.inputs[role.input] as ValueId;
    let codes = codesOf.get(weight);
    if (codes === undefined) {
      const tensor = readableConstant(graph, weight) as Tensor;
      const block = blockOf(options, node, tensor, data.bitsOf(id));
      if (block > 0) blocked.add(id);
      const form = { axis: role.outputAxis, block, bits: data.bitsOf(id), twoBits: isPacked(options, node) };
      const made = encoded(tensor, form, data.rounded.get(id));
      let quantization = symmetric(made.scales, role.outputAxis);
      if (block > 0) {
        const dims = [tensor.dims[0] as number, made.scales.length / (tensor.dims[0] as number)];
        const scales = numberTensor('float16', dims, made.scales);
        quantization = blockwise(editor.addConstant(`${weight}_scales`, scales), block);
      }
      codes = editor.addConstant(`${weight}_${made.codes.dtype}`, made.codes, quantization);
      codesOf.set(weight, codes);
    }
    const inputs = node.inputs.map((input, at) => (at === role.input ? (codes as ValueId) : input));
    editor.replaceNode(node.id, [{ ...node, inputs }]);
  }
  const whole = options.block === 0 ? [] : chosen.filter((node) => !blocked.has(node.id));
  if (whole.length > 0)
    remarks.push(
      `${whole.length} layers have one scale per output channel: blocks are for FULLY_CONNECTED in 4 bits whose inputs they divide`,
    );
  const notes = [
    ...wideNotes(widened),
    `weights of ${chosen.length} ${chosen.length === 1 ? 'layer' : 'layers'} in ${options.bits} bits; the kernels quantize their float input to 8 bits as they run`,
    ...storageNotes(options, chosen),
    ...data.notes,
    ...remarks,
    'TensorFlow Lite Micro has no such kernels, and runtimes before 2025 may refuse them',
  ];
  const result = editor.finish();
  return resultOf(stored, withMainGraph(model, result), changedNodes(stored.graphs[0], result), notes);
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
  let already = 0;
  for (const node of graph.nodes) {
    if (wanted !== undefined && !wanted.has(node.id)) continue;
    const role = weightRole(model, node);
    if (role === undefined || facts.dtypeOf(node.inputs[role.activation]) !== 'float32') continue;
    const tensor = readableConstant(graph, node.inputs[role.input]);
    if (tensor?.dtype !== 'float32') {
      if (tensor !== undefined) already += 1;
      continue;
    }
    if (others.has(node.op)) left.set(node.op, (left.get(node.op) ?? 0) + 1);
    else if (sizeOf(tensor) < smallest) small += 1;
    else if (node.op === 'CONV_2D' && bits < 8 && !conv) slow += 1;
    else chosen.push(node);
  }
  const remarks = [...left].map(([op, count]) =>
    hybridRecurrent.has(op)
      ? `${count} ${op} left float: quantize-dynamic gives it int8 matrices`
      : `${count} ${op} left float`,
  );
  if (already > 0) remarks.push(`${already} layers have integer weights already`);
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

/** Whether codes of at most 2 bits are stored in two: where the kernel reads that, which it does not in blocks. */
function isPacked({ packed, bits, block }: WeightOptions, { op }: Node): boolean {
  return packed && bits <= 2 && block === 0 && op === 'FULLY_CONNECTED';
}

function storageNotes(options: WeightOptions, chosen: readonly Node[]): string[] {
  const { bits, packed } = options;
  const others = chosen.filter((node) => !isPacked(options, node)).length;
  const notes = bits < 4 && others > 0 ? [storageNote(bits)] : [];
  if (packed && others > 0)
    notes.push(
      `${others} layers are not packed: LiteRT reads two bits in FULLY_CONNECTED with one scale per output channel, for weights of 2 bits or 1`,
    );
  return notes;
}

/** Elements that share a scale, where LiteRT has such a kernel; 0 for one scale per output channel. */
function blockOf(options: WeightOptions, { op }: Node, { dims }: Tensor, bits: WeightBits): number {
  return op === 'FULLY_CONNECTED' ? blockFor(options, dims[1] ?? 1, bits) : 0;
}

function blockFor({ block }: WeightOptions, inputs: number, bits: WeightBits): number {
  return bits < 8 && block > 0 && inputs % block === 0 ? block : 0;
}

/** One scale per so many elements of a row. */
function alongRows([rows = 1, columns = 1]: readonly number[], block: number): Grouping {
  const blocks = columns / block;
  const outer = rows * blocks;
  return { dims: [rows, blocks], outer, channels: 1, inner: block, first: (at) => at };
}

/** TFLite keeps scales beside the tensor, so they are made at once. */
function encoded(
  tensor: Tensor,
  form: {
    readonly axis: number;
    readonly block: number;
    readonly bits: WeightBits;
    readonly twoBits: boolean;
  },
  rounded: RoundedLayer | undefined,
): { codes: Tensor; scales: Float32Array } {
  const { axis, block, bits, twoBits } = form;
  if (rounded === undefined) {
    const grouping = block > 0 ? alongRows(tensor.dims, block) : byChannel(tensor.dims, axis);
    const { codes, scales } = encodeWeight(tensor, grouping, bits, twoBits);
    return { codes, scales: readFloats(scales) };
  }
  const codes = numberTensor(codeType(bits, twoBits), tensor.dims, storedOrder(rounded.layer, rounded.codes));
  return { codes, scales: rounded.scales };
}
