import path from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { targetFor } from '../../../src/devices/targets/registry.ts';
import { operatorRule } from '../../../src/devices/targets/target.ts';
import { kernelsOf } from '../../../src/engine/audit/kernels.ts';
import { addToHistogram, histogramBins } from '../../../src/engine/observe/histograms.ts';
import { readModelFile } from '../../../src/formats/io/models.ts';
import type { OnnxModel } from '../../../src/ir/model.ts';
import { numberTensor, readFloats } from '../../../src/ir/numbers.ts';
import type { InputMoments } from '../../../src/passes/pass.ts';
import { matrixOf, multiplyLayerOf } from '../../../src/passes/support/denseLayer.ts';
import { activationEncoding } from '../../../src/passes/support/quantization.ts';
import { entropyRange } from '../../../src/passes/support/ranges.ts';
import { roundLayer } from '../../../src/passes/support/roundLayers.ts';
import type { WeightBits } from '../../../src/passes/support/weightCodes.ts';
import { byChannel } from '../../../src/passes/support/grouping.ts';
import { encodeWeight, levelsOf } from '../../../src/passes/support/weightCodes.ts';
import { hasShared, samples, shared } from '../support/models.ts';
import { useSourceRunner } from '../support/runner.ts';
import { OnnxBuilder, runPass } from './build.ts';
import { calibratorFor } from './calibrate.ts';
import { optimizedOnnx, random } from './runtime.ts';

beforeAll(useSourceRunner);

type Attributes = Parameters<OnnxBuilder['node']>[3];
interface Snippet {
  readonly inputs?: number;
  readonly attributes?: Attributes;
  readonly integers?: readonly (readonly number[])[];
  readonly opset?: number;
}

/** Every operator between pairs that ONNX Runtime may turn into a kernel: x is 1 x 4 x 8 x 8. */
const snippets: Readonly<Record<string, Snippet>> = {
  Add: { inputs: 2 },
  Mul: { inputs: 2 },
  Concat: { inputs: 2, attributes: { axis: 1 } },
  AveragePool: { attributes: { kernel_shape: [2, 2] } },
  GlobalAveragePool: {},
  Sigmoid: {},
  LeakyRelu: { attributes: { alpha: 0.1 } },
  Softmax: {},
  MaxPool: { attributes: { kernel_shape: [2, 2] } },
  Reshape: { integers: [[1, 4, 64]] },
  Flatten: {},
  Transpose: { attributes: { perm: [0, 2, 3, 1] } },
  Squeeze: { integers: [[0]] },
  Unsqueeze: { integers: [[0]] },
  Slice: { integers: [[0], [2], [1]] },
  Expand: { integers: [[2, 4, 8, 8]] },
  Tile: { integers: [[1, 1, 2, 1]] },
  DepthToSpace: { attributes: { blocksize: 2 } },
  Sub: { inputs: 2 },
  Div: { inputs: 2 },
  Max: { inputs: 2 },
  Min: { inputs: 2 },
  Pow: { inputs: 2 },
  Tanh: {},
  HardSwish: { opset: 14 },
  Elu: {},
  Mish: { opset: 18 },
  Gelu: { opset: 20 },
  Exp: {},
  Sqrt: {},
  LogSoftmax: {},
  SpaceToDepth: { attributes: { blocksize: 2 } },
  InstanceNormalization: {},
};

/** The operator on codes of one scale, its result in codes of the same. */
function between(op: string, { inputs = 1, attributes = {}, integers = [], opset = 13 }: Snippet): OnnxModel {
  const g = new OnnxBuilder(1);
  const scale = g.floats('scale', [], () => 1 / 256);
  const zero = g.constant('zero', numberTensor('uint8', [], [op === 'Softmax' ? 0 : 3]));
  const coded = (id: string) => {
    g.node('QuantizeLinear', [g.input(id, [1, 4, 8, 8]), scale, zero], `${id}_codes`);
    return g.node('DequantizeLinear', [`${id}_codes`, scale, zero], `${id}_floats`);
  };
  const given = ['x', 'z'].slice(0, inputs).map(coded);
  if (op === 'InstanceNormalization') given.push(g.floats('gain', [4]), g.floats('shift', [4]));
  const more = integers.map((values, at) => g.integers(`i${at}`, values));
  g.node(op, [...given, ...more], 'r', attributes);
  g.node('QuantizeLinear', ['r', scale, zero], 'r_codes');
  g.node('DequantizeLinear', ['r_codes', scale, zero], 'y');
  return g.output('y').model(opset);
}

