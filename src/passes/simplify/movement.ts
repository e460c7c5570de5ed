import { stridesOf } from '../support/constants.ts';
import type { Arguments, Evaluator, Numbers } from './numbers.ts';
import { broadcastDims, broadcastIndex, countOf, mostGenerated, positiveAxis } from './numbers.ts';

type Result = readonly Numbers[] | undefined;

/** Axes of Squeeze, Unsqueeze and reductions: an attribute before opset 13, an input since. */
function axesOf(args: Arguments): readonly number[] | undefined {
  const given = args.inputs[1];
  return given === undefined ? args.ints('axes') : Array.from(given.values);
}

function reshape({ inputs: [x, shape], int }: Arguments): Result {
  if (x === undefined || shape === undefined) return undefined;
  const keepZero = int('allowzero', 0) === 1;
  const dims = Array.from(shape.values, (dim, i) => (dim === 0 && !keepZero ? (x.dims[i] ?? 0) : dim));
  const free = dims.indexOf(-1);
  if (free >= 0) dims[free] = countOf(x.dims) / countOf(dims.filter((dim) => dim !== -1));
  return countOf(dims) === countOf(x.dims) ? [{ ...x, dims }] : undefined;
}

function unsqueeze(args: Arguments): Result {
  const [x] = args.inputs;
  const axes = axesOf(args);
  if (x === undefined || axes === undefined) return undefined;
  const rank = x.dims.length + axes.length;
  const places = new Set(axes.map((axis) => positiveAxis(axis, rank)));
  let next = 0;
  const dims = Array.from({ length: rank }, (_, i) => (places.has(i) ? 1 : (x.dims[next++] as number)));
  return [{ ...x, dims }];
}

function squeeze(args: Arguments): Result {
  const [x] = args.inputs;
  if (x === undefined) return undefined;
  const axes = axesOf(args)?.map((axis) => positiveAxis(axis, x.dims.length));
  const dims = x.dims.filter((dim, i) => (axes === undefined ? dim !== 1 : !axes.includes(i)));
  return countOf(dims) === countOf(x.dims) ? [{ ...x, dims }] : undefined;
}

function flatten({ inputs: [x], int }: Arguments): Result {
  if (x === undefined) return undefined;
  const axis = positiveAxis(int('axis', 1), x.dims.length);
  return [{ ...x, dims: [countOf(x.dims.slice(0, axis)), countOf(x.dims.slice(axis))] }];
}

/** Elements of `x` at `index`, under other dimensions. */
function picked(x: Numbers, dims: readonly number[], index: Int32Array): Numbers {
  const values = new Float64Array(index.length);
  for (let i = 0; i < index.length; i += 1) values[i] = x.values[index[i] as number] as number;
  return { dtype: x.dtype, dims, values };
}

/** Visits the box `dims` row-major: element `i` sits at the sum of `starts` and position times `steps`. */
function gridIndex(dims: readonly number[], steps: readonly number[], start: number): Int32Array {
  const index = new Int32Array(countOf(dims));
  const position = dims.map(() => 0);
  let at = start;
  for (let i = 0; i < index.length; i += 1) {
    index[i] = at;
    for (let axis = dims.length - 1; axis >= 0; axis -= 1) {
      position[axis] = (position[axis] as number) + 1;
      at += steps[axis] as number;
      if ((position[axis] as number) < (dims[axis] as number)) break;
      at -= (steps[axis] as number) * (dims[axis] as number);
      position[axis] = 0;
    }
  }
  return index;
}

function transpose({ inputs: [x], ints }: Arguments): Result {
  if (x === undefined) return undefined;
  const perm = ints('perm') ?? x.dims.map((_, i) => x.dims.length - 1 - i);
  const strides = stridesOf(x.dims);
  const dims = perm.map((axis) => x.dims[axis] as number);
  const steps = perm.map((axis) => strides[axis] as number);
  return [picked(x, dims, gridIndex(dims, steps, 0))];
}

interface Cut {
  readonly axis: number;
  readonly start: number;
  readonly end: number;
  readonly step: number;
}

/** The cuts of a Slice: attributes before opset 10, inputs since. */
function cutsOf(args: Arguments, rank: number): readonly Cut[] | undefined {
  const list = (input: number, name: string) => {
    const given = args.inputs[input];
    return given === undefined ? args.ints(name) : Array.from(given.values);
  };
  const starts = list(1, 'starts');
  const ends = list(2, 'ends');
  if (starts === undefined || ends === undefined) return undefined;
  const axes = list(3, 'axes') ?? starts.map((_, i) => i);
  const steps = list(4, 'steps');
  return starts.map((start, i) => ({
    axis: positiveAxis(axes[i] as number, rank),
    start,
    end: ends[i] as number,
    step: steps?.[i] ?? 1,
  }));
}

