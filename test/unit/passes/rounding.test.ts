import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { Tensor } from 'onnxruntime-node';
import { beforeAll, describe, expect, it } from 'vitest';
import { readModelFile } from '../../../src/formats/io/models.ts';
import type { Model, OnnxModel } from '../../../src/ir/model.ts';
import { choleskyOf, damped, inverseOf, solveCholesky } from '../../../src/passes/support/cholesky.ts';
import type { DenseLayer } from '../../../src/passes/support/denseLayer.ts';
import { matrixOf, multiplyLayerOf } from '../../../src/passes/support/denseLayer.ts';
import { takesShift, targetOf, withWeights } from '../../../src/passes/support/refit.ts';
import { roundRows } from '../../../src/passes/support/rounding.ts';
import type { Levels } from '../../../src/passes/support/roundingRow.ts';
import { codeFor, costOf } from '../../../src/passes/support/roundingRow.ts';
import { decoded, roundLayers } from '../../../src/passes/support/roundLayers.ts';
import type { WeightBits } from '../../../src/passes/support/weightCodes.ts';
import { levelsOf } from '../../../src/passes/support/weightCodes.ts';
import { inputsOf } from '../../../src/runtime/modelInputs.ts';
import { openDataset } from '../../../src/runtime/data/dataset.ts';
import { hasShared, samples, shared } from '../support/models.ts';
import { npy, npz } from '../support/npy.ts';
import { useSourceRunner } from '../support/runner.ts';
import { temporaryFolder } from '../support/temporary.ts';
import { top1 } from './accuracy.ts';
import { OnnxBuilder, runPass } from './build.ts';
import { calibratorFor } from './calibrate.ts';
import type { Feeds } from './runtime.ts';
import { onnxFeeds, random, runOnnx, sqnrDb } from './runtime.ts';

const folder = temporaryFolder();
beforeAll(useSourceRunner);

const quiet = { step: async () => {} };

/** A seeded symmetric positive definite matrix with correlated inputs. */
function gramOf(size: number, seed: number): Float64Array {
  const next = random(seed);
  const vectors = Array.from({ length: 3 * size }, () => {
    const common = next() - 0.5;
    return Float64Array.from({ length: size }, (_, i) => common + (next() - 0.5) * (1 + (i % 5)));
  });
  const gram = new Float64Array(size * size);
  for (const vector of vectors)
    for (let i = 0; i < size; i += 1)
      for (let j = 0; j < size; j += 1)
        gram[i * size + j] =
          (gram[i * size + j] as number) + ((vector[i] as number) * (vector[j] as number)) / vectors.length;
  return gram;
}

function quadratic(h: Float64Array, e: Float64Array): number {
  let sum = 0;
  for (let i = 0; i < e.length; i += 1)
    for (let j = 0; j < e.length; j += 1)
      sum += (e[i] as number) * (h[i * e.length + j] as number) * (e[j] as number);
  return sum;
}

function errorsOf(weights: Float64Array, matrix: Float64Array, row: number, size: number): Float64Array {
  return weights
    .slice(row * size, (row + 1) * size)
    .map((value, i) => value - (matrix[row * size + i] as number));
}

describe('Cholesky', () => {
  it('factors, solves and inverts', () => {
    const n = 17;
    const a = damped(gramOf(n, 3), n, 0.01);
    const l = choleskyOf(a, n);
    const inverse = inverseOf(l, n);
    const x = Float64Array.from({ length: n }, (_, i) => i - 5);
    const b = new Float64Array(n);
    for (let i = 0; i < n; i += 1)
      for (let j = 0; j < n; j += 1) b[i] = (b[i] as number) + (a[i * n + j] as number) * (x[j] as number);
    solveCholesky(l, n, b);
    for (let i = 0; i < n; i += 1) {
      expect(b[i]).toBeCloseTo(x[i] as number, 8);
      let identity = 0;
      for (let k = 0; k < n; k += 1) identity += (a[i * n + k] as number) * (inverse[k * n + i] as number);
      expect(identity).toBeCloseTo(1, 8);
    }
    expect(() => choleskyOf(Float64Array.of(1, 2, 2, 1), 2)).toThrow('not positive definite');
  });
});

