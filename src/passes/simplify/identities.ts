import { intAttribute, intsAttribute } from '../../ir/attribute.ts';
import type { Graph, Model, Node, ValueId } from '../../ir/model.ts';
import { indexOf } from '../../ir/walk.ts';
import { isFloat } from '../../ir/dtype.ts';
import { isBuiltin, readableConstant, sameTensor } from '../support/constants.ts';
import type { Facts } from '../support/facts.ts';
import { isOnnxOp, opsetOf } from '../support/graph.ts';
import { numbersOf } from './numbers.ts';

/** Where rules look things up. */
export interface View {
  readonly model: Model;
  readonly graph: Graph;
  readonly facts: Facts;
}

const reshapers = new Set(['Reshape', 'Flatten', 'Squeeze', 'Unsqueeze']);
const tfliteReshapers = new Set(['RESHAPE', 'SQUEEZE', 'EXPAND_DIMS']);

/** True for operators that only give the same elements other dimensions. */
function isReshaper(model: Model, node: Node): boolean {
  if (!isBuiltin(node)) return false;
  return (model.dialect === 'onnx' ? reshapers : tfliteReshapers).has(node.op);
}

/** Index of the input that the node's first output equals element by element, or `undefined`. */
export function passedThrough(view: View, node: Node): number | undefined {
  if (!isBuiltin(node)) return undefined;
  if (node.inputs[0] == null || node.outputs[0] == null) return undefined;
  return view.model.dialect === 'onnx' ? onnxPassed(view, node) : tflitePassed(view, node);
}

function onnxPassed(view: View, node: Node): number | undefined {
  switch (node.op) {
    case 'Identity':
      return 0;
    case 'Relu':
      return followsRelu(view, node) ? 0 : undefined;
    case 'Dropout':
      return isInferenceDropout(view, node) ? 0 : undefined;
    case 'Cast':
      return sameDtype(view, node) ? 0 : undefined;
    case 'Transpose':
      return isIdentityOrder(intsAttribute(node, 'perm')) ? 0 : undefined;
    case 'Concat':
    case 'Sum':
    case 'Max':
    case 'Min':
    case 'Mean':
      return node.inputs.length === 1 ? 0 : undefined;
    case 'Split':
      return node.outputs.length === 1 && sameDims(view, node) ? 0 : undefined;
    case 'Reshape':
    case 'Flatten':
    case 'Squeeze':
    case 'Unsqueeze':
    case 'Expand':
      return sameDims(view, node) ? 0 : undefined;
    case 'Slice':
      return sameDims(view, node) && hasUnitSteps(view, node) ? 0 : undefined;
    case 'Pad':
      return isZeroPad(view, node) && sameDims(view, node) ? 0 : undefined;
    case 'Add':
    case 'Sub':
    case 'Mul':
    case 'Div':
      return neutralPassed(view, node);
    default:
      return undefined;
  }
}

function tflitePassed(view: View, node: Node): number | undefined {
  const [x] = node.inputs as [ValueId];
  const [y] = node.outputs as [ValueId];
  if (!sameQuantization(view.graph, x, y) || !sameSignature(view.graph, x, y)) return undefined;
  switch (node.op) {
    case 'RESHAPE':
    case 'SQUEEZE':
      return sameDims(view, node) && sameDtype(view, node) ? 0 : undefined;
    case 'CAST':
    case 'QUANTIZE':
      return sameDtype(view, node) ? 0 : undefined;
    case 'TRANSPOSE': {
      const order = readableConstant(view.graph, node.inputs[1]);
      return order && isIdentityOrder(Array.from(numbersOf(order)?.values ?? [1])) ? 0 : undefined;
    }
    case 'RELU':
      return followsRelu(view, node) ? 0 : undefined;
    case 'PAD':
      return isAllZero(view, node.inputs[1]) ? 0 : undefined;
    case 'CONCATENATION':
      return node.inputs.length === 1 && intAttribute(node, 'fused_activation_function', 0) === 0
        ? 0
        : undefined;
    default:
      return undefined;
  }
}

/** What a ReLU gives, another one leaves alone. */
function followsRelu({ graph }: View, node: Node): boolean {
  const maker = indexOf(graph).producer.get(node.inputs[0] as ValueId);
  if (maker === undefined || !isBuiltin(maker)) return false;
  return maker.op === node.op || intAttribute(maker, 'fused_activation_function', 0) === reluCode;
}

/** TFLite ActivationFunctionType. */
const reluCode = 1;

function sameDtype({ facts }: View, node: Node): boolean {
  const from = facts.dtypeOf(node.inputs[0]);
  return from !== undefined && from === facts.dtypeOf(node.outputs[0]);
}

