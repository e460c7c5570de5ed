import type { Scores } from '../outputs.ts';
import { argMax } from '../outputs.ts';
import type { Agreement } from './reports.ts';

/** Collects how close one output of a model is to the reference's, sample by sample. */
interface Tally {
  signal: number;
  noise: number;
  cosine: number;
  klDiv: number;
  agreeing: number;
  positions: number;
  samples: number;
  probabilities: boolean | undefined;
}

interface Comparison {
  /** Outputs of one sample; those that cannot be paired are left out. */
  add(model: readonly (Scores | undefined)[], reference: readonly (Scores | undefined)[]): void;
  result(main: number): Agreement | undefined;
}

/** Compares outputs by position. Per output: SQNR over all samples, the other figures as means over samples. */
export function compareOutputs(): Comparison {
  const tallies = new Map<number, Tally>();
  return {
    add(model, reference) {
      reference.forEach((wanted, output) => {
        const got = model[output];
        if (wanted === undefined || got === undefined || wanted.data.length !== got.data.length) return;
        let tally = tallies.get(output);
        if (tally === undefined) {
          tally = emptyTally();
          tallies.set(output, tally);
        }
        addSample(tally, got, wanted);
      });
    },
    result(main) {
      const all = [...tallies.values()];
      const [first] = all;
      if (first === undefined) return undefined;
      const labelled = tallies.get(main) ?? first;
      return {
        agreement: labelled.agreeing / labelled.positions,
        sqnrDb: worst(all.map(sqnr)),
        cosine: Math.min(...all.map((tally) => tally.cosine / tally.samples)),
        klDiv: labelled.klDiv / labelled.positions,
      };
    },
  };
}

function emptyTally(): Tally {
  return {
    signal: 0,
    noise: 0,
    cosine: 0,
    klDiv: 0,
    agreeing: 0,
    positions: 0,
    samples: 0,
    probabilities: undefined,
  };
}

function addSample(tally: Tally, got: Scores, wanted: Scores): void {
  let signal = 0;
  let noise = 0;
  let energy = 0;
  let dot = 0;
  for (let index = 0; index < wanted.data.length; index += 1) {
    const a = got.data[index] as number;
    const b = wanted.data[index] as number;
    signal += b * b;
    energy += a * a;
    dot += a * b;
    noise += (a - b) ** 2;
  }
  tally.signal += signal;
  tally.noise += noise;
  tally.samples += 1;
  const norm = Math.sqrt(signal * energy);
  if (norm > 0) tally.cosine += dot / norm;
  else if (signal === energy) tally.cosine += 1;
  addPositions(tally, got, wanted);
}

/** A sample holds one distribution, or one at each position along the last axis. */
function addPositions(tally: Tally, got: Scores, wanted: Scores): void {
  const classes = wanted.dims.at(-1) ?? 1;
  const count = wanted.dims.length <= 1 ? wanted.data.length : classes;
  for (let from = 0; from < wanted.data.length; from += count) {
    const reference = wanted.data.subarray(from, from + count);
    const own = got.data.subarray(from, from + count);
    tally.probabilities ??= isDistribution(reference) && isDistribution(own);
    tally.positions += 1;
    if (argMax(reference) === argMax(own)) tally.agreeing += 1;
    tally.klDiv += divergence(reference, own, tally.probabilities);
  }
}

/** Quantized probabilities may sum to a little more or less than 1. */
const sumTolerance = 0.05;

function isDistribution(values: Float64Array): boolean {
  const sum = values.reduce((total, value) => total + value, 0);
  return values.length > 1 && values.every((value) => value >= 0) && Math.abs(sum - 1) < sumTolerance;
}

/** Smallest probability that is told from 0: quantized outputs have exact zeros, which would make KL infinite. */
const smallestProbability = 1e-6;

/** KL(reference || own) in nats; outputs that are no probabilities pass through a softmax first. */
function divergence(reference: Float64Array, own: Float64Array, probabilities: boolean): number {
  const p = floored(reference, probabilities);
  const q = floored(own, probabilities);
  let sum = 0;
  for (let i = 0; i < p.length; i += 1)
    sum += (p[i] as number) * Math.log((p[i] as number) / (q[i] as number));
  return sum;
}

/** Normalized, raised to the smallest probability, and normalized again. */
function floored(values: Float64Array, probabilities: boolean): Float64Array {
  const found = probabilities ? values.slice() : exponentials(values);
  const total = sumOf(found);
  for (let i = 0; i < found.length; i += 1)
    found[i] = Math.max((found[i] as number) / total, smallestProbability);
  const sum = sumOf(found);
  for (let i = 0; i < found.length; i += 1) found[i] = (found[i] as number) / sum;
  return found;
}

function exponentials(values: Float64Array): Float64Array {
  let top = Number.NEGATIVE_INFINITY;
  for (let i = 0; i < values.length; i += 1) top = Math.max(top, values[i] as number);
  const found = new Float64Array(values.length);
  for (let i = 0; i < values.length; i += 1) found[i] = Math.exp((values[i] as number) - top);
  return found;
}

function sumOf(values: Float64Array): number {
  let sum = 0;
  for (let i = 0; i < values.length; i += 1) sum += values[i] as number;
  return sum;
}

function sqnr({ signal, noise }: Tally): number | null {
  return noise === 0 ? null : 10 * Math.log10(signal / noise);
}

function worst(values: readonly (number | null)[]): number | null {
  const finite = values.filter((value) => value !== null);
  return finite.length === 0 ? null : Math.min(...finite);
}