describe('rounding of rows', () => {
  it('takes the nearest code', () => {
    const odd: Levels = { low: -3, step: 2, high: 3 };
    expect([-9, -2.1, -1.9, -0.1, 0.1, 1.9, 2.1, 9].map((value) => codeFor(value, 1, odd))).toEqual([
      -3, -3, -1, -1, 1, 1, 3, 3,
    ]);
  });

  const settings = ([1, 2, 3, 4, 8] as const).flatMap((bits) =>
    [0, 8].map((block) => [bits, block] as const),
  );
  it.each(settings)(
    '%i bits, block %i: codes of a set, and no more error than rounding each weight by itself',
    (bits, block) => {
      const [rows, size] = [6, 20];
      const next = random(bits + block);
      const weights = Float64Array.from({ length: rows * size }, () => next() * 2 - 1);
      const h = gramOf(size, bits);
      const cost = costOf(h, size);
      const { codes, scales } = roundRows(cost, { rows, weights, levels: levelsOf(bits), block });
      const matrix = decoded(codes, scales, rows, block);
      let gained = 0;
      for (let r = 0; r < rows; r += 1) {
        const row = codes.subarray(r * size, (r + 1) * size);
        const sets = levelsOf(bits).filter(({ low, step, high }) =>
          row.every((code) => code >= low && code <= high && (code - low) % step === 0),
        );
        expect(sets.length).toBeGreaterThan(0);
        const found = quadratic(h, errorsOf(weights, matrix, r, size));
        const nearest = nearestError(h, weights.subarray(r * size, (r + 1) * size), bits, block);
        expect(found).toBeLessThanOrEqual(nearest * 1.02);
        gained += nearest / found;
      }
      console.info(
        `${bits} bits, block ${block}: ${(gained / rows).toFixed(2)} times less error than nearest`,
      );
      expect(gained / rows).toBeGreaterThan(1.1);
    },
  );

  it('finds the best codes of short rows that a search through all of them finds', () => {
    const size = 5;
    const levels: Levels = { low: -2, step: 1, high: 1 };
    const next = random(9);
    let found = 0;
    let best = 0;
    for (let trial = 0; trial < 20; trial += 1) {
      const weights = Float64Array.from({ length: size }, () => next() * 2 - 1);
      const h = gramOf(size, 100 + trial);
      const cost = costOf(h, size);
      const rounded = roundRows(cost, { rows: 1, weights, levels: [levels], block: 0 });
      found += rounded.cost;
      const [scale] = rounded.scales as unknown as [number];
      best += bestOfAll(damped(h, size, 0.01), weights, scale, levels);
    }
    expect(found).toBeLessThan(1.1 * best);
  });

  it('keeps what is zero on purpose', () => {
    const size = 6;
    const h = gramOf(size, 4);
    // Input 2 is never anything but zero, and so is its weight; output 1 is empty.
    for (let i = 0; i < size; i += 1) h[2 * size + i] = h[i * size + 2] = 0;
    const weights = Float64Array.from({ length: 3 * size }, (_, i) =>
      i % size === 2 || Math.floor(i / size) === 1 ? 0 : Math.sin(i + 1),
    );
    const { codes } = roundRows(costOf(h, size), {
      rows: 3,
      weights,
      levels: levelsOf(2),
      block: 0,
    });
    for (const [i, code] of codes.entries())
      if (i % size === 2 || Math.floor(i / size) === 1) expect(code).toBe(0);
  });

  it('obeys the least scales, and one scale for all', () => {
    const size = 12;
    const next = random(5);
    const weights = Float64Array.from({ length: 4 * size }, () => next() - 0.5);
    const task = { rows: 4, weights, levels: levelsOf(4), block: 0 };
    const cost = costOf(gramOf(size, 6), size);
    const raised = roundRows(cost, { ...task, leastScales: [0, 0.5, 0, 0] });
    expect(raised.scales[1]).toBeGreaterThanOrEqual(0.5);
    const one = roundRows(cost, { ...task, oneScale: true });
    expect(new Set(one.scales).size).toBe(1);
    expect(one.cost).toBeGreaterThanOrEqual(roundRows(cost, task).cost);
  });
});