describe('the rules of ONNX Runtime on x86 are what it does', () => {
  const rules = targetFor('ort-x86-vnni', 'onnx');

  it.each(Object.entries(snippets))('%s', async (op, snippet) => {
    const model = between(op, snippet);
    const optimized = await optimizedOnnx(model);
    const kernel = kernelsOf(model.graphs[0], optimized.graphs[0]).get(`${op}:r`);
    const hasKernel = operatorRule(rules, op, 'uint8') !== undefined;
    expect(kernel?.runsOn ?? 'integers').toBe(hasKernel ? 'integers' : 'floats');
  });
});

/** Normally distributed numbers (Box and Muller 1958). */
function normal(count: number, seed: number): Float64Array {
  const next = random(seed);
  return Float64Array.from(
    { length: count },
    () => Math.sqrt(-2 * Math.log(1 - next())) * Math.cos(2 * Math.PI * next()),
  );
}

it.each([1, 2, 3])('entropy cuts the outlier at 40 off normally distributed numbers, seed %i', (seed) => {
  const numbers = [...normal(100_000, seed), 40];
  const histogram = { min: Math.min(...numbers), max: 40, counts: new Float64Array(histogramBins) };
  addToHistogram(histogram, numbers);
  const { min, max } = entropyRange(histogram);
  expect(max).toBeGreaterThan(4);
  expect(max).toBeLessThan(7);
  expect(min).toBeLessThanOrEqual(-4);
});

describe.each([
  ['digits.onnx', [2, 4]],
  ['digits.tflite', [3, 8]],
] as const)('rounding by the Gram matrix on every layer of %s', (file, widths) => {
  it('costs no more than rounding to the nearest: tr(D H DT)', async () => {
    const { model } = readModelFile(path.join(samples, file));
    const layers = model.graphs[0].nodes.flatMap((node) => multiplyLayerOf(model, node) ?? []);
    const ids = layers.map((layer) => layer.node.id);
    const calibrator = calibratorFor(model, path.join(samples, 'digits-calibration.npz'), 64);
    const moments = await calibrator.moments(model, ids);
    expect(moments.size).toBe(layers.length);
    for (const layer of layers) {
      const seen = moments.get(layer.node.id) as InputMoments;
      const weights = matrixOf(layer);
      const { outputs, inputs } = layer;
      for (const bits of widths) {
        const plan = { levels: levelsOf(bits), block: 0 };
        const { rounded } = roundLayer(layer, seen, plan, false);
        const scaled = Float64Array.from(
          rounded.codes,
          (code, at) => code * (rounded.scales[Math.floor(at / inputs)] as number),
        );
        const nearest = nearestOf(weights, outputs, inputs, bits);
        const own = cost(weights, scaled, seen, outputs);
        const plain = cost(weights, nearest, seen, outputs);
        expect(own, `${layer.node.id} at ${bits} bits`).toBeLessThanOrEqual(plain * (1 + 1e-6));
        // Depthwise or not, some of the correlation between inputs can be made use of.
        if (bits < 8) expect(own, `${layer.node.id} at ${bits} bits`).toBeLessThan(0.98 * plain);
      }
    }
  });
});

function nearestOf(weights: Float64Array, outputs: number, inputs: number, bits: WeightBits): Float64Array {
  const tensor = numberTensor('float32', [outputs, inputs], weights);
  const { codes, scales } = encodeWeight(tensor, byChannel([outputs, inputs], 0), bits);
  const [numbers, factors] = [readFloats(codes), readFloats(scales)];
  return Float64Array.from(numbers, (code, at) => code * (factors[Math.floor(at / inputs)] as number));
}

function cost(
  a: Float64Array,
  b: Float64Array,
  { gram, size, groups }: InputMoments,
  outputs: number,
): number {
  let sum = 0;
  for (let o = 0; o < outputs; o += 1) {
    const h = Math.floor(o / (outputs / groups)) * size * size;
    for (let i = 0; i < size; i += 1) {
      const left = (a[o * size + i] as number) - (b[o * size + i] as number);
      for (let j = 0; j < size; j += 1)
        sum +=
          left *
          (gram[h + i * size + j] as number) *
          ((a[o * size + j] as number) - (b[o * size + j] as number));
    }
  }
  return sum;
}