/** Both shapes are fully known and equal; a symbol stands for one number, so equal symbols are equal dimensions. */
function sameDims({ facts }: View, node: Node): boolean {
  const from = facts.typeOf(node.inputs[0])?.shape;
  const to = facts.typeOf(node.outputs[0])?.shape;
  if (from === undefined || to === undefined || from.length !== to.length) return false;
  return from.every((dim, i) => dim !== null && dim === to[i]);
}

function isIdentityOrder(perm: readonly number[] | undefined): boolean {
  return perm !== undefined && perm.every((axis, i) => axis === i);
}

/** Opset 12 made training an input; before 7 it was `is_test`. The mask output must not be wanted. */
function isInferenceDropout({ model, graph }: View, node: Node): boolean {
  const mask = node.outputs[1];
  if (mask != null && (indexOf(graph).uses.has(mask) || indexOf(graph).isOutput.has(mask))) return false;
  if (model.dialect === 'onnx' && opsetOf(model) < 7) return intAttribute(node, 'is_test', 0) === 1;
  const zero = (input: number) => {
    const constant = readableConstant(graph, node.inputs[input]);
    return constant !== undefined && numbersOf(constant)?.values[0] === 0;
  };
  // In training mode a ratio of 0 drops nothing either; exporters write that.
  return node.inputs[2] == null || zero(2) || zero(1);
}

function hasUnitSteps({ graph }: View, node: Node): boolean {
  const steps = node.inputs[4];
  if (steps == null) return true;
  const constant = readableConstant(graph, steps);
  return constant !== undefined && (numbersOf(constant)?.values.every((step) => step === 1) ?? false);
}

function isZeroPad(view: View, node: Node): boolean {
  const pads = intsAttribute(node, 'pads') ?? intsAttribute(node, 'paddings');
  return pads === undefined ? isAllZero(view, node.inputs[1]) : pads.every((pad) => pad === 0);
}

function isAllZero({ graph }: View, id: ValueId | null | undefined): boolean {
  const constant = readableConstant(graph, id);
  return constant !== undefined && (numbersOf(constant)?.values.every((value) => value === 0) ?? false);
}

/** `x + 0`, `x - 0`, `x * 1` and `x / 1`, when broadcasting does not change the shape either. */
function neutralPassed(view: View, node: Node): number | undefined {
  const neutral = node.op === 'Mul' || node.op === 'Div' ? 1 : 0;
  const commutes = node.op === 'Add' || node.op === 'Mul';
  for (const side of commutes ? [1, 0] : [1]) {
    const constant = readableConstant(view.graph, node.inputs[side]);
    if (constant === undefined || constant.data.length > 65_536) continue;
    if (!isFloat(constant.dtype) && neutral === 1 && node.op === 'Div') continue;
    const values = numbersOf(constant)?.values;
    const other = view.facts.typeOf(node.inputs[1 - side])?.shape;
    const out = view.facts.typeOf(node.outputs[0])?.shape;
    if (values === undefined || other === undefined || out === undefined) continue;
    const same = other.length === out.length && other.every((dim, i) => dim !== null && dim === out[i]);
    if (same && values.every((value) => value === neutral)) return 1 - side;
  }
  return undefined;
}

function sameQuantization(graph: Graph, a: ValueId, b: ValueId): boolean {
  const first = graph.values.get(a)?.quantization;
  const second = graph.values.get(b)?.quantization;
  if (first === undefined || second === undefined) return first === second;
  if (first.details !== undefined || second.details !== undefined) return false;
  if (first.scale.length !== second.scale.length || first.scale.length > 1) return false;
  return first.scale[0] === second.scale[0] && first.zeroPoint[0] === second.zeroPoint[0];
}

function sameSignature(graph: Graph, a: ValueId, b: ValueId): boolean {
  const first = graph.values.get(a)?.signature;
  const second = graph.values.get(b)?.signature;
  if (first === undefined && second === undefined) return true;
  return first?.length === second?.length && (first ?? []).every((dim, i) => dim === second?.[i]);
}

/**
 * A cheaper node that computes the same: two transposes become one, a reshape of a reshape reads the source.
 * `undefined` when there is nothing to gain.
 */
