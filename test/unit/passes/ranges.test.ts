import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { Tensor } from 'onnxruntime-node';
import { beforeAll, describe, expect, it } from 'vitest';
import { createCalibrator } from '../../../src/engine/calibrator.ts';
import { addToHistogram } from '../../../src/engine/observe/histograms.ts';
import { mergedRanges } from '../../../src/engine/observe/merged.ts';
import { encodeModel } from '../../../src/formats/encode.ts';
import { readModelFile } from '../../../src/formats/io/models.ts';
import type { Model } from '../../../src/ir/model.ts';
import type { Histogram } from '../../../src/passes/pass.ts';
import {
  divergence,
  entropyRange,
  leastErrorRange,
  magnitudesOf,
  percentileRange,
  squaredError,
} from '../../../src/passes/support/ranges.ts';
import { openDataset } from '../../../src/runtime/data/dataset.ts';
import { startRunner } from '../../../src/runtime/process/launch.ts';
import { inputsOf } from '../../../src/runtime/modelInputs.ts';
import { samples } from '../support/models.ts';
import { npy, npz } from '../support/npy.ts';
import { useSourceRunner } from '../support/runner.ts';
import { temporaryFolder } from '../support/temporary.ts';
import { floatModel } from '../support/tinyTflite.ts';
import { OnnxBuilder, runPass } from './build.ts';
import type { Feeds } from './runtime.ts';
import { random, runOnnx, sqnrDb } from './runtime.ts';

const folder = temporaryFolder();
beforeAll(useSourceRunner);

/** Sum of four uniform numbers: bell-shaped. */
function bell(count: number, seed: number): Float64Array {
  const next = random(seed);
  return Float64Array.from({ length: count }, () => next() + next() + next() + next() - 2);
}

function histogramOf(numbers: ArrayLike<number>, bins = 2048): Histogram {
  const list = Array.from(numbers);
  const histogram = {
    min: list.reduce((a, b) => Math.min(a, b)),
    max: list.reduce((a, b) => Math.max(a, b)),
    counts: new Float64Array(bins),
  };
  addToHistogram(histogram, list);
  return histogram;
}

describe('percentile', () => {
  it.each([1, 2, 3])('cuts both ends as sorting does (seed %i)', (seed) => {
    const numbers = bell(50_000, seed);
    const sorted = numbers.toSorted();
    const histogram = histogramOf(numbers);
    const range = percentileRange(histogram, 99);
    const bin = (histogram.max - histogram.min) / 2048;
    expect(Math.abs(range.min - (sorted[250] as number))).toBeLessThan(2 * bin);
    expect(Math.abs(range.max - (sorted[49_749] as number))).toBeLessThan(2 * bin);
  });

  it('cuts only the far end of one-sided values, and nothing at 100 %', () => {
    const numbers = bell(20_000, 4).map((value) => Math.max(0, value));
    const histogram = histogramOf(numbers);
    const sorted = numbers.toSorted();
    const range = percentileRange(histogram, 99);
    expect(range.min).toBe(0);
    expect(range.max).toBeCloseTo(sorted[19_799] as number, 2);
    expect(percentileRange(histogram, 100)).toEqual({ min: 0, max: histogram.max });
  });

  it('leaves a range without extent as it is', () => {
    expect(percentileRange(histogramOf([3, 3, 3]), 99)).toEqual({ min: 3, max: 3 });
  });
});

/** The definition written out with arrays: P with the tail on its last bin, Q merged and spread. */
function slowDivergence(counts: readonly number[], kept: number, levels: number): number {
  const p = counts.slice(0, kept);
  p[kept - 1] = counts.slice(kept - 1).reduce((a, b) => a + b, 0);
  const q: number[] = Array.from({ length: kept }, () => 0);
  const groups = Array.from({ length: levels }, (): number[] => []);
  for (const bin of q.keys()) groups[Math.floor((bin * levels) / kept)]?.push(bin);
  for (const members of groups) {
    const mass = members.reduce((sum, bin) => sum + (counts[bin] as number), 0);
    const filled = members.filter((bin) => (p[bin] as number) > 0);
    for (const bin of filled) q[bin] = Math.max(mass / filled.length, 1e-4);
  }
  const sums = [p, counts.slice(0, kept)].map((list) => list.reduce((a, b) => a + b, 0));
  const [all, inside] = sums as [number, number];
  let sum = 0;
  for (const [bin, count] of p.entries()) {
    const share = count / all;
    if (share > 0) sum += share * Math.log(share / ((q[bin] as number) / inside));
  }
  return sum;
}

