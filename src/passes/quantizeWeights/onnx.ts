import { attr, floatAttribute, intAttribute } from '../../ir/attribute.ts';
import { GraphEditor } from '../../ir/edit.ts';
import type { DType } from '../../ir/dtype.ts';
import { KerfError } from '../../ir/errors.ts';
import type { Graph, Node, OnnxModel, ValueId } from '../../ir/model.ts';
import { withMainGraph } from '../../ir/model.ts';
import { floatTensor, numberTensor, sizeOf } from '../../ir/numbers.ts';
import type { Tensor } from '../../ir/tensor.ts';
import { tensorType } from '../../ir/types.ts';
import { indexOf } from '../../ir/walk.ts';
import type { PassContext, PassResult } from '../pass.ts';
import { readableConstant, transposed } from '../support/constants.ts';
import type { Facts } from '../support/facts.ts';
import { factsOf } from '../support/facts.ts';
import { bodyNotes } from '../support/bodies.ts';
import { changedNodes, isOnnxOp, opsetOf, resultOf, soleReader } from '../support/graph.ts';
import { blockedOpset, raisedOpset, raiseOpset, twoBitOpset } from '../support/opset.ts';
import { prepared } from '../support/prepare.ts';
import type { DataAware } from '../support/dataRounding.ts';
import { roundedByData } from '../support/dataRounding.ts';
import { storedOrder } from '../support/refit.ts';
import type { RoundedLayer } from '../support/roundLayers.ts';
import type { Grouping } from '../support/grouping.ts';
import type { WeightBits, WeightCodes } from '../support/weightCodes.ts';
import { byBlock, byChannel } from '../support/grouping.ts';
import { codeType, encodeWeight } from '../support/weightCodes.ts';
import { encodeFloat8, float8IrVersion, float8Opset } from './float8.ts';
import type { WeightOptions } from './options.ts';
import { dataRounding, storageNote } from './options.ts';

interface Emitter {
  readonly graph: Graph;
  readonly editor: GraphEditor;
  readonly options: WeightOptions;
  readonly data: DataAware<OnnxModel>;
  /** Codes and scales of a weight, shared by the layers that read it the same way. */
  readonly stored: Map<string, readonly [codes: ValueId, scales: ValueId]>;
}

/**
 * Weights as int8 or int4 behind a DequantizeLinear of their own, which ONNX Runtime joins with the MatMul or Gemm into
 * MatMulNBits while loading. Blocks and int4 need opset 21.
 */
export async function quantizeWeightsOnnx(
  model: OnnxModel,
  options: WeightOptions,
  context: PassContext,
): Promise<PassResult> {
  const ready = await prepared(model, context, (node) => options.conv || node.op !== 'Conv');
  const needed = neededOpset(ready.model, options);
  const raised = raiseOpset(ready.model, needed);
  if ('refusal' in raised) throw new KerfError('unsupported', `opset ${needed} is needed: ${raised.refusal}`);
  const { chosen, remarks } = chooseLayers(raised.model, options, context);
  const data = await roundedByData(
    raised.model,
    chosen,
    dataRounding(options, () => options.packed),
    context,
  );
  const start = data.model;
  const graph = start.graphs[0];
  const emitter: Emitter = { graph, editor: new GraphEditor(graph, start), options, data, stored: new Map() };
  const done = chosen.length;
  await emitAll(emitter, chosen, context);
  // What was prepared is dropped as well, so nothing may be said of it.
  if (done === 0) return resultOf(model, model, [], ['there is no weight to quantize', ...remarks]);
  const notes = [...ready.notes];
  if (opsetOf(model) < opsetOf(start)) notes.push(`opset ${opsetOf(model)} raised to ${opsetOf(start)}`);
  notes.push(
    `weights of ${done} ${done === 1 ? 'layer' : 'layers'} in ${options.type === 'float8' ? 'float8e4m3fn' : `${options.bits} bits`}, activations in float`,
  );
  notes.push(
    ...storageNotes(options),
    options.type === 'float8'
      ? 'ONNX Runtime on a CPU has no float8 kernels and unpacks the weights at every run; int8 is more accurate and faster there'
      : 'fast for one row at a time; for many rows at once, slower than float on ONNX Runtime',
    ...data.notes,
    ...remarks,
  );
  const result = emitter.editor.finish();
  const irVersion = options.type === 'float8' ? Math.max(start.irVersion, float8IrVersion) : start.irVersion;
  return resultOf(
    model,
    { ...withMainGraph(start, result), irVersion },
    changedNodes(model.graphs[0], result),
    notes,
  );
}

