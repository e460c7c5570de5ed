import path from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { encodeModel } from '../../../src/formats/encode.ts';
import { readModelFile } from '../../../src/formats/io/models.ts';
import type { Model, OnnxModel } from '../../../src/ir/model.ts';
import { withMainGraph } from '../../../src/ir/model.ts';
import { floatTensor, readFloats, readIntegers } from '../../../src/ir/numbers.ts';
import { tensorType } from '../../../src/ir/types.ts';
import { raiseOpset } from '../../../src/passes/support/opset.ts';
import { byBlock, byChannel } from '../../../src/passes/support/grouping.ts';
import { encodeWeight } from '../../../src/passes/support/weightCodes.ts';
import { hasShared, modelFiles, samples, shared } from '../support/models.ts';
import { useSourceRunner } from '../support/runner.ts';
import { top1 } from './accuracy.ts';
import { OnnxBuilder, operatorsOf, runPass } from './build.ts';
import { calibratorFor } from './calibrate.ts';
import { onnxFeeds, optimizedOnnx, random, runOnnx, sqnrDb } from './runtime.ts';
import { runTflite } from './tflite.ts';

beforeAll(useSourceRunner);

function fileBytes(model: Model): number {
  return encodeModel(model).reduce((sum, part) => sum + part.length, 0);
}

/** Two Gemm, which store their weights both ways round, and a MatMul; 70 is no multiple of a block. */
function dense(inputs = 70, opset = 13): OnnxModel {
  const g = new OnnxBuilder(3);
  g.input('x', ['N', inputs]);
  g.node('Gemm', ['x', g.floats('w', [96, inputs]), g.floats('b', [96])], 'a', { transB: 1 });
  g.node('Relu', ['a'], 'r');
  g.node('MatMul', ['r', g.floats('v', [96, 64])], 'm');
  g.node('Gemm', ['m', g.floats('u', [64, 40]), g.floats('c', [40])], 'y');
  return g.output('y').model(opset);
}

async function noiseOf(model: OnnxModel, after: OnnxModel, seed = 7): Promise<number> {
  const feeds = onnxFeeds(model, seed, 3);
  return sqnrDb(await runOnnx(model, feeds), await runOnnx(after, feeds));
}

const settings = ['8', '4'].flatMap((bits) =>
  ['0', '32', '64', '128'].map((block) => [bits, block] as const),
);

