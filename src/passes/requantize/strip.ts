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
  readonly model: OnnxModel;
  /** What the codes of a value could hold: the range it had been given. */
  readonly ranges: ReadonlyMap<ValueId, ObservedRange>;
}

const lowest: Readonly<Record<string, number>> = { uint8: 0, int8: -128, uint16: 0, int16: -32768 };
const codes: Readonly<Record<string, number>> = { uint8: 255, int8: 255, uint16: 65535, int16: 65535 };

/**
 * The float model behind a model with pairs of QuantizeLinear and DequantizeLinear: constants decoded, pairs gone, what had
 * been on codes between them on floats. Throws `KerfError('unsupported')` for pairs whose parameters are not constants.
 */
export function stripped(model: OnnxModel): Stripped {
  const graph = model.graphs[0];
  const editor = new GraphEditor(graph, model);
  const ranges = new Map<ValueId, ObservedRange>();
  /** The float that stands for codes, and the scale it was encoded with. */
  const floats = new Map<ValueId, { readonly id: ValueId; readonly scale: number }>();
  for (const node of graph.nodes) {
    const [input] = node.inputs;
    const [output] = node.outputs;
    if (node.domain !== '' && node.domain !== 'com.microsoft') continue;
    if (input == null || output == null) continue;
    const source = floats.get(input);
    if (node.op === 'QuantizeLinear') {
      const { scale, range } = encodingOf(graph, node);
      const id = editor.resolve(input);
      floats.set(output, { id, scale });
      const reached = neverNegative(graph, input) ? { ...range, min: Math.max(0, range.min) } : range;
      ranges.set(id, widest(ranges.get(id), reached));
      editor.removeNode(node.id);
    } else if (node.op === 'DequantizeLinear' && source !== undefined) {
      dequantize(graph, editor, node, source);
    } else if (node.op === 'DequantizeLinear') {
      const tensor = readableConstant(graph, input);
      if (tensor !== undefined) decode(graph, editor, node, tensor);
    } else if (source !== undefined) {
      floats.set(output, { id: output, scale: source.scale });
      editor.replaceNode(node.id, [onFloats(editor, node, source.id)]);
    }
  }
  return { model: withMainGraph(model, editor.finish()), ranges };
}

const nonNegative = new Set(['Relu', 'Sigmoid', 'HardSigmoid', 'Softmax']);

/** Symmetric codes reach below zero where the values do not; a Relu is only merged into codes that start at zero. */
function neverNegative(graph: Graph, id: ValueId): boolean {
  const maker = indexOf(graph).producer.get(id);
  if (maker?.op !== 'Clip') return maker !== undefined && nonNegative.has(maker.op);
  const low = readableConstant(graph, maker.inputs[1]);
  return low !== undefined && (readFloats(low)[0] ?? -1) >= 0;
}

function widest(a: ObservedRange | undefined, b: ObservedRange): ObservedRange {
  return a === undefined ? b : { min: Math.min(a.min, b.min), max: Math.max(a.max, b.max) };
}

function encodingOf(graph: Graph, node: Node): { readonly scale: number; readonly range: ObservedRange } {
  const scales = readableConstant(graph, node.inputs[1]);
  const zeros = readableConstant(graph, node.inputs[2]);
  const scale = scales && readFloats(scales);
  const dtype = zeros?.dtype ?? 'uint8';
  const low = lowest[dtype];
  const count = codes[dtype];
  if (scale?.length !== 1 || low === undefined || count === undefined) {
    throw new KerfError('unsupported', `${node.id}: activations with other than one constant scale`);
  }
  const [step] = scale as unknown as [number];
  const zero = zeros === undefined ? 0 : (readIntegers(zeros)[0] ?? 0);
  return { scale: step, range: { min: step * (low - zero), max: step * (low + count - zero) } };
}

/** The reader of codes reads the float they came from; under another scale it is that float times a constant. */
function dequantize(
  graph: Graph,
  editor: GraphEditor,
  node: Node,
  source: { readonly id: ValueId; readonly scale: number },
): void {
  const output = node.outputs[0] as ValueId;
  const { scale } = encodingOf(graph, node);
  const ratio = scale / source.scale;
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

/** An operator that moved codes, on floats. What it fills gaps with is the zero point: zero. */
function onFloats(editor: GraphEditor, node: Node, source: ValueId): Node {
  const inputs = [source, ...node.inputs.slice(1)];
  if (node.op === 'Pad' && node.inputs[2] != null) {
    inputs[2] = editor.addConstant(`${node.outputs[0]}_zero`, floatTensor([], Float32Array.of(0)));
  }
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