function slice(args: Arguments): Result {
  const [x] = args.inputs;
  if (x === undefined) return undefined;
  const cuts = cutsOf(args, x.dims.length);
  if (cuts === undefined) return undefined;
  const dims = [...x.dims];
  const strides = stridesOf(x.dims);
  const steps = [...strides];
  let first = 0;
  for (const { axis, start, end, step } of cuts) {
    const size = x.dims[axis];
    if (size === undefined || step === 0) return undefined;
    const clamp = (at: number, low: number, high: number) =>
      Math.min(Math.max(at < 0 ? at + size : at, low), high);
    const from = step > 0 ? clamp(start, 0, size) : clamp(start, 0, size - 1);
    const to = step > 0 ? clamp(end, 0, size) : clamp(end, -1, size - 1);
    dims[axis] = Math.max(0, Math.ceil((to - from) / step));
    steps[axis] = (strides[axis] as number) * step;
    first += from * (strides[axis] as number);
  }
  return [picked(x, dims, gridIndex(dims, steps, first))];
}

function concat({ inputs, int }: Arguments): Result {
  const parts = inputs.filter((input) => input !== undefined);
  const [first] = parts;
  if (first === undefined || parts.length !== inputs.length) return undefined;
  const axis = positiveAxis(int('axis', 0), first.dims.length);
  const dims = first.dims.map((dim, i) =>
    i === axis ? parts.reduce((sum, part) => sum + (part.dims[axis] as number), 0) : dim,
  );
  const values = new Float64Array(countOf(dims));
  const outer = countOf(dims.slice(0, axis));
  const row = countOf(dims.slice(axis));
  let offset = 0;
  for (const part of parts) {
    const run = part.values.length / (outer || 1);
    for (let i = 0; i < outer; i += 1) {
      values.set(part.values.subarray(i * run, (i + 1) * run), i * row + offset);
    }
    offset += run;
  }
  return [{ dtype: first.dtype, dims, values }];
}

function gather({ inputs: [x, at], int }: Arguments): Result {
  if (x === undefined || at === undefined) return undefined;
  const axis = positiveAxis(int('axis', 0), x.dims.length);
  const size = x.dims[axis];
  if (size === undefined) return undefined;
  const inner = countOf(x.dims.slice(axis + 1));
  const outer = countOf(x.dims.slice(0, axis));
  const dims = [...x.dims.slice(0, axis), ...at.dims, ...x.dims.slice(axis + 1)];
  const values = new Float64Array(countOf(dims));
  let to = 0;
  for (let o = 0; o < outer; o += 1) {
    for (const raw of at.values) {
      const index = positiveAxis(raw, size);
      if (index < 0 || index >= size) return undefined;
      const from = (o * size + index) * inner;
      values.set(x.values.subarray(from, from + inner), to);
      to += inner;
    }
  }
  return [{ dtype: x.dtype, dims, values }];
}

function split(args: Arguments): Result {
  const [x, given] = args.inputs;
  if (x === undefined) return undefined;
  const axis = positiveAxis(args.int('axis', 0), x.dims.length);
  const size = x.dims[axis] as number;
  const share = Math.ceil(size / args.outputs);
  const even = Array.from({ length: args.outputs }, (_, i) => Math.min(share, size - i * share));
  const sizes = given === undefined ? (args.ints('split') ?? even) : Array.from(given.values);
  const strides = stridesOf(x.dims);
  let start = 0;
  return sizes.map((part) => {
    const dims = x.dims.map((dim, i) => (i === axis ? part : dim));
    const out = picked(x, dims, gridIndex(dims, strides, start * (strides[axis] as number)));
    start += part;
    return out;
  });
}

function expand({ inputs: [x, shape] }: Arguments): Result {
  if (x === undefined || shape === undefined) return undefined;
  const dims = broadcastDims([x.dims, Array.from(shape.values)]);
  if (dims === undefined || countOf(dims) > mostGenerated) return undefined;
  return [picked(x, dims, broadcastIndex(x.dims, dims))];
}

function range({ inputs: [start, limit, delta] }: Arguments): Result {
  const [from, to, step] = [start?.values[0], limit?.values[0], delta?.values[0]];
  if (start === undefined || from === undefined || to === undefined || step === undefined || step === 0) {
    return undefined;
  }
  const count = Math.max(0, Math.ceil((to - from) / step));
  if (count > mostGenerated) return undefined;
  const values = Float64Array.from({ length: count }, (_, i) => from + i * step);
  return [{ dtype: start.dtype, dims: [count], values }];
}

function scatterNd({ inputs: [x, at, updates] }: Arguments): Result {
  if (x === undefined || at === undefined || updates === undefined) return undefined;
  const depth = at.dims.at(-1) ?? 0;
  if (depth === 0) return undefined;
  const strides = stridesOf(x.dims);
  const run = countOf(x.dims.slice(depth));
  const values = Float64Array.from(x.values);
  for (let i = 0; i * depth < at.values.length; i += 1) {
    let to = 0;
    for (let axis = 0; axis < depth; axis += 1) {
      to +=
        positiveAxis(at.values[i * depth + axis] as number, x.dims[axis] as number) *
        (strides[axis] as number);
    }
    values.set(updates.values.subarray(i * run, (i + 1) * run), to);
  }
  return [{ ...x, values }];
}

export const movement: Readonly<Record<string, Evaluator>> = {
  Identity: ({ inputs: [x] }) => x && [x],
  Reshape: reshape,
  Unsqueeze: unsqueeze,
  Squeeze: squeeze,
  Flatten: flatten,
  Transpose: transpose,
  Slice: slice,
  Concat: concat,
  Gather: gather,
  Split: split,
  Expand: expand,
  Range: range,
  ScatterND: scatterNd,
};