describe('quantize-weights of ONNX', () => {
  it.each(settings)('%s bits, block %s: runs, and is joined into MatMulNBits', async (bits, block) => {
    for (const inputs of [128, 70]) {
      const model = dense(inputs);
      const { model: after } = await runPass('quantize-weights', model, { options: { bits, block } });
      const noise = await noiseOf(model, after);
      console.info(`bits ${bits}, block ${block}, ${inputs} inputs: ${noise.toFixed(1)} dB`);
      expect(noise).toBeGreaterThan(bits === '8' ? 35 : 14);
      const kernels = operatorsOf(await optimizedOnnx(after));
      expect(kernels).toBe('MatMulNBits:3 Relu:1');
    }
  });

  it.each(settings)(
    '%s bits, block %s: the file shrinks by what the codes and scales save',
    async (bits, block) => {
      const model = dense(128);
      const { model: after } = await runPass('quantize-weights', model, { options: { bits, block } });
      const shapes = [
        [128, 96],
        [96, 64],
        [64, 40],
      ] as const;
      let saved = 0;
      for (const [k, n] of shapes) {
        const scales = block === '0' ? n : n * Math.ceil(k / Number(block));
        saved += 4 * k * n - (k * n * Number(bits)) / 8 - 4 * scales;
      }
      // Three or four operators and their names come along.
      expect(Math.abs(fileBytes(model) - saved - fileBytes(after))).toBeLessThan(700);
    },
  );

  it.each([
    ['1', '0'],
    ['1', '32'],
    ['2', '0'],
    ['2', '64'],
  ])('%s bits packed, block %s: two bits each, joined into MatMulNBits', async (bits, block) => {
    const model = dense(128);
    const options = { bits, block, ends: false };
    const wide = await runPass('quantize-weights', model, { options });
    const packed = await runPass('quantize-weights', model, { options: { ...options, packed: true } });
    const stored = [...packed.model.graphs[0].values.values()].flatMap(({ constant }) =>
      constant?.dtype.startsWith('int') ? [constant.dtype] : [],
    );
    expect(stored).toEqual(['int2', 'int2', 'int2']);
    expect(packed.model.opsets.get('')).toBe(25);
    expect(packed.notes.join()).toContain('two bits each (opset 25)');
    const codes = 128 * 96 + 96 * 64 + 64 * 40;
    expect(Math.abs(fileBytes(wide.model) - codes / 4 - fileBytes(packed.model))).toBeLessThan(100);
    expect(operatorsOf(await optimizedOnnx(packed.model))).toBe('MatMulNBits:3 Relu:1');
    // Signs are the same; of two bits, int2 knows one set of codes where int4 holds three.
    if (bits === '1') expect(await noiseOf(wide.model, packed.model)).toBeGreaterThan(50);
    const noise = await noiseOf(model, packed.model);
    console.info(`bits ${bits} packed, block ${block}: ${noise.toFixed(1)} dB`);
    expect(noise).toBeGreaterThan(0.5);
  });

  it('packs convolutions and what is rounded by data, and says when it does not pack', async () => {
    const g = new OnnxBuilder(3);
    g.input('x', ['N', 16, 5, 5]);
    g.node('Conv', ['x', g.floats('w', [32, 16, 3, 3]), g.floats('b', [32])], 'y');
    const model = g.output('y').model(13);
    const options = { bits: '2', packed: true, conv: true, ends: false, rounding: 'optimized' };
    const calibrator = calibratorFor(model, undefined, 32);
    const { model: after } = await runPass('quantize-weights', model, { options, calibrator });
    const types = [...after.graphs[0].values.values()].map(({ constant }) => constant?.dtype);
    expect(types).toContain('int2');
    expect(await noiseOf(model, after)).toBeGreaterThan(3);
    const { notes } = await runPass('quantize-weights', dense(), { options: { bits: '4', packed: true } });
    expect(notes.join()).toContain('packed is for weights of 2 bits or 1');
    const blocks = { bits: '4', block: '32', conv: true };
    const whole = await runPass('quantize-weights', model, { options: blocks });
    expect(whole.notes.join()).toContain('1 Conv have one scale per output channel');
  });

  it('keeps its form through simplify', async () => {
    const options = { bits: '4', block: '32' };
    const { model: after } = await runPass('quantize-weights', dense(), { options });
    expect((await runPass('simplify', after)).model).toBe(after);
  });

  it('gives each reader of a shared weight an operator of its own, and stores the codes once', async () => {
    const g = new OnnxBuilder(3);
    g.input('x', ['N', 64]);
    g.floats('w', [64, 64]);
    g.node('MatMul', ['x', 'w'], 'a');
    g.node('MatMul', ['a', 'w'], 'y');
    const model = g.output('y').model();
    const { model: after } = await runPass('quantize-weights', model);
    expect(operatorsOf(after)).toBe('DequantizeLinear:2 MatMul:2');
    expect(fileBytes(after)).toBeLessThan(0.35 * fileBytes(model));
    expect(await noiseOf(model, after)).toBeGreaterThan(35);
  });

  it('leaves convolutions alone unless told, and small weights', async () => {
    const g = new OnnxBuilder(3);
    g.input('x', ['N', 16, 5, 5]);
    g.node('Conv', ['x', g.floats('w', [32, 16, 3, 3]), g.floats('b', [32])], 'y');
    const model = g.output('y').model();
    const plain = await runPass('quantize-weights', model);
    expect(plain.model).toBe(model);
    expect(plain.notes.join()).toContain('1 Conv left float');
    for (const bits of ['8', '4']) {
      const { model: after } = await runPass('quantize-weights', model, { options: { conv: true, bits } });
      expect(await noiseOf(model, after)).toBeGreaterThan(bits === '8' ? 35 : 14);
    }
    const { model: same } = await runPass('quantize-weights', dense(), { options: { smallest: 100_000 } });
    expect(operatorsOf(same)).not.toContain('Dequantize');
  });

  it('changes only the layers it is given', async () => {
    const model = dense();
    const { model: after } = await runPass('quantize-weights', model, { layers: ['MatMul:m'] });
    expect(operatorsOf(after)).toBe('Gemm:2 Relu:1 DequantizeLinear:1 MatMul:1');
  });

  const files = modelFiles('.onnx')
    .filter((file) => !/skeletons|superres|fixtures|light_|_folded/.test(file))
    .map((file) => [path.basename(file), file] as const);
  it.each(files)('%s', async (name, file) => {
    const model = readModelFile(file).model as OnnxModel;
    const options = { bits: '4', block: '32' };
    let after: OnnxModel;
    try {
      ({ model: after } = await runPass('quantize-weights', model, { options }));
    } catch (error) {
      expect(error).toMatchObject({ reason: 'unsupported' });
      console.info(`${name}: ${(error as Error).message}`);
      return;
    }
    if (after === model) return;
    expect(fileBytes(after)).toBeLessThan(fileBytes(model));
    const feeds = onnxFeeds(model, 7);
    const noise = sqnrDb(await runOnnx(model, feeds), await runOnnx(after, feeds));
    console.info(`${name}: ${noise.toFixed(1)} dB`);
    expect(noise).toBeGreaterThan(9);
  });

  it.runIf(hasShared)(
    'of cifar_vit keeps the accuracy',
    async () => {
      const { model } = readModelFile(path.join(shared, 'models/own/cifar_vit.onnx'));
      const data = path.join(shared, 'data/cifar10-test-2000.onnx.json');
      const float = await top1(model, data);
      for (const [bits, block, most] of [
        ['8', '0', 0.3],
        ['4', '0', 3.5],
        ['4', '32', 2],
      ] as const) {
        const { model: after } = await runPass('quantize-weights', model, { options: { bits, block } });
        const drop = float - (await top1(after, data));
        console.info(
          `cifar_vit ${bits} bits, block ${block}: drop ${drop.toFixed(2)}, ${fileBytes(after)} bytes`,
        );
        expect(drop).toBeLessThan(most);
      }
    },
    240_000,
  );
});