/** Least error over the same scales, each weight rounded by itself. */
function nearestError(h: Float64Array, row: Float64Array, bits: WeightBits, block: number): number {
  const size = row.length;
  let least = Number.POSITIVE_INFINITY;
  for (const levels of levelsOf(bits)) {
    const top = Math.max(Math.abs(levels.low), Math.abs(levels.high));
    for (let share = 0.3; share <= 1; share += 0.05) {
      const errors = row.map((value, i) => {
        const from = block === 0 ? 0 : Math.floor(i / block) * block;
        const part = row.subarray(from, block === 0 ? size : from + block);
        const scale = (share * Math.max(...part.map(Math.abs))) / top;
        return value - scale * codeFor(value, scale, levels);
      });
      least = Math.min(least, quadratic(h, errors));
    }
  }
  return least;
}

function bestOfAll(h: Float64Array, weights: Float64Array, scale: number, levels: Levels): number {
  const count = levels.high - levels.low + 1;
  let best = Number.POSITIVE_INFINITY;
  for (let each = 0; each < count ** weights.length; each += 1) {
    let rest = each;
    const errors = weights.map((value) => {
      const code = levels.low + (rest % count);
      rest = Math.floor(rest / count);
      return value - scale * code;
    });
    best = Math.min(best, quadratic(h, errors));
  }
  return best;
}

function digitsFeeds(model: Model): Feeds {
  const feeds: Feeds = {};
  const data = openDataset(path.join(samples, 'digits-test.npz'), inputsOf(model));
  for (const [name, { dims, data: bytes }] of Object.entries(data.feeds(0, 200)))
    feeds[name] = new Tensor('float32', new Float32Array(bytes.slice().buffer), dims);
  return feeds;
}

/** Each layer for inputs without correlations. */
function roundedAlone(layer: DenseLayer) {
  const { inputs, outputs } = layer;
  const white = new Float64Array(inputs ** 2).map((_, i) => (i % (inputs + 1) === 0 ? 1 : 0));
  const weights = matrixOf(layer);
  const { codes, scales } = roundRows(costOf(white, inputs), {
    rows: outputs,
    weights,
    levels: levelsOf(3),
    block: 0,
  });
  return { layer, matrix: decoded(codes, scales, outputs, 0) };
}

/** A convolution, one in groups, a depthwise one with a Relu between, and a Gemm; weights of different sizes. */
function convolutions(): Model {
  const g = new OnnxBuilder(11);
  g.input('x', ['N', 4, 9, 9]);
  g.node('Conv', ['x', g.floats('w', [8, 4, 3, 3])], 'a', { pads: [1, 1, 1, 1] });
  g.node('Relu', ['a'], 'ar');
  g.node('Conv', ['ar', g.floats('v', [8, 4, 3, 3]), g.floats('vb', [8])], 'b', { group: 2 });
  g.node('Relu', ['b'], 'br');
  g.node('Conv', ['br', g.floats('u', [8, 1, 3, 3]), g.floats('ub', [8])], 'c', {
    group: 8,
    strides: [2, 2],
  });
  g.node('Flatten', ['c'], 'f');
  g.node('Gemm', ['f', g.floats('t', [6, 72]), g.floats('tb', [6])], 'h', { transB: 1 });
  g.node('Relu', ['h'], 'hr');
  g.node('MatMul', ['hr', g.floats('s', [6, 5])], 'm');
  g.node('Add', ['m', g.floats('sb', [5])], 'y');
  return g.output('y').model();
}

