import { readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { createCalibrator } from '../../../src/engine/calibrator.ts';
import { readModelFile, writeModelFile } from '../../../src/formats/io/models.ts';
import type { Model } from '../../../src/ir/model.ts';
import { withMainGraph } from '../../../src/ir/model.ts';
import { decodeNumbers, intTensor } from '../../../src/ir/numbers.ts';
import { tensorType } from '../../../src/ir/types.ts';
import { openDataset } from '../../../src/runtime/data/dataset.ts';
import { startRunner } from '../../../src/runtime/process/launch.ts';
import { hasShared, samples, shared } from '../support/models.ts';
import { npy, npz } from '../support/npy.ts';
import { useSourceRunner } from '../support/runner.ts';
import { temporaryFolder } from '../support/temporary.ts';
import { floatModel } from '../support/tinyTflite.ts';
import { onnxModel } from '../support/onnxModel.ts';

const folder = temporaryFolder();
beforeAll(useSourceRunner);

/** Every node output of the main graph that is not fed by constants alone. */
function valuesOf(model: Model): string[] {
  return model.graphs[0].nodes.flatMap((node) => node.outputs.filter((id) => id !== null));
}

/** Ranges by brute force: all values leave the runtime, unoptimized. */
async function bruteForce(model: Model, values: readonly string[], data: string, count: number) {
  const path = join(folder, `exposed.${model.dialect}`);
  await writeModelFile(withMainGraph(model, { ...model.graphs[0], outputs: values }), path);
  const runner = startRunner();
  const session = await runner.open(path, { optimization: 'disabled' });
  const dataset = openDataset(data, session.info.inputs);
  const ranges = new Map<string, { min: number; max: number }>();
  for (let index = 0; index < count; index += 1) {
    const tensors = await session.run(dataset.feeds(index));
    for (const id of values) {
      const tensor = tensors[id];
      if (tensor === undefined) throw new Error(`no ${id}`);
      const size = tensor.dims.reduce((product, dim) => product * dim, 1);
      const seen = Array.from(decodeNumbers(tensor.dtype, tensor.data, size));
      const known = ranges.get(id) ?? { min: Number.POSITIVE_INFINITY, max: Number.NEGATIVE_INFINITY };
      ranges.set(id, { min: Math.min(known.min, ...seen), max: Math.max(known.max, ...seen) });
    }
  }
  runner.kill();
  return ranges;
}

describe('ONNX', () => {
  const digits = join(samples, 'digits.onnx');
  const data = join(samples, 'digits-calibration.npz');

  it('finds the ranges that brute force finds', async () => {
    const { model } = readModelFile(digits);
    const values = valuesOf(model);
    const calibrator = createCalibrator(startRunner, model, { data, seed: 1, samples: 40 });
    expect(calibrator).toMatchObject({ source: data, samples: 40 });
    const ranges = await calibrator.ranges(model, [...values, 'image']);
    const expected = await bruteForce(model, values, data, 40);
    expect(ranges.get('image')).toEqual({ min: 0, max: 1 });
    for (const id of values) {
      expect(ranges.get(id)?.min).toBeCloseTo(expected.get(id)?.min as number, 4);
      expect(ranges.get(id)?.max).toBeCloseTo(expected.get(id)?.max as number, 4);
    }
    expect(ranges.size).toBe(values.length + 1);
  });

  it('reads constants itself and uses all samples up to its limit', async () => {
    const { model } = readModelFile(digits);
    const calibrator = createCalibrator(startRunner, model, { data, seed: 1 });
    expect(calibrator.samples).toBe(256);
    const [graph] = model.graphs;
    const weight = [...graph.values.values()].find((value) => value.constant?.dtype === 'float32')
      ?.id as string;
    const range = (await calibrator.ranges(model, [weight])).get(weight);
    expect(range?.max).toBeGreaterThan(range?.min as number);
  });

  it('says that made-up inputs are made up, and repeats itself', async () => {
    const { model } = readModelFile(digits);
    const [a, b, other] = [3, 3, 4].map((seed) => createCalibrator(startRunner, model, { seed, samples: 3 }));
    expect(a?.source).toBe('seeded random inputs (seed 3)');
    const first = await a?.ranges(model, ['logits']);
    expect(await b?.ranges(model, ['logits'])).toEqual(first);
    expect(await other?.ranges(model, ['logits'])).not.toEqual(first);
  });

  it('goes one by one through a model that hides a batch of 1 behind a free one', async () => {
    const value = (id: string, dims: readonly (number | string)[]) => ({
      id,
      name: id,
      type: tensorType('float32', dims),
    });
    const shape = {
      ...value('s', [2]),
      type: tensorType('int64', [2]),
      constant: intTensor('int64', [2], [1, 3]),
    };
    const parts = [value('a', ['batch', 3]), shape, value('b', [1, 3])];
    const node = { id: 'n', name: 'n', op: 'Reshape', domain: '', inputs: ['a', 's'], outputs: ['b'] };
    const nodes = [{ ...node, attributes: new Map() }];
    const values = new Map(parts.map((part) => [part.id, part]));
    const model = onnxModel({ name: 'g', inputs: ['a'], outputs: ['b'], nodes, values }, 16);
    const path = join(folder, 'a.npz');
    const rows = Float32Array.from({ length: 15 }, (_, index) => index - 4);
    writeFileSync(path, npz({ a: npy('<f4', [5, 3], rows) }));
    const ranges = await createCalibrator(startRunner, model, { data: path, seed: 1 }).ranges(model, ['b']);
    expect(ranges.get('b')).toEqual({ min: -4, max: 10 });
  });

  it('stops when it is cancelled', async () => {
    const { model } = readModelFile(digits);
    const abort = new AbortController();
    const onProgress = () => abort.abort();
    const calibrator = createCalibrator(startRunner, model, {
      data,
      seed: 1,
      signal: abort.signal,
      onProgress,
    });
    await expect(calibrator.ranges(model, ['logits'])).rejects.toMatchObject({ reason: 'cancelled' });
  });
});

describe('TFLite', () => {
  it('sees inputs, intermediates and outputs', async () => {
    const data = join(folder, 'x.npz');
    writeFileSync(data, npz({ x: npy('<f4', [2, 3], Float32Array.of(1, 2, 3, 2, 1, 1)) }));
    const model = floatModel();
    const calibrator = createCalibrator(startRunner, model, { data, seed: 1 });
    const ranges = await calibrator.ranges(model, ['x', 'y', 'z', 'w']);
    // y is [7, 0] for the first sample and [4, 9] for the second, z is twice that.
    expect(Object.fromEntries(ranges)).toEqual({
      x: { min: 1, max: 3 },
      y: { min: 0, max: 9 },
      z: { min: 0, max: 18 },
      w: { min: -6, max: 5 },
    });
    expect(Object.fromEntries(await calibrator.ranges(model, ['x']))).toMatchObject({
      x: { min: 1, max: 3 },
    });
  });

  it.runIf(hasShared)('finds the ranges that brute force finds', async () => {
    const { model } = readModelFile(join(shared, 'models/tflite/pretrainedResnet.tflite'));
    const data = join(shared, 'data/cifar10-calib-512.mlperf.json');
    const values = valuesOf(model);
    const calibrator = createCalibrator(startRunner, model, { data, seed: 1, samples: 5 });
    const ranges = await calibrator.ranges(model, values);
    expect(ranges).toEqual(await bruteForce(model, values, data, 5));
  });
});

describe('what was observed is kept', () => {
  it('for the same model and data, in a folder that another run reads', async () => {
    const { model } = readModelFile(join(samples, 'digits.onnx'));
    const cache = join(folder, 'cache');
    const data = join(samples, 'digits-calibration.npz');
    const values = valuesOf(model);
    const ids = model.graphs[0].nodes.map((node) => node.id);
    let started = 0;
    const counting = () => {
      started += 1;
      return startRunner();
    };
    const observe = async (options: { samples: number }) => {
      const calibrator = createCalibrator(counting, model, { data, seed: 1, cache, ...options });
      return {
        ranges: await calibrator.ranges(model, values),
        moments: await calibrator.moments(model, ids),
        few: await calibrator.moments(model, ids, 3),
        survey: await calibrator.survey?.(model, { ranges: values, channels: [], moments: ids, few: 3 }),
      };
    };
    const first = await observe({ samples: 20 });
    const runs = started;
    expect(runs).toBeGreaterThan(0);
    const again = await observe({ samples: 20 });
    expect(started).toBe(runs);
    expect(again.ranges).toEqual(first.ranges);
    expect([...again.moments]).toEqual([...first.moments]);
    expect([...again.few]).toEqual([...first.few]);
    expect([...first.few]).not.toEqual([...first.moments]);
    expect(again.survey).toEqual(first.survey);
    expect(first.survey?.ranges.size).toBe(values.length);
    expect(first.moments.size).toBeGreaterThan(2);
    await observe({ samples: 10 });
    expect(started).toBeGreaterThan(runs);
    for (const name of readdirSync(cache)) writeFileSync(join(cache, name), 'no longer what it was');
    expect((await observe({ samples: 20 })).ranges).toEqual(first.ranges);
  });
});
