import { intAttribute } from '../../../ir/attribute.ts';
import type { DType } from '../../../ir/dtype.ts';
import { GraphEditor } from '../../../ir/edit.ts';
import type { Graph, Node, OnnxModel, Quantization, Value, ValueId } from '../../../ir/model.ts';
import { withMainGraph } from '../../../ir/model.ts';
import { floatTensor, readFloats, readIntegers, sizeOf } from '../../../ir/numbers.ts';
import type { Tensor } from '../../../ir/tensor.ts';
import { tensorType } from '../../../ir/types.ts';
import { indexOf } from '../../../ir/walk.ts';
import type { ObservedRange } from '../../pass.ts';
import { isBuiltin, readableConstant } from '../../support/constants.ts';
import { pairsOfWholeCodes } from '../wholeCodes.ts';
import { withoutDynamicRounding } from '../dynamicRounding.ts';
import type { StoredCodes } from './emission.ts';

/** A QDQ model without its Q and DQ: the float graph, and what the pairs said. */
interface Unquantized {
  readonly model: OnnxModel;
  /** Real numbers that the codes of a value reach from and to. */
  readonly ranges: ReadonlyMap<ValueId, ObservedRange>;
  /** Codes of weights, by the float constant that stands for them. */
  readonly codes: ReadonlyMap<ValueId, StoredCodes>;
  /** Inputs and outputs that are codes in the file. */
  readonly ends: ReadonlyMap<ValueId, DType>;
}

const limits: Partial<Record<DType, readonly [number, number]>> = {
  int8: [-128, 127],
  uint8: [0, 255],
};

interface Parameters {
  readonly dtype: DType;
  readonly scale: Float32Array;
  readonly zero: readonly number[];
  readonly axis: number;
}

/**
 * Takes QuantizeLinear and DequantizeLinear with constant scales out. Weights are folded to floats and their codes kept,
 * activations keep the range of their codes. Gives the model itself when there are none.
 */
export function withoutQuantization(quantized: OnnxModel): Unquantized {
  const model = withoutDynamicRounding(quantized);
  const [graph] = model.graphs;
  const { isOutput } = indexOf(graph);
  const editor = new GraphEditor(graph, model);
  const ranges = new Map<ValueId, ObservedRange>();
  const codes = new Map<ValueId, StoredCodes>();
  const ends = new Map<ValueId, DType>();
  const inputs = new Set(graph.inputs);
  const coded = new Map<ValueId, Parameters>();
  const rounding = pairsOfWholeCodes(graph);
  for (const node of graph.nodes) {
    const [source] = node.inputs;
    const [made] = node.outputs;
    const clipped = isBuiltin(node) && node.op === 'Clip' && source != null ? coded.get(source) : undefined;
    if (clipped !== undefined && made != null) {
      clipReals(editor, graph, node, clipped);
      coded.set(made, clipped);
      continue;
    }
    const quantizes = isBuiltin(node) && node.op === 'QuantizeLinear';
    if (source == null || made == null || !(quantizes || (isBuiltin(node) && node.op === 'DequantizeLinear')))
      continue;
    const parameters = parametersOf(model, node, source);
    if (parameters === undefined) continue;
    const constant = readableConstant(graph, source);
    if (!quantizes && constant !== undefined) {
      const id = editor.addConstant(`${made}_folded`, decoded(constant, parameters));
      const stored = storedCodes(constant, parameters);
      if (stored !== undefined) codes.set(id, stored);
      replace(editor, node, made, id);
      continue;
    }
    const range = rangeOf(parameters);
    if (range === undefined) continue;
    const value = editor.resolve(source);
    if (rounding.has(node)) {
      replace(editor, node, made, value);
      continue;
    }
    if (!ranges.has(value)) ranges.set(value, range);
    if (quantizes) coded.set(made, parameters);
    if (inputs.has(source) && !quantizes) {
      ends.set(source, parameters.dtype);
      editor.setValue(asFloat(graph.values.get(source) as Value));
    }
    if (isOutput.has(made)) {
      if (quantizes) ends.set(made, parameters.dtype);
      keepName(editor, node, made);
      if (quantizes) {
        editor.setValue(asFloat(graph.values.get(made) as Value));
        ranges.set(made, range);
      }
    } else replace(editor, node, made, value);
  }
  return { model: withMainGraph(model, editor.finish()), ranges, codes, ends };
}