export function shortened(view: View, node: Node): Node | undefined {
  const source = node.inputs[0];
  if (source == null || view.model.dialect !== 'onnx') return undefined;
  const before = indexOf(view.graph).producer.get(source);
  if (before === undefined || before.inputs[0] == null) return undefined;
  if (isOnnxOp(node, 'Transpose') && isOnnxOp(before, 'Transpose')) {
    const outer = intsAttribute(node, 'perm');
    const inner = intsAttribute(before, 'perm');
    if (outer === undefined || inner === undefined || inner.length !== outer.length) return undefined;
    const perm = outer.map((axis) => inner[axis] as number);
    const attributes = new Map(node.attributes).set('perm', { kind: 'ints', value: perm });
    return { ...node, inputs: [before.inputs[0]], attributes };
  }
  if (isOnnxOp(node, 'Reshape') && isReshaper(view.model, before)) {
    const shape = readableConstant(view.graph, node.inputs[1]);
    const values = shape && numbersOf(shape)?.values;
    if (values === undefined || values.includes(0)) return undefined;
    return { ...node, inputs: [before.inputs[0], ...node.inputs.slice(1)] };
  }
  return undefined;
}

/** The value at the start of a chain of reshapers that has the same shape as this reshaper's output. */
export function undoneReshape(view: View, node: Node): ValueId | undefined {
  if (!isReshaper(view.model, node) || view.model.dialect !== 'onnx') return undefined;
  const wanted = view.facts.typeOf(node.outputs[0])?.shape;
  if (wanted === undefined || wanted.includes(null)) return undefined;
  const { producer } = indexOf(view.graph);
  let at = node.inputs[0];
  // The bound matters only for damaged graphs with a cycle of reshapes.
  for (let hops = 0; at != null && hops < 64; hops += 1) {
    const before = producer.get(at);
    if (before === undefined || !isReshaper(view.model, before)) return undefined;
    at = before.inputs[0];
    const shape = view.facts.typeOf(at)?.shape;
    if (at != null && shape?.length === wanted.length && shape.every((dim, i) => dim === wanted[i]))
      return at;
  }
  return undefined;
}

/** The codes that a quantization gives back unchanged, because they were dequantized just before in the same way. */
export function undoneDequantize(view: View, node: Node): ValueId | undefined {
  const { graph, facts, model } = view;
  const tflite = model.dialect === 'tflite';
  const [source] = node.inputs;
  if (source == null || !isBuiltin(node) || node.op !== (tflite ? 'QUANTIZE' : 'QuantizeLinear'))
    return undefined;
  const before = indexOf(graph).producer.get(source);
  const codes = before?.inputs[0];
  const output = node.outputs[0];
  if (before === undefined || codes == null || output == null || !isBuiltin(before)) return undefined;
  if (before.op !== (tflite ? 'DEQUANTIZE' : 'DequantizeLinear')) return undefined;
  const dtype = facts.dtypeOf(codes);
  if (dtype === undefined || isFloat(dtype) || dtype !== facts.dtypeOf(output)) return undefined;
  if (tflite) return sameQuantization(graph, codes, output) ? codes : undefined;
  const sameSetting = ['axis', 'block_size'].every(
    (name) =>
      intAttribute(node, name, name === 'axis' ? 1 : 0) ===
      intAttribute(before, name, name === 'axis' ? 1 : 0),
  );
  if (!sameSetting || !sameParameters(graph, node, before)) return undefined;
  return endsKeepMeaning(graph, node, codes, output) ? codes : undefined;
}

const sameParameters = (graph: Graph, a: Node, b: Node) =>
  [1, 2].every((input) => sameConstant(graph, a, b, input));

/** The pair at an input or output of an ONNX model is all that says what the codes there mean, unless its neighbour does. */
function endsKeepMeaning(graph: Graph, node: Node, codes: ValueId, output: ValueId): boolean {
  const { producer, uses, isOutput } = indexOf(graph);
  const says = (other: Node | undefined, op: string) =>
    other?.op === op && sameParameters(graph, node, other);
  const leaves = [output, ...(uses.get(output) ?? []).flatMap((use) => identityOf(use.node))];
  if (leaves.some((id) => isOutput.has(id)) && !says(producer.get(codes), 'QuantizeLinear')) return false;
  if (!graph.inputs.includes(codes)) return true;
  return (uses.get(output) ?? []).every((use) => says(use.node, 'DequantizeLinear'));
}

const identityOf = ({ op, outputs }: Node): readonly ValueId[] =>
  op === 'Identity' ? outputs.filter((id) => id !== null) : [];

/** Both nodes read the same constant there, or none. */
function sameConstant(graph: Graph, a: Node, b: Node, input: number): boolean {
  const first = a.inputs[input] ?? null;
  const second = b.inputs[input] ?? null;
  if (first === second) return true;
  const one = readableConstant(graph, first);
  const two = readableConstant(graph, second);
  return one !== undefined && two !== undefined && sameTensor(one, two);
}