describe('entropy', () => {
  it.each([1, 2, 3, 4, 5])('is the divergence of the definition (seed %i)', (seed) => {
    const next = random(seed);
    const counts = Array.from({ length: 96 }, (_, bin) =>
      next() < 0.3 ? 0 : Math.floor((next() * 1000) / (1 + bin)),
    );
    for (const levels of [8, 16, 31]) {
      for (let kept = levels; kept <= counts.length; kept += 1) {
        const expected = slowDivergence(counts, kept, levels);
        const found = divergence(Float64Array.from(counts), kept, levels);
        expect(found).toBeCloseTo(expected, 10);
      }
    }
  });

  it('takes the best threshold of all', () => {
    const numbers = [...bell(40_000, 7).map((value) => Math.max(0, value)), 6];
    const histogram = histogramOf(numbers, 512);
    const counts = Array.from(histogram.counts);
    counts[0] = counts[1] as number;
    let best = 0;
    let least = Number.POSITIVE_INFINITY;
    for (let kept = 255; kept <= 512; kept += 1) {
      const lost = slowDivergence(counts, kept, 255);
      if (lost < least) [least, best] = [lost, kept];
    }
    const expected = Math.min(6, ((best + 0.5) / 512) * 6);
    expect(entropyRange(histogram).max).toBeCloseTo(expected, 6);
    expect(expected).toBeLessThan(5);
  }, 60_000);

  it('never widens a range, and keeps all of a uniform one', () => {
    const next = random(9);
    const uniform = histogramOf(Float64Array.from({ length: 200_000 }, () => next() * 2 - 1));
    const range = entropyRange(uniform);
    expect(range.max).toBeGreaterThan(0.95);
    expect(range.min).toBeLessThan(-0.95);
    expect(range.max).toBeLessThanOrEqual(uniform.max);
    expect(range.min).toBeGreaterThanOrEqual(uniform.min);
    expect(entropyRange(histogramOf([0, 0]))).toEqual({ min: 0, max: 0 });
  });

  it('keeps every count among the magnitudes', () => {
    for (const shift of [-3, -0.7, 0, 0.4, 5]) {
      const histogram = histogramOf(bell(10_000, 3).map((value) => value + shift));
      const sum = magnitudesOf(histogram).reduce((a, b) => a + b, 0);
      expect(sum).toBeCloseTo(10_000, 3);
    }
  });
});

describe('least squared error', () => {
  it.each([0.002, 0.02, 0.2])('is never above min-max and cuts outliers (share %f)', (share) => {
    const next = random(5);
    const numbers = bell(30_000, 6).map((value) => (next() < share / 100 ? value * 20 : value));
    const histogram = histogramOf(numbers);
    const range = leastErrorRange(histogram);
    const [chosen, whole] = [squaredError(histogram, range), squaredError(histogram, histogram)];
    expect(chosen).toBeLessThanOrEqual(whole);
    // What the histogram says holds for the numbers themselves.
    expect(errorOf(numbers, range)).toBeLessThanOrEqual(1.02 * errorOf(numbers, histogram));
  });

  it('is as good as trying every pair of ends', () => {
    const numbers = [...bell(3000, 8), 9, -5];
    const histogram = histogramOf(numbers, 256);
    let least = Number.POSITIVE_INFINITY;
    for (let low = 0; low <= 80; low += 1) {
      for (let high = 0; high <= 80; high += 1) {
        const range = {
          min: histogram.min * (1 - (0.8 * low) / 80),
          max: histogram.max * (1 - (0.8 * high) / 80),
        };
        least = Math.min(least, squaredError(histogram, range));
      }
    }
    expect(squaredError(histogram, leastErrorRange(histogram))).toBeLessThan(1.1 * least);
  });
});