/** How codes are stored, where that is not what their bits say. */
function storageNotes({ bits, packed, type }: WeightOptions): string[] {
  if (!packed || type === 'float8') return bits < 4 ? [storageNote(bits)] : [];
  if (bits > 2)
    return [
      `packed is for weights of 2 bits or 1, which these are not`,
      ...(bits < 4 ? [storageNote(bits)] : []),
    ];
  return [
    `stored in two bits each (opset ${twoBitOpset}), which ONNX Runtime 1.30 reads and older runtimes do not`,
  ];
}

function neededOpset(model: OnnxModel, { type, bits, block, packed }: WeightOptions) {
  if (type === 'float8') return opsetOf(model) >= float8Opset ? raisedOpset : blockedOpset;
  if (packed && bits <= 2) return twoBitOpset;
  return bits < 8 || block > 0 ? blockedOpset : raisedOpset;
}

function chooseLayers(model: OnnxModel, options: WeightOptions, context: PassContext) {
  const [graph] = model.graphs;
  const facts = factsOf(model);
  const chosen: Node[] = [];
  let small = 0;
  let convolutions = 0;
  for (const node of graph.nodes) {
    if (context.layers !== undefined && !context.layers.has(node.id)) continue;
    const weight = quantizable(graph, facts, node);
    if (weight === undefined) continue;
    if (node.op === 'Conv' && !options.conv) convolutions += 1;
    else if (sizeOf(weight) < options.smallest) small += 1;
    else chosen.push(node);
  }
  const remarks: string[] = [];
  const whole = options.block === 0 ? 0 : chosen.filter((node) => node.op === 'Conv').length;
  if (whole > 0)
    remarks.push(`${whole} Conv have one scale per output channel: blocks are for MatMul and Gemm`);
  if (convolutions > 0) {
    remarks.push(`${convolutions} Conv left float: unpacking weights at every run is slower (option conv)`);
  }
  if (small > 0) remarks.push(`${small} layers with fewer than ${options.smallest} weights left float`);
  const recurrent = graph.nodes.filter((node) => isOnnxOp(node, 'LSTM', 'GRU', 'RNN')).length;
  if (recurrent > 0) remarks.push(`${recurrent} recurrent layers left float (quantize-dynamic takes LSTM)`);
  remarks.push(...bodyNotes(model));
  return { chosen, remarks };
}

/** Layers keep their ids while they are rounded. */
async function emitAll(emitter: Emitter, chosen: readonly Node[], context: PassContext): Promise<void> {
  const { node: nodes } = indexOf(emitter.graph);
  for (const [index, { id }] of chosen.entries()) {
    await context.step(index / chosen.length, `quantizing ${id}`);
    const node = nodes.get(id) as Node;
    const weight = readableConstant(emitter.graph, node.inputs[1]) as Tensor;
    if (node.op === 'Conv') emitConv(emitter, node, weight);
    else emitMatrix(emitter, node, weight);
  }
}

/** The weight of a layer that the runtime can join with DequantizeLinear, or of a Conv. */
function quantizable(graph: Graph, facts: Facts, node: Node): Tensor | undefined {
  if (!isOnnxOp(node, 'MatMul', 'Gemm', 'Conv') || node.inputs[0] == null) return undefined;
  const weight = readableConstant(graph, node.inputs[1]);
  if (weight?.dtype !== 'float32' || facts.dtypeOf(node.inputs[0]) !== 'float32') return undefined;
  if (node.op === 'Conv') return weight;
  if (weight.dims.length !== 2) return undefined;
  if (node.op === 'MatMul') return weight;
  const plain = intAttribute(node, 'transA', 0) === 0 && floatAttribute(node, 'alpha', 1) === 1;
  return plain && (node.inputs[2] == null || floatAttribute(node, 'beta', 1) === 1) ? weight : undefined;
}

/** The kernel wants [K, N], so a Gemm that stores its weight the other way round is turned. */
function emitMatrix(emitter: Emitter, node: Node, weight: Tensor): void {
  const { block } = emitter.options;
  const bits = emitter.data.bitsOf(node.id);
  const turned = node.op === 'Gemm' && intAttribute(node, 'transB', 0) !== 0;
  const axis = block === 0 ? 1 : 0;
  const id = node.inputs[1] as ValueId;
  const stored = once(emitter, `${id}|${turned}`, id, () => {
    const rounded = emitter.data.rounded.get(node.id);
    if (rounded !== undefined)
      return storedCodes({ ...rounded, outputsFirst: false }, block, codeType(bits, emitter.options.packed));
    const matrix = turned ? transposed(weight, [1, 0]) : weight;
    const dims = matrix.dims as readonly [number, number];
    return encoded(emitter, matrix, block === 0 ? byChannel(dims, 1) : byBlock(dims, block), bits);
  });
  const attributes = turned ? new Map(node.attributes).set('transB', attr.int(0)) : node.attributes;
  emitDequantized(emitter, { ...node, attributes }, stored, axis, block);
}