describe('rounding of layers', () => {
  const model = convolutions();
  const layers = model.graphs[0].nodes.flatMap((node) => multiplyLayerOf(model, node) ?? []);

  it('writes weights and biases of every kind of layer back as they were', async () => {
    const same = withWeights(
      model,
      layers.map((layer) => ({ layer, matrix: matrixOf(layer), shift: new Float64Array(layer.outputs) })),
    );
    expect(layers.every((layer) => takesShift(model.graphs[0], layer))).toBe(true);
    const feeds = onnxFeeds(model, 3, 2);
    if (model.dialect !== 'onnx' || same.dialect !== 'onnx') throw new Error('not ONNX');
    expect(sqnrDb(await runOnnx(model, feeds), await runOnnx(same, feeds))).toBeGreaterThan(120);
  });

  it('shifts outputs by what it is told', async () => {
    for (const layer of layers) {
      const shift = Float64Array.from({ length: layer.outputs }, (_, i) => i + 1);
      const shifted = withWeights(model, [
        { layer, matrix: new Float64Array(matrixOf(layer).length), shift },
      ]);
      const [after] = shifted.graphs[0].nodes.flatMap((node) =>
        node.id === layer.node.id ? (multiplyLayerOf(shifted, node) ?? []) : [],
      );
      expect(matrixOf(after as (typeof layers)[number]).every((value) => value === 0)).toBe(true);
    }
  });

  it('is fitted to drifted inputs: undoes a gain of the layer before', async () => {
    const calibrator = calibratorFor(model, undefined, 64);
    const [first, second] = layers as [(typeof layers)[number], (typeof layers)[number]];
    const doubled = withWeights(model, [{ layer: first, matrix: matrixOf(first).map((value) => 2 * value) }]);
    const pair = { reference: second.node.id, current: second.node.id };
    const seen = await calibrator.crossMoments(model, doubled, [pair]);
    const moments = seen.get(second.node.id);
    if (moments === undefined) throw new Error('nothing was seen');
    const { weights } = targetOf(second, moments, true);
    const wanted = matrixOf(second);
    for (const [i, value] of weights.entries())
      expect(Math.abs(value - (wanted[i] as number) / 2)).toBeLessThan(0.02);
  });

  it.each(['quantize-weights', 'quantize-static'])(
    '%s: biases make up for the mean error, unless told not to',
    async (pass) => {
      const g = new OnnxBuilder(9);
      g.input('x', ['N', 24]);
      const bias = g.floats('b', [40]);
      g.node('Gemm', ['x', g.floats('w', [24, 40]), bias], 'y');
      const model = g.output('y').model(21);
      const next = random(5);
      const numbers = Float32Array.from({ length: 64 * 24 }, (_, i) => 1 + (i % 24) / 24 + next());
      const data = path.join(folder, 'shifted.npz');
      writeFileSync(data, npz({ x: npy('<f4', [64, 24], numbers) }));
      const feeds = { x: new Tensor('float32', numbers, [64, 24]) };
      const truth = (await runOnnx(model, feeds)).y as Float32Array;
      const calibrator = calibratorFor(model, data);
      const common =
        pass === 'quantize-weights' ? { bits: '4', smallest: 0 } : { scheme: 'w4a8', equalize: false };
      const meanError = async (biasCorrection: boolean) => {
        const options = { ...common, biasCorrection };
        const { model: after } = await runPass(pass, model, { calibrator, options });
        const y = (await runOnnx(after, feeds)).y as Float32Array;
        const means = new Float64Array(40);
        y.forEach((value, i) => {
          means[i % 40] = (means[i % 40] as number) + (value - (truth[i] as number)) / 64;
        });
        return Math.sqrt(means.reduce((sum, mean) => sum + mean ** 2, 0) / 40);
      };
      expect(await meanError(true)).toBeLessThan(0.2 * (await meanError(false)));
      const { model: after } = await runPass('quantize-weights', model, {
        calibrator,
        options: { bits: '4', smallest: 0, biasCorrection: false },
      });
      expect(after.graphs[0].values.get(bias)?.constant).toEqual(model.graphs[0].values.get(bias)?.constant);
    },
  );

  it('beats the nearest codes on a trained model', async () => {
    const { model: digits } = readModelFile(path.join(samples, 'digits.onnx'));
    if (digits.dialect !== 'onnx') throw new Error('not ONNX');
    const calibrator = calibratorFor(digits, path.join(samples, 'digits-calibration.npz'));
    const chosen = digits.graphs[0].nodes.flatMap((node) => multiplyLayerOf(digits, node) ?? []);
    const plans = chosen.map((layer) => ({
      id: layer.node.id,
      levels: levelsOf(3),
      block: 0,
      biasCorrection: true,
    }));
    const feeds = digitsFeeds(digits);
    const truth = await runOnnx(digits, feeds);
    const noise = async (after: OnnxModel) => sqnrDb(truth, await runOnnx(after, feeds));
    const plain = await noise(withWeights(digits, chosen.map(roundedAlone)));
    const found: number[] = [];
    for (const sequential of [false, true]) {
      const { model: after, rounded } = await roundLayers(digits, plans, calibrator, sequential, quiet);
      expect(rounded.size).toBe(chosen.length);
      found.push(await noise(after));
    }
    console.info(
      `digits at 3 bits: nearest ${plain.toFixed(1)} dB, ${found.map((each) => each.toFixed(1))} dB`,
    );
    expect(found[0]).toBeGreaterThan(plain + 1);
    expect(found[1]).toBeGreaterThan(plain + 2);
  });

  it('of a TFLite model keeps its accuracy at two bits', async () => {
    const { model: digits } = readModelFile(path.join(samples, 'digits.tflite'));
    const calibrator = calibratorFor(digits, path.join(samples, 'digits-calibration.npz'), 48);
    const plans = digits.graphs[0].nodes.flatMap((node) =>
      multiplyLayerOf(digits, node) === undefined
        ? []
        : [{ id: node.id, levels: levelsOf(2), block: 0, biasCorrection: true }],
    );
    const { model: after } = await roundLayers(digits, plans, calibrator, true, quiet);
    const test = path.join(samples, 'digits-test.npz');
    const [before, then] = [await top1(digits, test), await top1(after, test)];
    console.info(`digits.tflite at 2 bits: ${before} -> ${then}`);
    expect(before - then).toBeLessThan(2);
  });

  it.runIf(hasShared)(
    'keeps cifar_resnet at two bits',
    async () => {
      const { model: net } = readModelFile(path.join(shared, 'models/own/cifar_resnet_folded.onnx'));
      const data = path.join(shared, 'data/cifar10-calib-512.onnx.json');
      const plans = net.graphs[0].nodes.flatMap((node) =>
        multiplyLayerOf(net, node) === undefined
          ? []
          : [{ id: node.id, levels: levelsOf(2), block: 0, biasCorrection: true }],
      );
      const { model: after, rounded } = await roundLayers(
        net,
        plans,
        calibratorFor(net, data, 128),
        false,
        quiet,
      );
      for (const { layer, codes } of rounded.values())
        for (let o = 0; o < layer.outputs; o += 1)
          expect(new Set(codes.subarray(o * layer.inputs, (o + 1) * layer.inputs)).size).toBeLessThanOrEqual(
            4,
          );
      const test = path.join(shared, 'data/cifar10-test-2000.onnx.json');
      const drop = (await top1(net, test)) - (await top1(after, test));
      console.info(`cifar_resnet at 2 bits, one pass over 128 samples: drop ${drop.toFixed(2)}`);
      expect(drop).toBeLessThan(3);
    },
    120_000,
  );
});