function errorOf(numbers: ArrayLike<number>, { min, max }: { min: number; max: number }): number {
  const scale = (max - min) / 255;
  const zero = Math.round(-min / scale);
  let sum = 0;
  for (const value of Array.from(numbers)) {
    const code = Math.min(255, Math.max(0, Math.round(value / scale) + zero));
    sum += (value - scale * (code - zero)) ** 2;
  }
  return sum;
}

function bytesOf(model: Model): Buffer {
  return Buffer.concat(encodeModel(model).map((part) => part.read()));
}

/** The first sample of a dataset. */
function imageFeeds(data: string, model: Model): Feeds {
  const feeds: Feeds = {};
  for (const [name, tensor] of Object.entries(openDataset(data, inputsOf(model)).feeds(0, 1))) {
    feeds[name] = new Tensor('float32', new Float32Array(tensor.data.slice().buffer), tensor.dims);
  }
  return feeds;
}

/** The definition, term by term: each batch counts by the momentum to the power of its age. */
function weightedMean(batches: readonly number[], momentum: number): number {
  const weights = batches.map((_, index) => momentum ** (batches.length - 1 - index));
  const total = weights.reduce((sum, weight) => sum + weight, 0);
  return batches.reduce((sum, value, index) => sum + value * (weights[index] as number), 0) / total;
}

describe('moving averages', () => {
  it.each([0, 0.5, 0.9, 0.99])('are those of a loop that starts at zero, momentum %f', (momentum) => {
    const next = random(3);
    const batches = Array.from({ length: 20 }, () => ({ min: -next(), max: 1 + next() }));
    const merged = mergedRanges(momentum);
    let min = 0;
    let max = 0;
    for (const range of batches) {
      merged.add('x', range);
      merged.endRun(16);
      min = momentum * min + (1 - momentum) * range.min;
      max = momentum * max + (1 - momentum) * range.max;
    }
    const bias = 1 - momentum ** batches.length;
    const found = merged.finish().get('x');
    expect(found?.min).toBeCloseTo(min / bias, 12);
    expect(found?.max).toBeCloseTo(max / bias, 12);
  });

  it('gather small runs into batches of 16 samples, and count what is left', () => {
    const merged = mergedRanges(0.5);
    for (let run = 0; run < 10; run += 1) {
      merged.add('x', { min: 0, max: run });
      merged.endRun(4);
    }
    expect(merged.finish().get('x')).toEqual({ min: 0, max: weightedMean([3, 7, 9], 0.5) });
  });

  it('keep infinities, which masks hold', () => {
    const merged = mergedRanges(0.9);
    for (const max of [1, 2, 3]) {
      merged.add('x', { min: Number.NEGATIVE_INFINITY, max });
      merged.endRun(16);
    }
    expect(merged.finish().get('x')?.min).toBe(Number.NEGATIVE_INFINITY);
  });

  it('come from the calibrator, for inputs and inner values of both dialects', async () => {
    const rows = 40;
    const next = random(8);
    const numbers = Float32Array.from({ length: rows * 3 }, () => 2 * next() - 1);
    const data = path.join(folder, 'averaged.npz');
    writeFileSync(data, npz({ x: npy('<f4', [rows, 3], numbers) }));
    const builder = new OnnxBuilder();
    builder.node('Mul', [builder.input('x', ['n', 3]), builder.floats('two', [1], () => 2)], 'y');
    const doubled = builder.output('y').model();
    const tflite = floatModel();
    const momentum = 0.7;
    const batches = [numbers.subarray(0, 48), numbers.subarray(48, 96), numbers.subarray(96)];
    const expected = (of: (batch: Float32Array) => number) => weightedMean(batches.map(of), momentum);
    const top = expected((batch) => Math.max(...batch));
    const bottom = expected((batch) => Math.min(...batch));
    for (const model of [doubled, tflite]) {
      const calibrator = createCalibrator(startRunner, model, { data, seed: 1 });
      const found = await calibrator.ranges(model, ['x', 'y'], momentum);
      expect(found.get('x')?.min).toBeCloseTo(bottom, 6);
      expect(found.get('x')?.max).toBeCloseTo(top, 6);
      const rowsOf = (batch: Float32Array) =>
        Array.from({ length: batch.length / 3 }, (_, row) => batch.subarray(3 * row, 3 * row + 3));
      const y = ([a = 0, b = 0, c = 0]: Float32Array) =>
        Math.max(0, a - 2 * b + 3 * c + 1, 4 * a + 5 * b - 6 * c + 2);
      const most = model === doubled ? 2 * top : expected((batch) => Math.max(...rowsOf(batch).map(y)));
      expect(found.get('y')?.max).toBeCloseTo(most, 5);
      const widest = await calibrator.ranges(model, ['x']);
      expect(widest.get('x')?.max).toBeCloseTo(Math.max(...numbers), 6);
    }
  });
});

