import { GraphEditor } from '../../ir/edit.ts';
import { KerfError } from '../../ir/errors.ts';
import type { Graph, Node, OnnxModel, ValueId } from '../../ir/model.ts';
import { withMainGraph } from '../../ir/model.ts';
import { intAttribute } from '../../ir/attribute.ts';
import { floatTensor, readFloats, readIntegers } from '../../ir/numbers.ts';
import type { Tensor } from '../../ir/tensor.ts';
import { indexOf } from '../../ir/walk.ts';
import type { ObservedRange } from '../pass.ts';
import { readableConstant, stridesOf } from '../support/constants.ts';

interface Stripped {
  /** Outputs that were codes are the floats behind them. */
  readonly model: OnnxModel;
  /** What the codes of a value could hold: the range it had been given. */
  readonly ranges: ReadonlyMap<ValueId, ObservedRange>;
  /** By position among the graph's outputs, how those that were codes had been encoded. */
  readonly codedOutputs: ReadonlyMap<number, Encoder>;
}

/** A quantization that gave codes: its node, and the constants it read. */
export interface Encoder {
  readonly node: Node;
  readonly scale: Tensor;
  readonly zero: Tensor | undefined;
}

/** The float that stands for codes, and how it had been encoded. */
interface Source {
  readonly id: ValueId;
  readonly encoder: Encoder;
}

const lowest: Readonly<Record<string, number>> = { uint8: 0, int8: -128, uint16: 0, int16: -32768 };
const codes: Readonly<Record<string, number>> = { uint8: 255, int8: 255, uint16: 65535, int16: 65535 };

/**
 * The float model behind a model with pairs of QuantizeLinear and DequantizeLinear: constants decoded, pairs gone, what had
 * been on codes between them on floats. Throws `KerfError('unsupported')` for pairs whose parameters are not constants, and
 * for codes of different scales that are joined.
 */
export function stripped(model: OnnxModel): Stripped {
  const graph = model.graphs[0];
  const editor = new GraphEditor(graph, model);
  const ranges = new Map<ValueId, ObservedRange>();
  const floats = new Map<ValueId, Source>();
  for (const node of graph.nodes) {
    const [input] = node.inputs;
    const [output] = node.outputs;
    if (node.domain !== '' && node.domain !== 'com.microsoft') continue;
    if (input == null || output == null) continue;
    const source = floats.get(input);
    if (node.op === 'QuantizeLinear') {
      const encoder = encoderOf(graph, node);
      const range = rangeOf(encoder);
      const positive = neverNegative(graph, input);
      const clamp = positive || range.min < 0 ? [] : [activationOf(editor, node, encoder)];
      const id = clamp[0]?.outputs[0] ?? editor.resolve(input);
      floats.set(output, { id, encoder });
      const reached = positive ? { ...range, min: Math.max(0, range.min) } : range;
      ranges.set(id, widest(ranges.get(id), reached));
      editor.replaceNode(node.id, clamp);
    } else if (node.op === 'DequantizeLinear' && source !== undefined) {
      dequantize(graph, editor, node, source);
    } else if (node.op === 'DequantizeLinear') {
      const tensor = readableConstant(graph, input);
      if (tensor !== undefined) decode(graph, editor, node, tensor);
    } else {
      const first = node.inputs.map((id) => floats.get(id ?? '')).find((each) => each !== undefined);
      if (first === undefined) continue;
      // Floats under another name: what was declared of the codes is not true of them.
      const outputs = node.outputs.map((id) => (id === null ? null : editor.addValue(`${id}_float`)));
      const encoder = first.encoder;
      for (const [at, id] of node.outputs.entries())
        if (id !== null) floats.set(id, { id: outputs[at] as ValueId, encoder });
      editor.replaceNode(node.id, [{ ...onFloats(graph, editor, node, floats, encoder), outputs }]);
    }
  }
  const codedOutputs = new Map<number, Encoder>();
  const outputs = graph.outputs.map((id, at) => {
    const source = floats.get(id);
    if (source === undefined) return id;
    codedOutputs.set(at, source.encoder);
    return source.id;
  });
  if (codedOutputs.size > 0) editor.setOutputs(outputs);
  return { model: withMainGraph(model, editor.finish()), ranges, codedOutputs };
}

/** Quantizers leave a Relu or a Relu6 to the codes, which end where it does: without the codes it is needed again. */
function activationOf(editor: GraphEditor, node: Node, encoder: Encoder): Node {
  const output = editor.addValue(`${node.outputs[0]}_activated`);
  const made = { ...node, domain: '', attributes: new Map(), outputs: [output] };
  const input = node.inputs[0] as ValueId;
  if (Math.abs(rangeOf(encoder).max - 6) > stepOf(encoder) / 2)
    return { ...made, op: 'Relu', inputs: [input] };
  const bound = (name: string, value: number) =>
    editor.addConstant(`${output}_${name}`, floatTensor([], Float32Array.of(value)));
  return { ...made, op: 'Clip', inputs: [input, bound('low', 0), bound('high', 6)] };
}

const nonNegative = new Set(['Relu', 'Sigmoid', 'HardSigmoid', 'Softmax']);
const keepsSign = new Set([
  'MaxPool',
  'AveragePool',
  'GlobalAveragePool',
  'GlobalMaxPool',
  'ReduceMean',
  'ReduceMax',
  'Reshape',
  'Flatten',
  'Squeeze',
  'Unsqueeze',
  'Transpose',
  'Slice',
]);

