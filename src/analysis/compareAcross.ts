import type { DType } from '../ir/dtype.ts';
import { isFloat } from '../ir/dtype.ts';
import type { Model, Node, Quantization, Value } from '../ir/model.ts';
import { decodeFloats, sizeOf } from '../ir/numbers.ts';
import type { Tensor } from '../ir/tensor.ts';
import type { ValueType } from '../ir/types.ts';
import { isStatic } from '../ir/types.ts';
import { operatorOf } from '../ops/registry.ts';
import { analyse } from './analyse.ts';
import type { ChangeClass } from './comparison.ts';
import { originOf } from './match.ts';

/** One layer of a model of either format, with its weight as real numbers. */
interface Layer {
  readonly output: { readonly dims: readonly number[] | undefined; readonly dtype: DType | undefined };
  readonly weight: Value | undefined;
  /** Scale and zero point behind the weight, or before a DequantizeLinear. */
  readonly quantized: boolean;
  readonly numbers: () => Summary | undefined;
}

/** What stays the same when a tensor is laid out in another way. */
interface Summary {
  readonly count: number;
  readonly sum: number;
  readonly squares: number;
  readonly min: number;
  readonly max: number;
  /** Half a step of the coarsest scale: how far a number may be off. */
  readonly step: number;
}

/** How a layer of one format differs from its counterpart in the other: what is only a matter of layout does not count. */
export function classifyAcross(a: Model, from: Node, b: Model, to: Node): readonly ChangeClass[] {
  const [left, right] = [layerOf(a, from), layerOf(b, to)];
  const classes: ChangeClass[] = [];
  if (extents(left.output.dims) !== extents(right.output.dims)) classes.push('shape');
  if (left.quantized !== right.quantized) classes.push('quantization');
  else if (left.output.dtype !== right.output.dtype) classes.push('type');
  const [x, y] = [left.numbers(), right.numbers()];
  if (x !== undefined && y !== undefined && !sameNumbers(x, y)) classes.push('weights');
  return classes;
}

/** Sizes without order and without ones, which layouts move and add. */
function extents(dims: readonly number[] | undefined): string {
  return dims === undefined
    ? 'unknown'
    : dims
        .filter((dim) => dim !== 1)
        .sort((p, q) => p - q)
        .join('×');
}

function layerOf(model: Model, node: Node): Layer {
  const graph = model.graphs[0];
  const types = analyse(model).types.get(graph);
  const output = node.outputs[0];
  const type = typeof output === 'string' ? types?.get(output) : undefined;
  const role = operatorOf(model, node)?.weights?.(node, model)[0];
  const id = role === undefined ? undefined : node.inputs[role.input];
  const origin = typeof id === 'string' ? originOf(id, graph, model) : undefined;
  const weight = origin === undefined ? undefined : graph.values.get(origin.value);
  const codes = weight?.constant !== undefined && !isFloat(weight.constant.dtype);
  const scaled = (weight?.quantization?.scale.length ?? 0) > 0 || codes || (origin?.conversions ?? 0) > 0;
  const outputScaled =
    typeof output === 'string' && (graph.values.get(output)?.quantization?.scale.length ?? 0) > 0;
  return {
    output: { dims: dimsOf(type), dtype: type?.kind === 'tensor' ? type.dtype : undefined },
    weight,
    quantized: scaled || (weight === undefined && outputScaled),
    numbers: () => weight?.constant && summaryOf(weight.constant, weight.quantization),
  };
}

function dimsOf(type: ValueType | undefined): readonly number[] | undefined {
  return type?.kind === 'tensor' && isStatic(type.shape) ? type.shape : undefined;
}

/** Larger weights are compared by their shape only. */
const mostElements = 1 << 24;

/** Codes whose scales stand elsewhere (a DequantizeLinear's operands) have no numbers here. */
function summaryOf(tensor: Tensor, quantization: Quantization | undefined): Summary | undefined {
  const count = sizeOf(tensor);
  if (tensor.data.missing !== undefined || count > mostElements || count === 0) return undefined;
  const scaled = (quantization?.scale.length ?? 0) > 0;
  if (!isFloat(tensor.dtype) && !scaled) return undefined;
  const codes = decodeFloats(tensor.dtype, tensor.data.read(), count);
  const scale = scaled && quantization !== undefined ? quantization : undefined;
  const inner = tensor.dims.slice((scale?.axis ?? 0) + 1).reduce((product, dim) => product * dim, 1);
  let [sum, squares, min, max] = [0, 0, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY];
  for (let at = 0; at < count; at += 1) {
    let value = codes[at] as number;
    if (scale !== undefined) {
      const channel = scale.scale.length === 1 ? 0 : Math.floor(at / inner) % scale.scale.length;
      value = (value - (scale.zeroPoint[channel] ?? 0)) * (scale.scale[channel] as number);
    }
    sum += value;
    squares += value * value;
    min = Math.min(min, value);
    max = Math.max(max, value);
  }
  return { count, sum, squares, min, max, step: scale === undefined ? 0 : Math.max(...scale.scale) / 2 };
}

function sameNumbers(a: Summary, b: Summary): boolean {
  if (a.count !== b.count) return false;
  const step = Math.max(a.step, b.step);
  const size = Math.sqrt(Math.max(a.squares, b.squares) / a.count);
  const near = (x: number, y: number, slack: number) => Math.abs(x - y) <= slack + 1e-4 * size;
  // Rounding errors of many elements add up like a random walk.
  const drift = (step + 1e-6 * size) * 4 * Math.sqrt(a.count);
  return (
    near(a.min, b.min, 2 * step) &&
    near(a.max, b.max, 2 * step) &&
    near(a.sum, b.sum, drift) &&
    Math.abs(Math.sqrt(a.squares) - Math.sqrt(b.squares)) <= drift + 1e-4 * Math.sqrt(a.squares)
  );
}