describe('raising an opset to 21', () => {
  it('keeps what every rewritten operator means', async () => {
    const g = new OnnxBuilder(5);
    g.input('x', ['N', 6, 4]);
    g.node('Split', ['x'], 'p', { axis: 1 }, ['q']);
    const reduced = ['Mean', 'Max', 'Min', 'L1', 'L2', 'SumSquare'].map((name) =>
      g.node(`Reduce${name}`, ['p'], `r${name}`, { axes: [2], keepdims: 1 }),
    );
    g.node('Sum', reduced, 's');
    g.node('ReduceMean', ['q'], 't', { axes: [-1] });
    g.node('Add', ['s', 't'], 'y');
    g.input('i', [1, 1, 4, 4]);
    g.input('grid', [1, 3, 3, 2]);
    const model = g.output('y').model(13);
    const raised = raiseOpset(model, 21);
    if ('refusal' in raised) throw new Error(raised.refusal);
    expect([...raised.model.opsets]).toEqual([['', 21]]);
    expect(raised.model.irVersion).toBe(10);
    expect(await noiseOf(model, raised.model)).toBeGreaterThan(120);
  });

  it('keeps the sampling of GridSample and RoiAlign', async () => {
    for (const mode of ['bilinear', 'nearest', 'bicubic']) {
      const g = new OnnxBuilder(5);
      g.input('x', [1, 1, 4, 4]);
      g.input('grid', [1, 3, 3, 2]);
      g.node('GridSample', ['x', 'grid'], 'y', { mode });
      await expectSame(g.output('y').model(16));
    }
    const g = new OnnxBuilder(5);
    g.input('x', [1, 1, 8, 8]);
    g.constant('rois', floatTensor([1, 4], Float32Array.of(1, 1, 6, 5)));
    g.node('RoiAlign', ['x', 'rois', g.integers('batch', [0])], 'y', { output_height: 2, output_width: 2 });
    await expectSame(g.output('y').model(13));
  });
});

async function expectSame(model: OnnxModel): Promise<void> {
  const raised = raiseOpset(model, 21);
  if ('refusal' in raised) throw new Error(raised.refusal);
  expect(await noiseOf(model, raised.model)).toBeGreaterThan(120);
}

describe('codes', () => {
  it.each([4, 8] as const)('of %i bits are what rounding says, block by block', (bits) => {
    const next = random(2);
    const [rows, columns, block] = [70, 5, 32];
    const values = Float32Array.from({ length: rows * columns }, () => next() * 2 - 1);
    const made = encodeWeight(floatTensor([rows, columns], values), byBlock([rows, columns], block), bits);
    const { codes } = made;
    const scales = readFloats(made.scales);
    const found = readIntegers(codes);
    const top = 2 ** (bits - 1) - 1;
    expect(scales).toHaveLength(15);
    let error = 0;
    let plain = 0;
    for (let row = 0; row < rows; row += 1) {
      for (let column = 0; column < columns; column += 1) {
        const at = row * columns + column;
        const value = values[at] as number;
        const scale = scales[Math.floor(row / block) * columns + column] as number;
        expect(found[at]).toBe(Math.max(-top, Math.min(top, Math.round(value / scale))) || 0);
        error += (value - scale * (found[at] as number)) ** 2;
        const first = Math.floor(row / block) * block;
        let largest = 0;
        for (let other = first; other < Math.min(rows, first + block); other += 1) {
          largest = Math.max(largest, Math.abs(values[other * columns + column] as number));
        }
        plain += (value - (largest / top) * Math.round((value / largest) * top)) ** 2;
      }
    }
    expect(error).toBeLessThanOrEqual(plain * 1.000001);
  });

  it('of a channel of zeros are zeros', () => {
    const tensor = floatTensor([2, 3], Float32Array.of(0, 0, 0, 1, -2, 3));
    const { codes, scales } = encodeWeight(tensor, byChannel([2, 3], 0), 8);
    expect(readIntegers(codes)).toEqual([0, 0, 0, 42, -85, 127]);
    expect(Array.from(readFloats(scales))).toEqual([1, Math.fround(3 / 127)]);
  });
});