describe('min-max encodings', () => {
  /** As onnxruntime/quantization/quant_utils.py computes them, in float64 and then stored as float32. */
  const reference = (min: number, max: number, low: number, high: number) => {
    const [from, to] = [Math.min(min, 0), Math.max(max, 0)];
    const scale = (to - from) / (high - low);
    return { scale: Math.fround(scale), zeroPoint: Math.round(low - from / scale) };
  };

  it.each([
    ['uint8', 0, 255],
    ['int8', -128, 127],
  ] as const)(
    'of %s are within one unit in the last place of what ONNX Runtime computes',
    (dtype, low, high) => {
      const next = random(6);
      for (let i = 0; i < 2000; i += 1) {
        const [min, max] = [(next() - 0.7) * 10 ** (4 * next() - 2), (next() - 0.2) * 10 ** (4 * next() - 2)];
        if (!(max > min)) continue;
        const own = activationEncoding({ min, max }, dtype);
        const expected = reference(min, max, low, high);
        expect(Math.abs(own.scale / expected.scale - 1)).toBeLessThanOrEqual(2 ** -23);
        expect(Math.abs(own.zeroPoint - expected.zeroPoint)).toBeLessThanOrEqual(1);
      }
    },
  );
});

describe.runIf(hasShared)('weights of the int8 files published with float models', () => {
  const read = (name: string) => readModelFile(path.join(shared, 'models/tflite', `${name}.tflite`)).model;

  it.each([
    ['vww_96_float', 'vww_96_int8'],
    ['pretrainedResnet', 'pretrainedResnet_quant'],
    ['ad01_fp32', 'ad01_int8'],
  ])('%s: codes and scales are those of %s', async (float, published) => {
    const options = { equalize: false, rounding: 'nearest' };
    const model = read(float);
    const { model: own } = await runPass('quantize-static', model, {
      options,
      calibrator: calibratorFor(model, undefined, 1),
    });
    const weightsOf = (from: typeof own) =>
      from.graphs[0].nodes.flatMap((node) => {
        const value = from.graphs[0].values.get(node.inputs[1] ?? '');
        return value?.constant?.dtype === 'int8' ? [value] : [];
      });
    const [mine, theirs] = [weightsOf(own), weightsOf(read(published))];
    expect(mine.length).toBeGreaterThan(5);
    expect(mine.length).toBe(theirs.length);
    let codes = 0;
    let different = 0;
    for (const [at, value] of mine.entries()) {
      const other = theirs[at];
      const [a, b] = [value.quantization?.scale ?? [], other?.quantization?.scale ?? []];
      expect(a.length).toBe(b.length);
      if (value.constant === undefined || other?.constant === undefined) throw new Error('no weights');
      const [x, y] = [readFloats(value.constant), readFloats(other.constant)];
      // Where weights are as good as zero, the bias asks for a larger scale, which depends on the calibration.
      const largest = largestCodes(y, b.length, other.constant.dims, other.quantization?.axis ?? 0);
      a.forEach((scale, i) => {
        if (largest[i] === 0) return;
        expect(Math.abs(scale / (b[i] as number) - 1)).toBeLessThanOrEqual(2 ** -22);
      });
      x.forEach((code, i) => {
        codes += 1;
        if (code === y[i]) return;
        different += 1;
        expect(Math.abs(code - (y[i] as number))).toBeLessThanOrEqual(1);
      });
    }
    console.info(`${published}: ${different} of ${codes} codes differ, by one`);
    expect(different).toBeLessThan(1e-3 * codes);
  });
});

function largestCodes(
  codes: Float32Array,
  channels: number,
  dims: readonly number[],
  axis: number,
): number[] {
  const inner = dims.slice(axis + 1).reduce((product, dim) => product * dim, 1);
  const largest = Array.from({ length: channels }, () => 0);
  codes.forEach((code, i) => {
    const channel = channels === 1 ? 0 : Math.floor(i / inner) % channels;
    largest[channel] = Math.max(largest[channel] as number, Math.abs(code));
  });
  return largest;
}
