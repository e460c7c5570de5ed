import fs from 'node:fs';
import path from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { readModelFile } from '../../../src/formats/io/models.ts';
import { readTflite } from '../../../src/formats/tflite/read.ts';
import { encodeTflite } from '../../../src/formats/tflite/write.ts';
import { memoryBytes } from '../../../src/ir/bytes.ts';
import type { Model, OnnxModel, TfliteModel } from '../../../src/ir/model.ts';
import { intTensor, numberTensor, readIntegers } from '../../../src/ir/numbers.ts';
import { repair } from '../../../src/passes/repair/repair.ts';
import {
  constant as tfliteConstant,
  graphOf,
  join,
  modelOf,
  node as tfliteNode,
  value as tfliteValue,
} from '../formats/tflite/support.ts';
import { constant, graph, node, onnxModel, value } from '../ops/onnx/build.ts';
import { hasShared, modelFiles, shared } from '../support/models.ts';
import { temporaryFolder } from '../support/temporary.ts';
import { useSourceRunner } from '../support/runner.ts';
import { onnxFeeds, relativeError, runOnnx } from './runtime.ts';
import { runTflite } from './tflite.ts';

const context = { seed: 1, step: async () => {} };
const run = (model: Model, options = {}) => repair.run(model, options, context);

beforeAll(async () => {
  await useSourceRunner();
});

/** int8 weights with zero points, per channel. */
function skewed(points: readonly number[], codes: readonly number[]): TfliteModel {
  const scale = Float32Array.of(0.1, 0.2);
  const weight = {
    ...tfliteConstant('w', intTensor('int8', [2, 3], codes)),
    quantization: { scale, zeroPoint: points, axis: 0 },
  };
  const quantized = (id: string, dims: readonly number[], step: number) => ({
    ...tfliteValue(id, dims),
    type: { kind: 'tensor', dtype: 'int8', shape: dims } as const,
    quantization: { scale: Float32Array.of(step), zeroPoint: [0], axis: 0 },
  });
  return modelOf(
    graphOf(
      [tfliteNode('FULLY_CONNECTED', ['x', 'w', null], ['y'])],
      [quantized('x', [1, 3], 0.5), weight, quantized('y', [1, 2], 1)],
      ['x'],
      ['y'],
    ),
  );
}

describe('repair', () => {
  it('moves int8 codes so that their zero point is 0, and keeps those that do not fit', async () => {
    const { model, changed } = await run(skewed([3, -2], [10, 20, -30, 1, 2, 3]));
    const weight = model.graphs[0].values.get('w');
    expect(weight?.quantization?.zeroPoint).toEqual([0, 0]);
    expect(weight?.constant && readIntegers(weight.constant)).toEqual([7, 17, -33, 3, 4, 5]);
    expect(changed).toEqual(['y']);
    const full = skewed([100, 0], [-128, 0, 0, 0, 0, 0]);
    const kept = await run(full);
    expect(kept.model).toBe(full);
    expect(kept.notes.join()).toContain('keep their zero point');
  });

  it('does so in front of a DequantizeLinear, and ONNX Runtime computes the same', async () => {
    const values = [
      constant('w', intTensor('int8', [2, 3], [10, 20, -30, 1, 2, 3])),
      constant('s', numberTensor('float32', [3], [0.1, 0.2, 0.3])),
      constant('z', intTensor('int8', [3], [3, -2, 1])),
    ];
    const nodes = [
      node('DequantizeLinear', ['w', 's', 'z'], ['d'], { axis: 1 }),
      node('MatMul', ['x', 'd'], ['y']),
    ];
    const model = onnxModel(
      graph('g', { inputs: [value('x', 'float32', [4, 2])], outputs: ['y'], nodes, values }),
    );
    const { model: after, changed } = await run(model);
    expect(changed).toEqual(['DequantizeLinear:d']);
    const feeds = onnxFeeds(model, 3);
    // The runtime may fold the two graphs differently.
    expect(relativeError(await runOnnx(model, feeds), await runOnnx(after as OnnxModel, feeds))).toBeLessThan(
      1e-6,
    );
  });

  it('lowers stamps where the file means the same, and ONNX Runtime loads it then', async () => {
    const nodes = [node('Relu', ['x'], ['y'])];
    const made = graph('g', { inputs: [value('x', 'float32', [2])], outputs: ['y'], nodes });
    const model = { ...onnxModel(made, 27), irVersion: 14 };
    await expect(runOnnx(model, onnxFeeds(model, 1))).rejects.toThrow();
    const { model: after, notes } = await run(model);
    expect(after).toMatchObject({ irVersion: 13 });
    expect((after as OnnxModel).opsets.get('')).toBe(26);
    expect(notes).toEqual(['operator set 27 to 26', 'IR version 14 to 13']);
    await expect(runOnnx(after as OnnxModel, onnxFeeds(model, 1))).resolves.toHaveProperty('y');
  });

  it('leaves stamps that something in the file needs, and says what', async () => {
    const nodes = [node('CausalConvWithState', ['x', 'w'], ['y', 's'])];
    const values = [constant('w', numberTensor('float32', [2, 1, 3], Array(6).fill(1)))];
    const made = graph('g', { inputs: [value('x', 'float32', [1, 2, 5])], outputs: ['y'], nodes, values });
    const model = onnxModel(made, 27);
    const { model: after, notes } = await run(model);
    expect(after).toBe(model);
    expect(notes.join()).toContain('CausalConvWithState');
    const small = onnxModel(
      graph('g', {
        inputs: [value('x', 'int2', [4])],
        outputs: ['y'],
        nodes: [node('Identity', ['x'], ['y'])],
      }),
      26,
    );
    expect((await run({ ...small, irVersion: 13 }, { ir: 10 })).notes.join()).toContain('IR version 13');
  });

  it('changes nothing that needs no repair', async () => {
    for (const file of modelFiles('.onnx')) {
      const { model } = readModelFile(file);
      expect((await run(model)).model).toBe(model);
    }
  });
});

describe.runIf(hasShared)('repair of public models', () => {
  const folder = path.join(shared, 'models/tflite');

  it('makes the person detector, whose biases are quantized along axis 3, run', async () => {
    const file = path.join(folder, 'person_detect.tflite');
    await expect(runTflite(file)).rejects.toThrow();
    const { model, changed } = await run(readModelFile(file).model, { align: false });
    expect(changed.length).toBe(14);
    const outputs = await runTflite(model);
    expect(Object.values(outputs).every((each) => each.every(Number.isFinite))).toBe(true);
  });

  it('aligns every buffer, and LiteRT computes the same', async () => {
    const file = path.join(folder, 'vww_96_int8.tflite');
    const misaligned = (model: TfliteModel) =>
      [...model.graphs[0].values.values()].filter(
        ({ constant: held }) =>
          held !== undefined && held.data.length > 0 && (held.data.start ?? 0) % 16 !== 0,
      ).length;
    const original = readModelFile(file).model as TfliteModel;
    expect(misaligned(original)).toBeGreaterThan(40);
    const { model } = await run(original);
    const written = path.join(temporaryFolder(), 'aligned.tflite');
    fs.writeFileSync(written, join(encodeTflite(model as TfliteModel)));
    expect(misaligned(readModelFile(written).model as TfliteModel)).toBe(0);
    expect(relativeError(await runTflite(file), await runTflite(written))).toBe(0);
    expect(readTflite(memoryBytes(fs.readFileSync(written))).damage).toEqual([]);
  });
});