/** The same model with its weights as the floats that the codes stand for. */
function decoded(model: Model): Model {
  const values = new Map(model.graphs[0].values);
  for (const [id, { quantization, constant, ...rest }] of values) {
    if (constant === undefined || quantization === undefined || !/^int[48]$/.test(constant.dtype)) continue;
    const codes = readIntegers(constant);
    const perChannel = codes.length / quantization.scale.length;
    const floats = codes.map((code, i) => code * (quantization.scale[Math.floor(i / perChannel)] as number));
    const tensor = floatTensor(constant.dims, Float32Array.from(floats));
    values.set(id, { ...rest, type: tensorType('float32', constant.dims), constant: tensor });
  }
  return withMainGraph(model, { ...model.graphs[0], values });
}

describe('quantize-weights of TFLite', () => {
  const files = modelFiles('.tflite')
    .filter((file) => /digits|fp32|float|Resnet\./.test(file))
    .map((file) => [path.basename(file), file] as const);
  it.each(files.flatMap(([name, file]) => ['8', '4'].map((bits) => [name, bits, file] as const)))(
    '%s in %s bits runs, and shrinks',
    async (name, bits, file) => {
      const { model } = readModelFile(file);
      const { model: after, notes } = await runPass('quantize-weights', model, {
        options: { bits, conv: true },
      });
      if (after === model) return;
      // What the kernels add to the rounding of the weights is their own rounding of activations to 8 bits.
      const kernels = sqnrDb(await runTflite(decoded(after)), await runTflite(after, model));
      const noise = sqnrDb(await runTflite(model), await runTflite(after, model));
      const share = fileBytes(after) / fileBytes(model);
      console.info(
        `${name} ${bits} bits: kernels ${kernels.toFixed(1)} dB, all ${noise.toFixed(1)} dB, ${share.toFixed(2)} of the size; ${notes[0]}`,
      );
      expect(kernels).toBeGreaterThan(15);
      expect(share).toBeLessThan(1);
    },
  );

  it('keeps convolutions out of 4 bits unless told, as their kernel is slow', async () => {
    const { model } = readModelFile(path.join(samples, 'digits.tflite'));
    const { model: after, notes } = await runPass('quantize-weights', model, { options: { bits: '4' } });
    expect(notes.join()).toMatch(/CONV_2D left float: .*option conv/);
    for (const node of after.graphs[0].nodes.filter(({ op }) => op === 'CONV_2D')) {
      expect(after.graphs[0].values.get(node.inputs[1] ?? '')?.constant?.dtype).toBe('float32');
    }
  });

  it('reads its codes back', async () => {
    const { model } = readModelFile(path.join(samples, 'digits.tflite'));
    const { model: after } = await runPass('quantize-weights', model, { options: { bits: '4', conv: true } });
    const stored = [...after.graphs[0].values.values()].filter((value) => value.constant?.dtype === 'int4');
    expect(stored.length).toBeGreaterThan(0);
    for (const { constant, quantization, id } of stored) {
      const codes = readIntegers(constant as NonNullable<typeof constant>);
      const float = model.graphs[0].values.get(id.replace(/_int4$/, ''))?.constant;
      const values = readFloats(float as NonNullable<typeof float>);
      const perChannel = codes.length / (quantization?.scale.length ?? 1);
      let error = 0;
      let power = 0;
      for (const [i, value] of values.entries()) {
        const scale = quantization?.scale[Math.floor(i / perChannel)] as number;
        error += (value - scale * (codes[i] as number)) ** 2;
        power += value ** 2;
      }
      expect(10 * Math.log10(power / error)).toBeGreaterThan(14);
    }
  });
});
