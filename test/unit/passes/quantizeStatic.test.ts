import path from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { attr } from '../../../src/ir/attribute.ts';
import { readModelFile } from '../../../src/formats/io/models.ts';
import type { Model, OnnxModel } from '../../../src/ir/model.ts';
import { readFloats, readIntegers } from '../../../src/ir/numbers.ts';
import { hasShared, samples, shared } from '../support/models.ts';
import { useSourceRunner } from '../support/runner.ts';
import { top1 } from './accuracy.ts';
import { OnnxBuilder, operatorsOf, runPass } from './build.ts';
import { calibratorFor, givenRanges } from './calibrate.ts';
import { onnxFeeds, optimizedOnnx, runOnnx, sqnrDb } from './runtime.ts';

beforeAll(useSourceRunner);

const image = (g: OnnxBuilder) => g.input('x', ['N', 8, 8, 8]);
const conv = (g: OnnxBuilder, from: string, to: string, extra: Record<string, number> = {}) =>
  g.node(
    'Conv',
    [from, g.floats(`${to}.w`, [8, 8 / (extra.group ?? 1), 1, 1]), g.floats(`${to}.b`, [8])],
    to,
    extra,
  );

/** Small graphs and the kernels that ONNX Runtime 1.30 is known to make of their quantized form. */
const audits: readonly [string, (g: OnnxBuilder) => void, string, number?][] = [
  [
    'Conv, Relu, Conv',
    (g) => {
      image(g);
      conv(g, 'x', 'a');
      g.node('Relu', ['a'], 'r');
      conv(g, 'r', 'y');
    },
    'QuantizeLinear:1 QLinearConv:2 DequantizeLinear:1',
  ],
  [
    'depthwise Conv with Clip 0..6',
    (g) => {
      image(g);
      conv(g, 'x', 'a', { group: 8 });
      g.node('Clip', ['a', g.floats('low', [], () => 0), g.floats('high', [], () => 6)], 'r');
      conv(g, 'r', 'y');
    },
    'QuantizeLinear:1 QLinearConv:2 DequantizeLinear:1',
  ],
  [
    'residual Add',
    (g) => {
      image(g);
      conv(g, 'x', 'a');
      conv(g, 'a', 'b');
      g.node('Add', ['a', 'b'], 's');
      g.node('Relu', ['s'], 'r');
      conv(g, 'r', 'y');
    },
    'QuantizeLinear:1 QLinearConv:3 QLinearAdd:1 DequantizeLinear:1',
  ],
  [
    'SiLU',
    (g) => {
      image(g);
      conv(g, 'x', 'a');
      g.node('Sigmoid', ['a'], 's');
      g.node('Mul', ['a', 's'], 'm');
      conv(g, 'm', 'y');
    },
    'QuantizeLinear:1 QLinearConv:2 QLinearSigmoid:1 QLinearMul:1 DequantizeLinear:1',
  ],
  [
    'Concat, MaxPool, LeakyRelu',
    (g) => {
      image(g);
      conv(g, 'x', 'a');
      conv(g, 'a', 'b');
      g.node('LeakyRelu', ['b'], 'l', { alpha: 0.1 });
      g.node('Concat', ['a', 'l'], 'c', { axis: 1 });
      g.node('MaxPool', ['c'], 'p', { kernel_shape: [2, 2], strides: [2, 2] });
      g.node('Conv', ['p', g.floats('v', [4, 16, 1, 1])], 'y');
    },
    'QuantizeLinear:1 QLinearConv:3 QLinearLeakyRelu:1 QLinearConcat:1 MaxPool:1 DequantizeLinear:1',
  ],
  [
    'mean over the plane, Flatten, Gemm',
    (g) => {
      image(g);
      conv(g, 'x', 'a');
      g.node('ReduceMean', ['a'], 'm', { axes: [2, 3], keepdims: 0 });
      g.node('Gemm', ['m', g.floats('v', [8, 5]), g.floats('vb', [5])], 'y');
    },
    'QuantizeLinear:1 QLinearConv:1 QLinearGlobalAveragePool:1 Flatten:1 QGemm:1',
  ],
  [
    'HardSwish as an addition that saturates and a product',
    (g) => {
      image(g);
      conv(g, 'x', 'a');
      g.node('HardSwish', ['a'], 'h');
      conv(g, 'h', 'y');
    },
    'QuantizeLinear:1 QLinearConv:2 QLinearAdd:1 QLinearMul:1 DequantizeLinear:1',
    14,
  ],
  [
    'squeeze and excitation with HardSigmoid, scales repeated over a row',
    (g) => {
      image(g);
      conv(g, 'x', 'a');
      g.node('GlobalAveragePool', ['a'], 'p');
      conv(g, 'p', 'f');
      g.node('HardSigmoid', ['f'], 's', { alpha: attr.float(1 / 6) });
      g.node('Mul', ['a', 's'], 'm');
      conv(g, 'm', 'y');
    },
    'QuantizeLinear:1 QLinearConv:3 QLinearGlobalAveragePool:1 QLinearAdd:1 Tile:1 QLinearMul:1 DequantizeLinear:1',
  ],
  [
    'an image of three channels gets a fourth',
    (g) => {
      g.input('x', ['N', 3, 9, 9]);
      g.node('Conv', ['x', g.floats('w', [16, 3, 3, 3]), g.floats('b', [16])], 'y', { strides: [2, 2] });
    },
    'QuantizeLinear:1 Pad:1 QLinearConv:1 DequantizeLinear:1',
  ],
  [
    'ConvTranspose stays float',
    (g) => {
      image(g);
      conv(g, 'x', 'a');
      g.node('ConvTranspose', ['a', g.floats('v', [8, 4, 2, 2])], 'y', { strides: [2, 2] });
    },
    'QuantizeLinear:1 QLinearConv:1 DequantizeLinear:1 ConvTranspose:1',
  ],
];

