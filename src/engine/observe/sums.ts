import { KerfError } from '../../ir/errors.ts';
import { memoryBytes } from '../../ir/bytes.ts';
import { decodeNumbers, readFloats } from '../../ir/numbers.ts';
import type { CrossMoments, InputMoments } from '../../passes/pass.ts';
import type { HostTensor, Tensors } from '../../runtime/runner.ts';

/** Sums over the vectors seen so far, per group; `cross` is empty unless the layer is compared with another. */
export interface Sum {
  readonly groups: number;
  readonly size: number;
  /** Elements per vector of the reference; 0 without one. */
  readonly referenceSize: number;
  count: number;
  readonly sum: Float64Array;
  readonly gram: Float64Array;
  readonly referenceSum: Float64Array;
  readonly cross: Float64Array;
}

export function emptySum(groups: number, size: number, referenceSize = 0): Sum {
  return {
    groups,
    size,
    referenceSize,
    count: 0,
    sum: new Float64Array(groups * size),
    gram: new Float64Array(groups * size * size),
    referenceSum: new Float64Array(groups * referenceSize),
    cross: new Float64Array(groups * referenceSize * size),
  };
}

/** The sums become means, where they lie: matrices are large. */
export function momentsOf({ groups, size, count, sum, gram }: Sum): InputMoments {
  return { groups, size, count, mean: meansOf(sum, count), gram: meansOf(gram, count) };
}

export function crossMomentsOf(sum: Sum): CrossMoments {
  return {
    ...momentsOf(sum),
    referenceSize: sum.referenceSize,
    referenceMean: meansOf(sum.referenceSum, sum.count),
    cross: meansOf(sum.cross, sum.count),
  };
}

function meansOf(sums: Float64Array, count: number): Float64Array {
  for (let i = 0; i < sums.length; i += 1) sums[i] = (sums[i] as number) / count;
  return sums;
}

export function addTo(into: Float64Array, more: ArrayLike<number>): void {
  for (let i = 0; i < into.length; i += 1) into[i] = (into[i] as number) + (more[i] as number);
}

/** Adds one vector per group; `reference` is empty unless the layer is compared. */
export function addVectors(sum: Sum, vectors: Float64Array, reference: Float64Array): void {
  sum.count += 1;
  addTo(sum.sum, vectors);
  addTo(sum.referenceSum, reference);
  addOuter(sum.gram, vectors, vectors, sum.groups);
  if (reference.length > 0) addOuter(sum.cross, reference, vectors, sum.groups);
}

/** Adds a bT of each group to `into`. */
function addOuter(into: Float64Array, a: Float64Array, b: Float64Array, groups: number): void {
  const rows = a.length / groups;
  const columns = b.length / groups;
  for (let i = 0; i < a.length; i += 1) {
    const value = a[i] as number;
    if (value === 0) continue;
    const from = Math.floor(i / rows) * columns;
    const at = i * columns;
    for (let j = 0; j < columns; j += 1)
      into[at + j] = (into[at + j] as number) + value * (b[from + j] as number);
  }
}

/** The numbers of an output. Throws `KerfError('internal')` when the runtime did not give it. */
export function numbersOf(tensors: Tensors, name: string): Float64Array {
  const { dtype, dims, data } = outputOf(tensors, name);
  return decodeNumbers(
    dtype,
    data,
    dims.reduce((product, dim) => product * dim, 1),
  );
}

/** The elements of a float32 output, without another copy where they lie well; throws as `numbersOf`. */
export function floatsOf(tensors: Tensors, name: string): Float32Array {
  const { dims, data } = outputOf(tensors, name);
  return readFloats({ dtype: 'float32', dims, data: memoryBytes(data) });
}

function outputOf(tensors: Tensors, name: string): HostTensor {
  const tensor = tensors[name];
  if (tensor === undefined) throw new KerfError('internal', `the runtime gave no ${name}`);
  return tensor;
}
