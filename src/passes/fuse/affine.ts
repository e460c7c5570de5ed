import { floatAttribute, intAttribute } from '../../ir/attribute.ts';
import type { Graph, Model, Node, ValueId } from '../../ir/model.ts';
import { readFloats, sizeOf } from '../../ir/numbers.ts';
import type { Tensor } from '../../ir/tensor.ts';
import { indexOf } from '../../ir/walk.ts';
import { isBuiltin, readableConstant } from '../support/constants.ts';
import type { Facts } from '../support/facts.ts';
import { isOnnxOp } from '../support/graph.ts';

/** `y = scale * x + shift` per channel, composed in float64. Arrays have one element per channel. */
export interface Affine {
  readonly scale: Float64Array;
  readonly shift: Float64Array;
}

/** An operator that is a per-channel affine map of one of its inputs. */
interface AffineNode extends Affine {
  readonly node: Node;
  readonly output: ValueId;
}

interface AffineView {
  readonly model: Model;
  readonly graph: Graph;
  readonly facts: Facts;
}

/** `second` after `first`. */
export function compose(first: Affine, second: Affine): Affine {
  return {
    scale: first.scale.map((value, i) => value * (second.scale[i] as number)),
    shift: first.shift.map((value, i) => value * (second.scale[i] as number) + (second.shift[i] as number)),
  };
}

export function identityAffine(channels: number): Affine {
  return { scale: new Float64Array(channels).fill(1), shift: new Float64Array(channels) };
}

/**
 * Reads `node` as a per-channel map of `data`, whose channels lie along `axis` of `rank` dimensions. `undefined` when
 * it is something else, or when its constants cannot be read.
 */
export function affineOf(
  view: AffineView,
  node: Node,
  data: ValueId,
  channels: number,
  axis: number,
): AffineNode | undefined {
  const output = node.outputs[0];
  if (output == null) return undefined;
  const map = isOnnxOp(node, 'BatchNormalization')
    ? normalization(view, node, data, channels, axis)
    : arithmetic(view, node, data, channels, axis);
  return map && { ...map, node, output };
}

/** Inference-time batch normalization: gamma (x - mean) / sqrt(variance + epsilon) + beta (Ioffe and Szegedy 2015). */
function normalization(
  { graph }: AffineView,
  node: Node,
  data: ValueId,
  channels: number,
  axis: number,
): Affine | undefined {
  if (node.inputs[0] !== data || axis !== 1 || intAttribute(node, 'training_mode', 0) !== 0) return undefined;
  if (intAttribute(node, 'spatial', 1) !== 1) return undefined;
  const { uses, isOutput } = indexOf(graph);
  if (node.outputs.slice(1).some((id) => id !== null && (uses.has(id) || isOutput.has(id)))) return undefined;
  const parameters: Float32Array[] = [];
  for (const id of node.inputs.slice(1, 5)) {
    const tensor = readableConstant(graph, id);
    if (tensor === undefined || sizeOf(tensor) !== channels) return undefined;
    parameters.push(readFloats(tensor));
  }
  const [gamma, beta, mean, variance] = parameters;
  if (gamma === undefined || beta === undefined || mean === undefined || variance === undefined)
    return undefined;
  const epsilon = floatAttribute(node, 'epsilon', 1e-5);
  const map = identityAffine(channels);
  for (let c = 0; c < channels; c += 1) {
    const scale = (gamma[c] as number) / Math.sqrt((variance[c] as number) + epsilon);
    map.scale[c] = scale;
    map.shift[c] = (beta[c] as number) - (mean[c] as number) * scale;
  }
  return map;
}

const arithmeticOps: Readonly<Record<string, 'add' | 'sub' | 'mul' | 'div'>> = {
  Add: 'add',
  Sub: 'sub',
  Mul: 'mul',
  Div: 'div',
  ADD: 'add',
  SUB: 'sub',
  MUL: 'mul',
  DIV: 'div',
};

function arithmetic(
  { graph, facts }: AffineView,
  node: Node,
  data: ValueId,
  channels: number,
  axis: number,
): Affine | undefined {
  const kind = isBuiltin(node) ? arithmeticOps[node.op] : undefined;
  const side = node.inputs.indexOf(data);
  if (kind === undefined || node.inputs.length !== 2 || side < 0) return undefined;
  const tensor = readableConstant(graph, node.inputs[1 - side]);
  const rank = facts.typeOf(data)?.shape?.length;
  if (tensor === undefined || rank === undefined || (kind === 'div' && side === 1)) return undefined;
  const operand = perChannel(tensor, channels, axis, rank);
  if (operand === undefined) return undefined;
  const map = identityAffine(channels);
  for (let c = 0; c < channels; c += 1) {
    const value = operand[c] as number;
    if (kind === 'add') map.shift[c] = value;
    else if (kind === 'mul') map.scale[c] = value;
    else if (kind === 'div') map.scale[c] = 1 / value;
    else {
      map.scale[c] = side === 0 ? 1 : -1;
      map.shift[c] = side === 0 ? -value : value;
    }
  }
  return map;
}

/** One number per channel when the tensor broadcasts along the channel axis only and enlarges nothing. */
function perChannel(tensor: Tensor, channels: number, axis: number, rank: number): Float64Array | undefined {
  if (tensor.dims.length > rank || !tensor.dtype.startsWith('float')) return undefined;
  const lead = rank - tensor.dims.length;
  const fits = tensor.dims.every((dim, i) => dim === 1 || (i + lead === axis && dim === channels));
  if (!fits) return undefined;
  const values = readFloats(tensor);
  return Float64Array.from({ length: channels }, (_, c) => values[values.length === 1 ? 0 : c] as number);
}
