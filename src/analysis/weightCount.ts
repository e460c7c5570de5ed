import type { Bytes } from '../ir/bytes.ts';
import { fillFrom } from '../ir/bytes.ts';
import type { DType } from '../ir/dtype.ts';
import { bitsOf } from '../ir/dtype.ts';
import { decodeFloats } from '../ir/numbers.ts';
import type { Counter, Counts } from './counter.ts';
import { joinedCounts, plainCounter, vectorCounter } from './counter.ts';
import { isCounted } from './counting.ts';
import { samplePlaces, SampleReader } from './weightSample.ts';

/** Whole pieces only begin runs, so that packed elements and sampled places stay together. */
export const pieceBytes = 1 << 20;

/** A run of a tensor's bytes: `from` is a multiple of `pieceBytes`. */
export interface CountTask {
  readonly dtype: DType;
  readonly dims: readonly number[];
  /** The axis of output channels where the tensor is a weight. */
  readonly outputAxis: number | undefined;
  readonly data: Bytes;
  readonly from: number;
  readonly to: number;
}

/** What counting saw of a run, or of several together. */
export interface Counted extends Counts {
  /** Sampled elements in the order of their places. */
  readonly samples: Float64Array;
}

/** The type by whose codes elements are counted: wide integers and doubles, which are rare, as the nearest float32. */
export function countedAs(dtype: DType): DType {
  return isCounted(dtype) ? dtype : 'float32';
}

let usual: Counter | undefined;

/** Counts a run piece by piece; memory stays bounded by the counter's window. Throws `KerfError('io' | 'truncated')`. */
export function countRun(
  { dtype, dims, outputAxis, data, from, to }: CountTask,
  counter: Counter = (usual ??=
    vectorCounter() ?? plainCounter()),
): Counted {
  counter.clear();
  const as = countedAs(dtype);
  const places = outputAxis === undefined ? undefined : samplePlaces(dims, outputAxis);
  const sample =
    places && new SampleReader(dtype, places, (from * 8) / bitsOf(dtype), (to * 8) / bitsOf(dtype));
  const { window } = counter;
  // What is counted as floats may become four times as long.
  const step = as === dtype ? window.length : window.length / 4;
  for (let offset = from; offset < to; offset += step) {
    const size = Math.min(step, to - offset);
    const piece = pieceOf(data, window, offset, size);
    sample?.take(piece, offset);
    if (as === dtype) counter.add(as, size);
    else {
      const numbers = asFloats(dtype, piece);
      window.set(numbers);
      counter.add(as, numbers.length);
    }
  }
  return { ...counter.result(as), samples: sample?.values ?? new Float64Array(0) };
}

/** Runs of one tensor in their order as one. */
export function joined(runs: readonly Counted[]): Counted {
  if (runs.length === 1) return runs[0] as Counted;
  const samples = new Float64Array(runs.reduce((sum, run) => sum + run.samples.length, 0));
  let at = 0;
  for (const run of runs) {
    samples.set(run.samples, at);
    at += run.samples.length;
  }
  return { ...joinedCounts(runs), samples };
}

/** Fills the start of the window with a piece. */
function pieceOf(data: Bytes, window: Uint8Array, offset: number, size: number): Uint8Array {
  const piece = window.subarray(0, size);
  fillFrom(piece, data, offset);
  return piece;
}

function asFloats(dtype: DType, piece: Uint8Array): Uint8Array {
  const floats = decodeFloats(dtype, piece, Math.floor((piece.length * 8) / bitsOf(dtype)));
  return new Uint8Array(floats.buffer, floats.byteOffset, floats.byteLength);
}
