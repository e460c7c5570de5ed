import type { DType } from '../../ir/dtype.ts';
import { isFloat } from '../../ir/dtype.ts';
import { dtypeOf } from '../../ir/onnxDataTypes.ts';
import type { Arguments, Evaluator, Numbers } from './numbers.ts';
import { broadcastDims, broadcastIndex, countOf } from './numbers.ts';

/** Rounds to the element type, so that folding gives what a runtime computes step by step. */
function rounded(dtype: DType, values: Float64Array): Float64Array {
  if (dtype === 'float32')
    for (let i = 0; i < values.length; i += 1) values[i] = Math.fround(values[i] as number);
  return values;
}

function unary(compute: (x: number) => number, only: 'float' | 'any' = 'any'): Evaluator {
  return ({ inputs: [x] }) => {
    if (x === undefined || (only === 'float' && !isFloat(x.dtype))) return undefined;
    return [{ ...x, values: rounded(x.dtype, x.values.map(compute)) }];
  };
}

function broadcast(inputs: readonly Numbers[]): { dims: number[]; index: Int32Array[] } | undefined {
  const dims = broadcastDims(inputs.map((input) => input.dims));
  if (dims === undefined) return undefined;
  return { dims, index: inputs.map((input) => broadcastIndex(input.dims, dims)) };
}

function binary(compute: (a: number, b: number, integer: boolean) => number, result?: DType): Evaluator {
  return ({ inputs: [a, b] }) => {
    if (a === undefined || b === undefined || a.dtype !== b.dtype) return undefined;
    const shared = broadcast([a, b]);
    if (shared === undefined) return undefined;
    const [left, right] = shared.index as [Int32Array, Int32Array];
    const integer = !isFloat(a.dtype);
    const values = new Float64Array(countOf(shared.dims));
    for (let i = 0; i < values.length; i += 1) {
      values[i] = compute(
        a.values[left[i] as number] as number,
        b.values[right[i] as number] as number,
        integer,
      );
    }
    const dtype = result ?? a.dtype;
    return [{ dtype, dims: shared.dims, values: rounded(dtype, values) }];
  };
}

function variadic(compute: (a: number, b: number) => number): Evaluator {
  const pair = binary(compute);
  return (args) => {
    const [first, ...rest] = args.inputs;
    if (first === undefined) return undefined;
    let sum: Numbers | undefined = first;
    for (const next of rest) {
      if (sum === undefined || next === undefined) return undefined;
      sum = pair({ ...args, inputs: [sum, next] })?.[0];
    }
    return sum && [sum];
  };
}

/** ONNX integer division truncates; integer division by zero is undefined and stays unfolded as NaN. */
const divide = (a: number, b: number, integer: boolean): number => (integer ? Math.trunc(a / b) : a / b);

function modulo(args: Arguments): readonly Numbers[] | undefined {
  const truncated = args.int('fmod', 0) === 1;
  return binary((a, b) => (truncated ? a % b : a - b * Math.floor(a / b)))(args);
}

/** Types that this evaluator casts to. */
const castTargets: ReadonlySet<DType | undefined> = new Set([
  'float32',
  'uint8',
  'int8',
  'uint16',
  'int16',
  'int32',
  'int64',
  'bool',
  'float64',
  'uint32',
]);

function cast({ inputs: [x], int }: Arguments): readonly Numbers[] | undefined {
  const dtype = dtypeOf(int('to', 0));
  if (x === undefined || dtype === undefined || !castTargets.has(dtype)) return undefined;
  if (dtype === 'bool') return [{ ...x, dtype, values: x.values.map((v) => (v === 0 ? 0 : 1)) }];
  if (!isFloat(dtype)) return [{ ...x, dtype, values: x.values.map(Math.trunc) }];
  return [{ ...x, dtype, values: rounded(dtype, Float64Array.from(x.values)) }];
}

function where({ inputs: [condition, a, b] }: Arguments): readonly Numbers[] | undefined {
  if (condition === undefined || a === undefined || b === undefined || a.dtype !== b.dtype) return undefined;
  const shared = broadcast([condition, a, b]);
  if (shared === undefined) return undefined;
  const [test, left, right] = shared.index as [Int32Array, Int32Array, Int32Array];
  const values = new Float64Array(countOf(shared.dims));
  for (let i = 0; i < values.length; i += 1) {
    const chosen = condition.values[test[i] as number] !== 0;
    values[i] = (chosen ? a.values[left[i] as number] : b.values[right[i] as number]) as number;
  }
  return [{ dtype: a.dtype, dims: shared.dims, values }];
}

/** Pow allows an exponent of another type. */
function power({ inputs: [a, b], ...rest }: Arguments): readonly Numbers[] | undefined {
  if (a === undefined || b === undefined) return undefined;
  return binary((x, y) => x ** y)({ ...rest, inputs: [a, { ...b, dtype: a.dtype }] });
}

export const elementwise: Readonly<Record<string, Evaluator>> = {
  Add: binary((a, b) => a + b),
  Sub: binary((a, b) => a - b),
  Mul: binary((a, b) => a * b),
  Div: binary(divide),
  Pow: power,
  Mod: modulo,
  Min: variadic(Math.min),
  Max: variadic(Math.max),
  Equal: binary((a, b) => (a === b ? 1 : 0), 'bool'),
  Less: binary((a, b) => (a < b ? 1 : 0), 'bool'),
  LessOrEqual: binary((a, b) => (a <= b ? 1 : 0), 'bool'),
  Greater: binary((a, b) => (a > b ? 1 : 0), 'bool'),
  GreaterOrEqual: binary((a, b) => (a >= b ? 1 : 0), 'bool'),
  And: binary((a, b) => (a !== 0 && b !== 0 ? 1 : 0), 'bool'),
  Or: binary((a, b) => (a !== 0 || b !== 0 ? 1 : 0), 'bool'),
  Not: unary((x) => (x === 0 ? 1 : 0)),
  Neg: unary((x) => -x),
  Abs: unary(Math.abs),
  Floor: unary(Math.floor, 'float'),
  Ceil: unary(Math.ceil, 'float'),
  Sqrt: unary(Math.sqrt, 'float'),
  Reciprocal: unary((x) => 1 / x, 'float'),
  Cast: cast,
  Where: where,
};