describe('static quantization becomes integer kernels in ONNX Runtime:', () => {
  it.each(audits)('%s', async (_, make, expected, opset = 13) => {
    const g = new OnnxBuilder(4);
    make(g);
    const model = g.output('y').model(opset);
    const calibrator = calibratorFor(model, undefined, 16);
    const { model: quantized } = await runPass('quantize-static', model, { calibrator });
    expect(operatorsOf(await optimizedOnnx(quantized))).toBe(expected);
    const feeds = onnxFeeds(model, 9);
    expect(sqnrDb(await runOnnx(model, feeds), await runOnnx(quantized, feeds))).toBeGreaterThan(20);
  });

  it('MatMul with float results keeps no Quantize behind it', async () => {
    const g = new OnnxBuilder(4);
    g.input('x', ['N', 6, 8]);
    g.node('MatMul', ['x', g.floats('v', [8, 5])], 'm');
    g.node('Add', ['m', g.floats('b', [5])], 'a');
    g.node('Tanh', ['a'], 'y');
    const model = g.output('y').model();
    const { model: quantized } = await runPass('quantize-static', model, {
      calibrator: calibratorFor(model),
    });
    expect(operatorsOf(await optimizedOnnx(quantized))).toBe(
      'QuantizeLinear:1 MatMulIntegerToFloat:1 Add:1 Tanh:1',
    );
  });
});

function twoConvs(): OnnxModel {
  const g = new OnnxBuilder(2);
  image(g);
  conv(g, 'x', 'a');
  g.node('Relu', ['a'], 'r');
  conv(g, 'r', 'y');
  return g.output('y').model();
}

function constant(model: Model, id: string) {
  const found = model.graphs[0].values.get(id)?.constant;
  if (found === undefined) throw new Error(`no constant ${id}`);
  return found;
}

