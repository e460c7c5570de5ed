import * as ort from 'onnxruntime-node';
import { beforeAll, describe, expect, it } from 'vitest';
import type { Node, TfliteModel, Value } from '../../../src/ir/model.ts';
import { floatTensor, readFloats, readIntegers } from '../../../src/ir/numbers.ts';
import { tfliteToOnnx } from '../../../src/passes/convert/toOnnx/convert.ts';
import { randomDataset } from '../../../src/runtime/data/random.ts';
import type { Tensor } from '../../../src/ir/tensor.ts';
import { tensorType } from '../../../src/ir/types.ts';
import { reread } from '../formats/tflite/support.ts';
import { useSourceRunner } from '../support/runner.ts';
import { of } from '../rules/check.ts';
import { runPass } from './build.ts';
import { calibratorFor } from './calibrate.ts';
import { floatsOf, random, runOnnx, sqnrDb } from './runtime.ts';
import { runTflite } from './tflite.ts';

beforeAll(useSourceRunner);

/** Two dense layers, 64 to 48 to 20; rows of the first have a loud half and a quiet one. */
function dense(): TfliteModel {
  const next = random(7);
  const values = new Map<string, Value>();
  const add = (id: string, shape: readonly number[], more: Partial<Value> = {}): string => {
    values.set(id, { id, name: id, type: tensorType('float32', shape), ...more });
    return id;
  };
  const floats = (id: string, shape: readonly number[], loud: (i: number) => number = () => 1) => {
    const count = shape.reduce((a, b) => a * b, 1);
    const numbers = Float32Array.from({ length: count }, (_, i) => loud(i) * (next() - 0.5));
    return add(id, shape, { constant: floatTensor(shape, numbers) });
  };
  const none = { kind: 'enum', value: 0, name: 'NONE' } as const;
  const layer = (id: string, inputs: readonly string[], output: string): Node => ({
    id,
    name: '',
    op: 'FULLY_CONNECTED',
    domain: '',
    inputs,
    outputs: [output],
    attributes: new Map([['fused_activation_function', none]]),
  });
  const x = add('x', [1, 64]);
  const first = floats('w1', [48, 64], (i) => (i % 64 < 32 ? 8 : 0.5));
  const nodes = [
    layer('a', [x, first, floats('b1', [48])], add('h', [1, 48])),
    layer('b', ['h', floats('w2', [20, 48]), floats('b2', [20])], add('y', [1, 20])),
  ];
  const graph = { name: 'main', inputs: [x], outputs: ['y'], nodes, values };
  return { dialect: 'tflite', version: 3, description: '', metadata: [], signatures: [], graphs: [graph] };
}

describe('blocks of weights in TFLite', () => {
  const options = { bits: '4', smallest: 0 };
  const quantized = async (more: object, samples?: number) => {
    const model = dense();
    const calibrator = samples === undefined ? undefined : calibratorFor(model, undefined, samples);
    const settings = { options: { ...options, ...more }, ...(calibrator && { calibrator }) };
    return await runPass('quantize-weights', model, settings);
  };

  it('have a float16 scale each, and LiteRT computes with them', async () => {
    const { model, notes } = await quantized({ block: '32' });
    const [graph] = (model as TfliteModel).graphs;
    const weight = graph.values.get(graph.nodes[0]?.inputs[1] as string) as Value;
    const scales = graph.values.get(weight.quantization?.tensors?.[0] as string)?.constant as Tensor;
    expect(scales).toMatchObject({ dtype: 'float16', dims: [48, 2] });
    const factors = readFloats(scales);
    const codes = readIntegers(weight.constant as Tensor);
    const truth = readFloats(dense().graphs[0].values.get('w1')?.constant as Tensor);
    truth.forEach((value, i) => {
      const scale = factors[2 * Math.floor(i / 64) + (i % 64 < 32 ? 0 : 1)] as number;
      // The largest is clipped where that pays.
      if (Math.abs(codes[i] as number) < 7)
        expect(Math.abs((codes[i] as number) * scale - value)).toBeLessThanOrEqual(0.502 * scale);
    });
    // 48 inputs are no whole blocks of 32.
    expect(notes.join('\n')).toContain('1 layers have one scale per output channel');
    const exact = await runTflite(dense());
    const plain = await quantized({});
    const noise = sqnrDb(exact, await runTflite(model));
    console.info(`4 bits: blocks ${noise.toFixed(1)} dB`);
    expect(noise).toBeGreaterThan(sqnrDb(exact, await runTflite(plain.model)));
  });

  it('are found by data as well', async () => {
    const exact = await runTflite(dense());
    const nearest = sqnrDb(exact, await runTflite((await quantized({ block: '32' })).model));
    const { model } = await quantized({ block: '32' }, 64);
    expect(sqnrDb(exact, await runTflite(model))).toBeGreaterThan(nearest);
  });

  it('keep their scales through a file, simplify and extract', async () => {
    const { model } = await quantized({ block: '32' });
    const stored = reread(model as TfliteModel);
    const { model: simple } = await runPass('simplify', stored);
    const { model: part } = await runPass('extract', stored, { options: { inputs: 'x', outputs: 'h' } });
    const results = await runTflite(model);
    expect(await runTflite(simple)).toEqual(results);
    const scales = [...part.graphs[0].values.values()].filter(
      ({ constant }) => constant?.dtype === 'float16',
    );
    expect(scales).toHaveLength(1);
    expect(Object.keys(await runTflite(part))).toHaveLength(4);
  });

  it('are converted to ONNX with their numbers, as are signs in two bits', async () => {
    for (const more of [{ block: '32' }, { bits: '1', ends: false, packed: true }]) {
      const { model } = await quantized(more);
      const onnx = tfliteToOnnx(model as TfliteModel).model;
      const data = randomDataset([{ name: 'x', dtype: 'float32', dims: [1, 64] }], { seed: 5, count: 1 });
      const feeds = { x: new ort.Tensor('float32', floatsOf(data.feeds(0, 1)['x']), [1, 64]) };
      const { y } = await runOnnx(onnx, feeds);
      // Kernels round their input to 8 bits as they run.
      const truth = (await runTflite(model, model, 1))['0/y'] as Float32Array;
      expect(sqnrDb({ y: truth }, { y: y as Float32Array })).toBeGreaterThan(30);
    }
  });

  it('are no unused weights', async () => {
    const { model } = await quantized({ block: '32' });
    expect(of('unused-weights', reread(model as TfliteModel))).toEqual([]);
  });

  it('signs in two bits give what they give in four', async () => {
    const wide = await quantized({ bits: '1', ends: false });
    const packed = await quantized({ bits: '1', ends: false, packed: true });
    const types = [...packed.model.graphs[0].values.values()].map(({ constant }) => constant?.dtype);
    expect(types.filter((type) => type === 'int2')).toHaveLength(2);
    expect(await runTflite(packed.model)).toEqual(await runTflite(wide.model));
  });

  it('codes of two bits run, and notes tell what is not packed', async () => {
    const model = dense();
    const packed = await quantized({ bits: '2', ends: false, packed: true }, 32);
    const types = [...packed.model.graphs[0].values.values()].map(({ constant }) => constant?.dtype);
    expect(types.filter((type) => type === 'int2')).toHaveLength(2);
    const noise = sqnrDb(await runTflite(model), await runTflite(packed.model));
    console.info(`2 bits packed: ${noise.toFixed(1)} dB`);
    expect(noise).toBeGreaterThan(2.5);
    const { notes } = await quantized({ packed: true });
    expect(notes.join()).toContain('2 layers are not packed');
  });
});