function emitConv(emitter: Emitter, node: Node, weight: Tensor): void {
  const id = node.inputs[1] as ValueId;
  const bits = emitter.data.bitsOf(node.id);
  const stored = once(emitter, `${id}|conv`, id, () => {
    const rounded = emitter.data.rounded.get(node.id);
    if (rounded !== undefined)
      return storedCodes({ ...rounded, outputsFirst: true }, 0, codeType(bits, emitter.options.packed));
    return encoded(emitter, weight, byChannel(weight.dims, 0), bits);
  });
  emitDequantized(emitter, node, stored, 0, 0);
}

function encoded({ options }: Emitter, tensor: Tensor, grouping: Grouping, bits: WeightBits): WeightCodes {
  if (options.type === 'float8') return encodeFloat8(tensor, grouping);
  return encodeWeight(tensor, grouping, bits, options.packed);
}

/** Codes of a rounded layer as the operator stores them: a matrix inputs first. */
function storedCodes(
  { layer, codes, scales, outputsFirst }: RoundedLayer & { readonly outputsFirst: boolean },
  block: number,
  dtype: DType,
): WeightCodes {
  const { outputs, inputs, weight } = layer;
  const dims = outputsFirst ? weight.dims : [inputs, outputs];
  const ordered = storedOrder({ outputs, inputs, outputsFirst }, codes);
  const blocks = scales.length / outputs;
  const grid = storedOrder({ outputs, inputs: blocks, outputsFirst: false }, scales);
  return {
    codes: numberTensor(dtype, dims, ordered),
    scales: floatTensor(block === 0 ? [outputs] : [blocks, outputs], Float32Array.from(grid)),
  };
}

function once(
  { editor, stored }: Emitter,
  key: string,
  id: ValueId,
  encode: () => WeightCodes,
): readonly [ValueId, ValueId] {
  let found = stored.get(key);
  if (found === undefined) {
    const { codes, scales } = encode();
    found = [editor.addConstant(`${id}_${codes.dtype}`, codes), editor.addConstant(`${id}_scale`, scales)];
    stored.set(key, found);
  }
  return found;
}

/** Each reader has a DequantizeLinear of its own: one with several readers is not joined with any of them. */
function emitDequantized(
  emitter: Emitter,
  node: Node,
  [codes, scales]: readonly [ValueId, ValueId],
  axis: number,
  block: number,
): void {
  const { editor, options } = emitter;
  const output = editor.addValue(`${node.inputs[1]}_dequantized`, { type: tensorType('float32') });
  const id = editor.freshNode(`${node.id}/DequantizeLinear`);
  const attributes = new Map([['axis', attr.int(axis)]]);
  if (block > 0) attributes.set('block_size', attr.int(block));
  const dequantize: Node = {
    id,
    name: id,
    op: 'DequantizeLinear',
    domain: '',
    inputs: [codes, scales],
    outputs: [output],
    attributes,
  };
  const inputs = node.inputs.map((input, index) => (index === 1 ? output : input));
  const layer = { ...node, inputs };
  // Only integer codes are joined with the layer that reads them.
  editor.replaceNode(node.id, [dequantize, ...(options.type === 'float8' ? [layer] : apart(emitter, layer))]);
}

/** Activations that ONNX Runtime joins with a Gemm before it looks for dequantized weights. */
const fusedActivations = [
  'Elu',
  'HardSigmoid',
  'LeakyRelu',
  'Relu',
  'Selu',
  'Sigmoid',
  'Softplus',
  'Softsign',
  'Tanh',
  'ThresholdedRelu',
];

/**
 * A Gemm that an activation follows keeps clear of it: its bias becomes an Add, which the runtime takes into MatMulNBits
 * again, or without one it is a MatMul.
 */
function apart({ editor, graph }: Emitter, node: Node): readonly Node[] {
  const [input, weight, bias] = node.inputs;
  const output = node.outputs[0] as ValueId;
  const reader = node.op === 'Gemm' ? soleReader(graph, output) : undefined;
  if (reader === undefined || !isOnnxOp(reader, ...fusedActivations)) return [node];
  const inputs = [input ?? null, weight ?? null];
  if (bias == null) return [{ ...node, op: 'MatMul', inputs, attributes: new Map() }];
  const product = editor.addValue(`${output}_product`, { type: tensorType('float32') });
  const id = editor.freshNode(`${node.id}/Add`);
  const sum: Node = {
    id,
    name: id,
    op: 'Add',
    domain: '',
    inputs: [product, bias],
    outputs: [output],
    attributes: new Map(),
  };
  return [{ ...node, inputs, outputs: [product] }, sum];
}