/** Symmetric codes reach below zero where the values do not; a Relu is only merged into codes that start at zero. */
function neverNegative(graph: Graph, id: ValueId): boolean {
  const maker = indexOf(graph).producer.get(id);
  const [input] = maker?.inputs ?? [];
  if (maker === undefined || input == null) return false;
  if (nonNegative.has(maker.op)) return true;
  if (keepsSign.has(maker.op)) return neverNegative(graph, input);
  if (maker.op === 'DequantizeLinear') {
    const zeros = readableConstant(graph, maker.inputs[2]);
    const low = lowest[zeros?.dtype ?? 'uint8'];
    return zeros === undefined ? maker.inputs[2] == null : readIntegers(zeros).every((zero) => zero === low);
  }
  if (maker.op !== 'Clip') return false;
  const low = readableConstant(graph, maker.inputs[1]);
  return low !== undefined && (readFloats(low)[0] ?? -1) >= 0;
}

function widest(a: ObservedRange | undefined, b: ObservedRange): ObservedRange {
  return a === undefined ? b : { min: Math.min(a.min, b.min), max: Math.max(a.max, b.max) };
}

function encoderOf(graph: Graph, node: Node): Encoder {
  const scale = readableConstant(graph, node.inputs[1]);
  const zero = readableConstant(graph, node.inputs[2]);
  const isKnown = scale !== undefined && readFloats(scale).length === 1 && (zero?.dtype ?? 'uint8') in codes;
  if (!isKnown || (node.inputs[2] != null && zero === undefined))
    throw new KerfError('unsupported', `${node.id}: activations with other than one constant scale`);
  return { node, scale, zero };
}

function stepOf({ scale }: Encoder): number {
  return readFloats(scale)[0] as number;
}

function zeroOf({ zero }: Encoder): number {
  return zero === undefined ? 0 : (readIntegers(zero)[0] ?? 0);
}

function rangeOf(encoder: Encoder): ObservedRange {
  const dtype = encoder.zero?.dtype ?? 'uint8';
  const [step, zero, low] = [stepOf(encoder), zeroOf(encoder), lowest[dtype] as number];
  return { min: step * (low - zero), max: step * (low + (codes[dtype] as number) - zero) };
}

function sameScale(a: Encoder, b: Encoder): boolean {
  return Math.abs(stepOf(a) / stepOf(b) - 1) <= 1e-6 && zeroOf(a) === zeroOf(b);
}

/** The reader of codes reads the float they came from; under another scale it is that float times a constant. */
function dequantize(graph: Graph, editor: GraphEditor, node: Node, source: Source): void {
  const output = node.outputs[0] as ValueId;
  const ratio = stepOf(encoderOf(graph, node)) / stepOf(source.encoder);
  if (Math.abs(ratio - 1) > 1e-6) {
    const factor = editor.addConstant(`${output}_factor`, floatTensor([], Float32Array.of(ratio)));
    editor.replaceNode(node.id, [
      { ...node, op: 'Mul', domain: '', inputs: [source.id, factor], attributes: new Map() },
    ]);
  } else if (indexOf(graph).isOutput.has(output)) {
    editor.replaceNode(node.id, [
      { ...node, op: 'Identity', domain: '', inputs: [source.id], attributes: new Map() },
    ]);
  } else {
    editor.removeNode(node.id);
    editor.replaceUses(output, source.id);
  }
}

/** An operator that moved or compared codes, on floats; constants among its operands that are codes are decoded. */
function onFloats(
  graph: Graph,
  editor: GraphEditor,
  node: Node,
  floats: ReadonlyMap<ValueId, Source>,
  encoder: Encoder,
): Node {
  const dtype = encoder.zero?.dtype ?? 'uint8';
  const inputs = node.inputs.map((id, at) => {
    if (id === null) return null;
    const source = floats.get(id);
    if (source !== undefined) {
      if (!sameScale(source.encoder, encoder))
        throw new KerfError('unsupported', `${node.id}: joins codes of different scales`);
      return source.id;
    }
    const constant = readableConstant(graph, id);
    if (constant?.dtype !== dtype) return id;
    const values = Float32Array.from(
      readIntegers(constant),
      (code) => (code - zeroOf(encoder)) * stepOf(encoder),
    );
    return editor.addConstant(`${node.outputs[0]}_in${at}`, floatTensor(constant.dims, values));
  });
  return { ...node, inputs };
}

/** Puts a decoded constant in the place of a dequantized one. */
function decode(graph: Graph, editor: GraphEditor, node: Node, tensor: Tensor): void {
  const scales = readableConstant(graph, node.inputs[1]);
  const zeros = readableConstant(graph, node.inputs[2]);
  if (scales === undefined || (node.inputs[2] != null && zeros === undefined)) return;
  if (intAttribute(node, 'block_size', 0) !== 0) return;
  const scale = readFloats(scales);
  const zero = zeros === undefined ? [] : readIntegers(zeros);
  const rank = tensor.dims.length;
  const axis = (intAttribute(node, 'axis', 1) + rank) % Math.max(1, rank);
  const inner = scale.length > 1 ? (stridesOf(tensor.dims)[axis] as number) : 1;
  const values = Float32Array.from(readIntegers(tensor), (code, i) => {
    const channel = scale.length > 1 ? Math.floor(i / inner) % scale.length : 0;
    return (code - (zero[channel] ?? 0)) * (scale[channel] as number);
  });
  const output = node.outputs[0] as ValueId;
  editor.removeNode(node.id);
  editor.replaceUses(output, editor.addConstant(output, floatTensor(tensor.dims, values)));
}