/** A Clip of codes, once its input holds real numbers. */
function clipReals(editor: GraphEditor, graph: Graph, node: Node, { scale, zero }: Parameters): void {
  const [value, ...ends] = node.inputs;
  const bounds = ends.map((end) => {
    const codes = readableConstant(graph, end);
    if (codes === undefined) return end;
    const reals = readFloats(codes).map((code) => (code - (zero[0] ?? 0)) * (scale[0] as number));
    return editor.addConstant(`${node.outputs[0]}_bound`, floatTensor(codes.dims, reals));
  });
  editor.replaceNode(node.id, [{ ...node, inputs: [value as ValueId, ...bounds] }]);
  const made = graph.values.get(node.outputs[0] as ValueId);
  if (made !== undefined) editor.setValue(asFloat(made));
}

function parametersOf(model: OnnxModel, node: Node, source: ValueId): Parameters | undefined {
  const graph = model.graphs[0];
  const scale = readableConstant(graph, node.inputs[1]);
  const zero = node.inputs[2] == null ? undefined : readableConstant(graph, node.inputs[2]);
  if (scale === undefined || (node.inputs[2] != null && zero === undefined)) return undefined;
  if (intAttribute(node, 'block_size', 0) > 0) return undefined;
  const stored = readableConstant(graph, source)?.dtype;
  const dtype = zero?.dtype ?? stored ?? 'uint8';
  return {
    dtype,
    scale: readFloats(scale),
    zero: zero === undefined ? [0] : readIntegers(zero),
    axis: intAttribute(node, 'axis', 1),
  };
}

function rangeOf({ dtype, scale, zero }: Parameters): ObservedRange | undefined {
  const limit = limits[dtype];
  const [step] = scale;
  if (limit === undefined || step === undefined || scale.length !== 1) return undefined;
  const [offset = 0] = zero;
  return { min: (limit[0] - offset) * step, max: (limit[1] - offset) * step };
}

/** Real numbers of a constant of codes. */
function decoded(tensor: Tensor, { scale, zero, axis }: Parameters): Tensor {
  const channel = channelOf(tensor, scale.length, axis);
  const values = readFloats(tensor).map((code, i) => {
    const c = channel(i);
    return (code - (zero[zero.length > 1 ? c : 0] ?? 0)) * (scale[c] as number);
  });
  return floatTensor(tensor.dims, values);
}

function channelOf(tensor: Tensor, count: number, axis: number): (index: number) => number {
  if (count === 1) return () => 0;
  const at = axis < 0 ? axis + tensor.dims.length : axis;
  const inner = tensor.dims.slice(at + 1).reduce((product, dim) => product * dim, 1);
  return (index) => Math.floor(index / inner) % count;
}

/** Symmetric 8-bit codes can stay as they are; TFLite knows no others for weights. */
function storedCodes(tensor: Tensor, { dtype, scale, zero, axis }: Parameters): StoredCodes | undefined {
  if (dtype !== 'int8' || tensor.dims.length < 2 || sizeOf(tensor) === 0) return undefined;
  if (zero.some((each) => each !== 0)) return undefined;
  const at = axis < 0 ? axis + tensor.dims.length : axis;
  const quantization: Quantization = { scale, zeroPoint: Array.from(scale, () => 0), axis: at };
  return { tensor, quantization };
}

function asFloat(value: Value): Value {
  const shape = value.type?.kind === 'tensor' ? value.type.shape : undefined;
  return { ...value, type: tensorType('float32', shape) };
}

function replace(editor: GraphEditor, node: Node, made: ValueId, by: ValueId): void {
  editor.removeNode(node.id);
  editor.replaceUses(made, by);
}

/** The name of an output stays: an Identity makes it. */
function keepName(editor: GraphEditor, node: Node, made: ValueId): void {
  const {
    inputs: [source],
    ...rest
  } = node;
  editor.replaceNode(node.id, [
    { ...rest, op: 'Identity', inputs: [source as ValueId], outputs: [made], attributes: new Map() },
  ]);
}
