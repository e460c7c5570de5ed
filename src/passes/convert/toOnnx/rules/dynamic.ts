import { attr } from '../../../../ir/attribute.ts';
import type { DType } from '../../../../ir/dtype.ts';
import type { ValueId } from '../../../../ir/model.ts';
import type { Emission } from '../emission.ts';
import { quantizationOf } from '../values.ts';

const weightTypes = new Set<DType>(['int8', 'int4', 'int2']);

/**
 * A float input of a layer whose weights are codes: LiteRT rounds it to 8 bits over the range that it has in this run, zero
 * included (XNNPACK, qd8; its own kernels for depthwise convolutions), each row along the last axis by itself or the whole at once. Itself elsewhere.
 */
export function dynamicallyRounded(emission: Emission, index: number, rows: 'each' | 'all'): ValueId {
  const value = emission.operand(index);
  const weights = emission.value(1);
  const hybrid =
    emission.dtypeOf(emission.value(index)) === 'float32' &&
    weightTypes.has(emission.dtypeOf(weights)) &&
    quantizationOf(weights) !== undefined;
  if (!hybrid) return value;
  const shape = emission.shapeOf(emission.value(index));
  const single = rows === 'all' ? shape[0] === 1 : shape.slice(0, -1).every((dim) => dim === 1);
  if (!single)
    return roundedRows(emission, value, rows === 'all' ? shape.slice(1).map((_, i) => i + 1) : [-1]);
  const { builder, name } = emission;
  const names = [`${name}_codes`, `${name}_step`, `${name}_zero`];
  return emission.emit('DequantizeLinear', builder.emitMany('DynamicQuantizeLinear', [value], names));
}

/** What is left of each row after it went through 255 steps between its extremes. */
function roundedRows(emission: Emission, value: ValueId, along: readonly number[]): ValueId {
  const { emit, builder, name } = bound(emission);
  const axes = builder.int64(`${name}_rows`, along);
  const zero = emission.scalar(0);
  const end = (reduce: string, with0: string) =>
    emit(with0, [emit(reduce, [value, axes], { keepdims: attr.int(1) }), zero]);
  const [low, high] = [end('ReduceMin', 'Min'), end('ReduceMax', 'Max')];
  const span = emit('Max', [emit('Sub', [high, low]), emission.scalar(1e-30)]);
  const perUnit = emit('Div', [emission.scalar(255), span]);
  const first = emit('Round', [emit('Mul', [low, perUnit])]);
  const codes = emit('Round', [emit('Mul', [value, perUnit])]);
  const last = emit('Add', [first, emission.scalar(255)]);
  const kept = emit('Min', [emit('Max', [codes, first]), last]);
  return emit('Div', [kept, perUnit]);
}

function bound(emission: Emission) {
  const { builder, name } = emission;
  return { builder, name, emit: (...call: Parameters<Emission['emit']>) => emission.emit(...call) };
}