describe('histograms of the calibrator', () => {
  it('count each number once, in both dialects', async () => {
    const data = path.join(folder, 'x.npz');
    writeFileSync(data, npz({ x: npy('<f4', [2, 3], Float32Array.of(1, 2, 3, 2, 1, 1)) }));
    const model = floatModel();
    const calibrator = createCalibrator(startRunner, model, { data, seed: 1 });
    const values = ['x', 'y', 'z', 'w'];
    const found = await calibrator.histograms(model, values, await calibrator.ranges(model, values));
    const filled = (id: string) => {
      const counts = Array.from(found.get(id)?.counts ?? []);
      return counts.flatMap((count, bin) => (count > 0 ? [[bin, count]] : []));
    };
    expect(filled('x')).toEqual([
      [0, 3],
      [1024, 2],
      [2047, 1],
    ]);
    // y is [7, 0] for the first sample and [4, 9] for the second.
    expect(filled('y')).toEqual(
      [0, 4, 7, 9].map((value) => [Math.min(2047, Math.floor((value / 9) * 2048)), 1]),
    );
  });

  it('agree with the shapes of an ONNX model, its inputs included', async () => {
    const { model } = readModelFile(path.join(samples, 'digits.onnx'));
    const data = path.join(samples, 'digits-calibration.npz');
    const calibrator = createCalibrator(startRunner, model, { data, seed: 1, samples: 20 });
    const values = ['image', ...model.graphs[0].outputs];
    const found = await calibrator.histograms(model, values, await calibrator.ranges(model, values));
    const totals = values.map((id) => found.get(id)?.counts.reduce((sum, count) => sum + count, 0));
    expect((totals[0] as number) % 20).toBe(0);
    expect(totals[1]).toBe(200);
  });

  it.each(['moving-average', 'percentile', 'entropy', 'mse'])(
    'serve static quantization with ranges=%s',
    async (ranges) => {
      const data = path.join(samples, 'digits-calibration.npz');
      for (const file of ['digits.onnx', 'digits.tflite']) {
        const { model } = readModelFile(path.join(samples, file));
        const calibrator = createCalibrator(startRunner, model, { data, seed: 1, samples: 32 });
        const { model: plain } = await runPass('quantize-static', model, { calibrator });
        const { model: after } = await runPass('quantize-static', model, { calibrator, options: { ranges } });
        expect(bytesOf(after).equals(bytesOf(plain))).toBe(false);
        expect(after.graphs[0].nodes.map((node) => node.op)).toEqual(
          plain.graphs[0].nodes.map((node) => node.op),
        );
        if (model.dialect !== 'onnx' || after.dialect !== 'onnx') continue;
        const feeds = imageFeeds(data, model);
        expect(sqnrDb(await runOnnx(model, feeds), await runOnnx(after, feeds))).toBeGreaterThan(25);
      }
    },
  );
});