describe('the written numbers', () => {
  it('make zero exact, keep weights symmetric and tie the bias scale to them', async () => {
    const model = twoConvs();
    const calibrator = givenRanges({ x: [0.5, 3], r: [0, 2] });
    const { model: after } = await runPass('quantize-static', model, {
      options: { rounding: 'nearest' },
      calibrator,
    });
    // A range that does not reach zero is stretched to it.
    expect(readFloats(constant(after, 'q1_scale'))[0]).toBe(Math.fround(3 / 255));
    expect(readIntegers(constant(after, 'q1_zero'))).toEqual([0]);
    const codes = readIntegers(constant(after, 'y.w_int8'));
    expect(Math.max(...codes.map(Math.abs))).toBe(127);
    const scales = readFloats(constant(after, 'y.w_scale'));
    expect(scales).toHaveLength(8);
    const input = readFloats(constant(after, 'q2_scale'))[0] as number;
    const bias = readFloats(constant(after, 'y.b_scale'));
    expect(Array.from(bias)).toEqual(Array.from(scales, (scale) => Math.fround(scale * input)));
  });

  it('survive ranges without extent, channels of zeros and a bias that overflows', async () => {
    const g = new OnnxBuilder(2);
    image(g);
    g.floats('w', [8, 8, 1, 1], (i) => (i < 8 ? 0 : i < 16 ? 1e-12 : g.number()));
    g.node('Conv', ['x', 'w', g.floats('b', [8], () => 1000)], 'a');
    const model = g.output('a').model();
    const calibrator = givenRanges({ x: [0, 0] }, { min: 0, max: 1100 });
    const { model: after } = await runPass('quantize-static', model, { calibrator });
    const feeds = onnxFeeds(model, 1);
    const [before, then] = [await runOnnx(model, feeds), await runOnnx(after, feeds)];
    expect((then.a as Float32Array).every(Number.isFinite)).toBe(true);
    expect(sqnrDb(before, then)).toBeGreaterThan(40);
  });

  it('are int8 on ARM', async () => {
    const model = twoConvs();
    const calibrator = calibratorFor(model, undefined, 16);
    const { model: after } = await runPass('quantize-static', model, {
      options: { target: 'arm' },
      calibrator,
    });
    expect(constant(after, 'q1_zero').dtype).toBe('int8');
    const feeds = onnxFeeds(model, 9);
    expect(sqnrDb(await runOnnx(model, feeds), await runOnnx(after, feeds))).toBeGreaterThan(25);
  });

  it('cover only the chosen layers', async () => {
    const model = twoConvs();
    const { model: after } = await runPass('quantize-static', model, {
      layers: ['Conv:y'],
      calibrator: givenRanges({}),
    });
    expect(operatorsOf(after)).toBe('Conv:2 Relu:1 QuantizeLinear:2 DequantizeLinear:4');
  });

  it('leave layers without a usable range in float', async () => {
    const model = twoConvs();
    const calibrator = givenRanges({ x: [Number.NaN, Number.NaN], r: [0, 1], y: [-1, 1] }, undefined);
    const { model: after } = await runPass('quantize-static', model, {
      options: { rounding: 'nearest' },
      calibrator,
    });
    expect(after.graphs[0].nodes.find((node) => node.id === 'Conv:a')?.inputs).toEqual(['x', 'a.w', 'a.b']);
  });
});

describe('16-bit activations', () => {
  it('leave the noise of the weights alone', async () => {
    const model = twoConvs();
    const calibrator = calibratorFor(model, undefined, 16);
    const feeds = onnxFeeds(model, 9);
    const noise = async (scheme: string) => {
      const { model: after } = await runPass('quantize-static', model, { options: { scheme }, calibrator });
      return { after, sqnr: sqnrDb(await runOnnx(model, feeds), await runOnnx(after, feeds)) };
    };
    const wide = await noise('w8a16');
    expect(constant(wide.after, 'q1_zero').dtype).toBe('uint16');
    expect(wide.after.opsets.get('com.microsoft')).toBe(1);
    expect(wide.sqnr).toBeGreaterThan((await noise('w8a8')).sqnr + 3);
  });

  it('follow the specification in TFLite', async () => {
    const { model } = readModelFile(path.join(samples, 'digits.tflite'));
    const calibrator = calibratorFor(model, path.join(samples, 'digits-calibration.npz'));
    const { model: after } = await runPass('quantize-static', model, {
      options: { scheme: 'w8a16' },
      calibrator,
    });
    const [graph] = after.graphs;
    for (const node of graph.nodes.filter(({ op }) => op === 'CONV_2D' || op === 'FULLY_CONNECTED')) {
      const [input, , bias] = node.inputs.map((id) => graph.values.get(id ?? ''));
      expect(input?.type).toMatchObject({ dtype: 'int16' });
      expect(input?.quantization?.zeroPoint).toEqual([0]);
      expect(bias?.constant?.dtype).toBe('int64');
    }
    const test = path.join(samples, 'digits-test.npz');
    expect((await top1(model, test)) - (await top1(after, test))).toBeLessThanOrEqual(0.2);
  });

  it('are refused where the target has none', async () => {
    const options = { scheme: 'w8a16', target: 'edgetpu' };
    const { model } = readModelFile(path.join(samples, 'digits.tflite'));
    const run = runPass('quantize-static', model, { options, calibrator: givenRanges({}) });
    await expect(run).rejects.toMatchObject({ reason: 'unsupported' });
  });
});

describe('requests that cannot be met', () => {
  it('need data', async () => {
    await expect(runPass('quantize-static', twoConvs())).rejects.toMatchObject({ reason: 'bad-dataset' });
  });

  it('are refused for a model that is quantized already', async () => {
    const calibrator = givenRanges({});
    const { model } = await runPass('quantize-static', twoConvs(), { calibrator });
    await expect(runPass('quantize-static', model, { calibrator })).rejects.toMatchObject({
      reason: 'unsupported',
      message: expect.stringMatching(/quantized already: the pass requantize .* audit/),
    });
  });

  it('name the option', async () => {
    const calibrator = givenRanges({});
    const run = (options: Record<string, string | number>) =>
      runPass('quantize-static', twoConvs(), { options, calibrator });
    await expect(run({ scheme: 'w2a2' })).rejects.toMatchObject({
      reason: 'bad-option',
      message: /scheme=w2a2/,
    });
    await expect(run({ bits: 4 })).rejects.toMatchObject({ reason: 'bad-option', message: /no option bits/ });
  });
});

