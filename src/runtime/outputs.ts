import { decodeNumbers } from '../ir/numbers.ts';
import type { SessionInfo, TensorInfo, Tensors } from './runner.ts';

/** Real values of one output of one sample. */
export interface Scores {
  /** Without the batch axis and without axes of length 1. */
  readonly dims: readonly number[];
  readonly data: Float64Array;
}

/** An output in real numbers: integer outputs go back through their scale and zero point. */
export function realValues(info: TensorInfo, tensors: Tensors): Float64Array | undefined {
  const tensor = tensors[info.name];
  if (tensor === undefined || tensor.dtype === 'string') return undefined;
  const count = tensor.dims.reduce((product, dim) => product * dim, 1);
  const values = decodeNumbers(tensor.dtype, tensor.data, count);
  if (info.quantization === undefined) return values;
  const { scale, zeroPoint } = info.quantization;
  return values.map((value) => scale * (value - zeroPoint));
}

/** The outputs of each sample in a batch of `rows`; an output without that many rows belongs to all of them. */
export function splitRows(
  info: SessionInfo,
  tensors: Tensors,
  rows: number,
): readonly (readonly (Scores | undefined)[])[] {
  const whole = info.outputs.map((output) => {
    const data = realValues(output, tensors);
    return data === undefined ? undefined : { data, dims: tensors[output.name]?.dims ?? [] };
  });
  return Array.from({ length: rows }, (_, row) =>
    whole.map((each) => {
      if (each === undefined) return undefined;
      const { data, dims } = each;
      const batched = rows > 1 && dims[0] === rows;
      const size = batched ? data.length / rows : data.length;
      const own = batched ? data.subarray(row * size, (row + 1) * size) : data;
      return { data: own, dims: (batched ? dims.slice(1) : dims).filter((dim) => dim !== 1) };
    }),
  );
}

/** Which output classifies: the first with one list of several numbers per sample, else the first. */
export function mainOutput(outputs: readonly (Scores | undefined)[]): number {
  const found = outputs.findIndex((each) => each !== undefined && each.dims.length === 1);
  return Math.max(found, 0);
}

/** Place of the largest value in `values[from..from+count)`, counted from `from`; the first of equal ones. */
export function argMax(values: Float64Array, from = 0, count = values.length): number {
  let best = from;
  for (let index = from + 1; index < from + count; index += 1)
    if ((values[index] as number) > (values[best] as number)) best = index;
  return best - from;
}

/** Whether `label` is among the `k` highest scores; of equal ones the first counts as higher, as in `argMax`. */
export function inTop(values: Float64Array, label: number, k: number): boolean {
  const own = values[label];
  if (own === undefined || Number.isNaN(own)) return false;
  let better = 0;
  for (let index = 0; index < values.length; index += 1)
    if ((values[index] as number) > own || (values[index] === own && index < label)) better += 1;
  return better < k;
}