describe('an old opset', () => {
  it('is raised, with every operator rewritten', async () => {
    const g = new OnnxBuilder(6);
    g.input('x', [2, 4, 8, 8]);
    g.node('Conv', ['x', g.floats('w', [6, 4, 3, 3])], 'c', { pads: [1, 1, 1, 1] });
    g.node('Clip', ['c'], 'k', { min: attr.float(0), max: attr.float(6) });
    g.node('Pad', ['k'], 'p', { pads: [0, 0, 1, 1, 0, 0, 1, 1], mode: 'constant', value: attr.float(0.5) });
    g.node('Slice', ['p'], 's', { axes: [2, 3], starts: [1, 1], ends: [9, 9] });
    g.node('Upsample', ['s', g.floats('scales', [4], (i) => (i < 2 ? 1 : 2))], 'u', { mode: 'nearest' });
    g.node('Split', ['u'], 't', { axis: 1, split: [2, 4] }, ['t2']);
    g.node('ReduceSum', ['t2'], 'r', { axes: [1], keepdims: 0 });
    g.node('Unsqueeze', ['r'], 'v', { axes: [1] });
    g.node('Squeeze', ['v'], 'q', { axes: [1] });
    g.node('Softmax', ['q'], 'y', { axis: 2 });
    const model = g.output('y').output('t').model(9);
    const calibrator = calibratorFor(model, undefined, 8);
    const { model: after, notes } = await runPass('quantize-static', model, { calibrator });
    expect(after.opsets.get('')).toBe(13);
    expect(notes).toContain('opset 9 raised to 13');
    const feeds = onnxFeeds(model, 9);
    expect(sqnrDb(await runOnnx(model, feeds), await runOnnx(after, feeds))).toBeGreaterThan(25);
  });

  it('is refused where the old meaning cannot be said', async () => {
    const g = new OnnxBuilder(6);
    g.input('x', [2, 4, 8, 8]);
    g.node('Conv', ['x', g.floats('w', [6, 4, 1, 1])], 'c');
    g.node('Softmax', ['c'], 'y', { axis: 1 });
    const run = runPass('quantize-static', g.output('y').model(9), { calibrator: givenRanges({}) });
    await expect(run).rejects.toMatchObject({ reason: 'unsupported', message: /Softmax/ });
  });
});

const cifar = hasShared ? ['cifar_resnet', 'cifar_mobilenet', 'cifar_vit'] : [];
const data = (name: string) => path.join(shared, 'data', name);

describe('accuracy of static int8', () => {
  it('of the digits sample stays within 0.5 points, at a third of the size', async () => {
    const { model } = readModelFile(path.join(samples, 'digits.onnx'));
    const calibrator = calibratorFor(model, path.join(samples, 'digits-calibration.npz'));
    const { model: after } = await runPass('quantize-static', model, { calibrator });
    const test = path.join(samples, 'digits-test.npz');
    expect((await top1(model, test)) - (await top1(after, test))).toBeLessThanOrEqual(0.5);
  });

  it.each(cifar)(
    'of %s stays within 0.3 points',
    async (name) => {
      const { model } = readModelFile(path.join(shared, 'models/own', `${name}.onnx`));
      const calibrator = calibratorFor(model, data('cifar10-calib-512.onnx.json'));
      const { model: after } = await runPass('quantize-static', model, { calibrator });
      const test = data('cifar10-test-2000.onnx.json');
      const drop = (await top1(model, test)) - (await top1(after, test));
      console.info(`${name}: top-1 drop of static int8 ${drop.toFixed(2)} points`);
      expect(drop).toBeLessThanOrEqual(0.3);
    },
    300_000,
  );

  it.each(hasShared ? ['pretrainedResnet'] : [])(
    'of %s.tflite stays within 0.5 points',
    async (name) => {
      const { model } = readModelFile(path.join(shared, 'models/tflite', `${name}.tflite`));
      const calibrator = calibratorFor(model, data('cifar10-calib-512.mlperf.json'));
      const { model: after } = await runPass('quantize-static', model, { calibrator });
      const test = data('cifar10-test-2000.mlperf.json');
      const drop = (await top1(model, test)) - (await top1(after, test));
      console.info(`${name}: top-1 drop of full integer ${drop.toFixed(2)} points`);
      expect(drop).toBeLessThanOrEqual(0.5);
    },
    300_000,
  );
});
