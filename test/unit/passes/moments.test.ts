import path from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { exposing } from '../../../src/engine/observe/exposed.ts';
import { readModelFile } from '../../../src/formats/io/models.ts';
import type { Model, NodeId } from '../../../src/ir/model.ts';
import { withMainGraph } from '../../../src/ir/model.ts';
import type { InputMoments } from '../../../src/passes/pass.ts';
import type { DenseLayer } from '../../../src/passes/support/denseLayer.ts';
import { biasOf, denseLayerOf, matrixOf, multiplyLayerOf } from '../../../src/passes/support/denseLayer.ts';
import { startRunner } from '../../../src/runtime/process/launch.ts';
import { inputsOf } from '../../../src/runtime/modelInputs.ts';
import { randomDataset } from '../../../src/runtime/data/random.ts';
import type { HostTensor } from '../../../src/runtime/runner.ts';
import { samples } from '../support/models.ts';
import { useSourceRunner } from '../support/runner.ts';
import { OnnxBuilder } from './build.ts';
import { calibratorFor, temporaryFile } from './calibrate.ts';
import { floatsOf } from './runtime.ts';

beforeAll(useSourceRunner);

const sampleCount = 4;

function denseLayers(model: Model): DenseLayer[] {
  return model.graphs[0].nodes.flatMap((node) => denseLayerOf(model, node) ?? []);
}

/** Rows of a layer's own outputs over the calibration samples, before its bias and activation, from the runtime. */
async function outputRows(model: Model, layer: DenseLayer): Promise<Float32Array[]> {
  const { node, outputs, kind } = layer;
  const bias = biasOf(model.graphs[0], layer) as Float64Array;
  const bare = {
    ...node,
    attributes: new Map([...node.attributes].filter(([name]) => name !== 'fused_activation_function')),
  };
  const [graph] = model.graphs;
  const nodes = graph.nodes.map((each) => (each === node ? bare : each));
  const output = node.outputs[0] as string;
  const runner = startRunner();
  const file = await temporaryFile(exposing(withMainGraph(model, { ...graph, nodes }), [output]));
  const session = await runner.open(file, { optimization: 'basic' });
  const data = randomDataset(inputsOf(model), { seed: 5, count: sampleCount });
  const rows: Float32Array[] = [];
  for (let i = 0; i < data.samples; i += 1) {
    const tensor = (await session.run(data.feeds(i, 1)))[output] as HostTensor;
    const floats = floatsOf(tensor);
    const positions = floats.length / outputs;
    const channelsFirst = model.dialect === 'onnx' && kind === 'conv';
    for (let p = 0; p < positions; p += 1)
      rows.push(
        Float32Array.from(
          { length: outputs },
          (_, o) =>
            (floats[channelsFirst ? o * positions + p : p * outputs + o] as number) - (bias[o] as number),
        ),
      );
  }
  runner.kill();
  return rows;
}

/** Compares mean and covariance of W x, from the moments of x, with those of the outputs that the runtime gives. */
function compare(layer: DenseLayer, moments: InputMoments, rows: readonly Float32Array[]): void {
  const { outputs: o, inputs: d } = layer;
  const w = matrixOf(layer);
  expect(moments.count).toBe(rows.length);
  let size = 0;
  let error = 0;
  const scaleOf = (value: number, seen: number) => {
    size = Math.max(size, Math.abs(seen));
    error = Math.max(error, Math.abs(value - seen));
  };
  for (let i = 0; i < o; i += 1) {
    let mean = 0;
    for (let k = 0; k < d; k += 1) mean += (w[i * d + k] as number) * (moments.mean[k] as number);
    scaleOf(mean, rows.reduce((sum, row) => sum + (row[i] as number), 0) / rows.length);
    const half = new Float64Array(d);
    for (let k = 0; k < d; k += 1)
      for (let l = 0; l < d; l += 1)
        half[l] = (half[l] as number) + (w[i * d + k] as number) * (moments.gram[k * d + l] as number);
    for (let j = 0; j <= i; j += 1) {
      let product = 0;
      for (let l = 0; l < d; l += 1) product += (half[l] as number) * (w[j * d + l] as number);
      scaleOf(
        product,
        rows.reduce((sum, row) => sum + (row[i] as number) * (row[j] as number), 0) / rows.length,
      );
    }
  }
  expect(error / size).toBeLessThan(2e-5);
}

async function checkAll(model: Model, expected: number): Promise<void> {
  const layers = denseLayers(model);
  expect(layers.length).toBe(expected);
  const ids: NodeId[] = layers.map((layer) => layer.node.id);
  const moments = await calibratorFor(model, undefined, sampleCount).moments(model, ids);
  expect([...moments.keys()]).toEqual(ids);
  for (const layer of layers)
    compare(layer, moments.get(layer.node.id) as InputMoments, await outputRows(model, layer));
}

describe('moments of what weights meet, against the outputs of the runtime', () => {
  /** More outputs than inputs, so that equal outputs mean equal moments. */
  const wide = (
    attributes: Readonly<Record<string, number | string | readonly number[]>>,
    kernel = [3, 2],
  ) => {
    const g = new OnnxBuilder(4);
    g.input('x', ['N', 3, 9, 7]);
    g.node('Conv', ['x', g.floats('w', [20, 3, ...kernel]), g.floats('b', [20])], 'y', attributes);
    return g.output('y');
  };

  it.each([
    [{}],
    [{ pads: [1, 0, 2, 1], strides: [2, 1] }],
    [{ pads: [2, 2, 2, 2], dilations: [2, 3], strides: [1, 2] }],
    [{ auto_pad: 'SAME_UPPER', strides: [2, 2] }],
    [{ auto_pad: 'SAME_LOWER' }],
  ])('Conv %j', async (attributes) => {
    await checkAll(wide(attributes).model(), 1);
    await checkAll(wide(attributes).model(9), 1);
  });

  it('Conv 1x1 and one-dimensional, Gemm both ways round, MatMul of any rank', async () => {
    const g = new OnnxBuilder(6);
    g.input('x', ['N', 4, 5]);
    g.node('Conv', ['x', g.floats('w', [9, 4, 3])], 'c', { pads: [1, 1] });
    g.node('Relu', ['c'], 'r');
    g.node('MatMul', ['r', g.floats('m', [5, 6])], 's');
    g.node('Flatten', ['s'], 'f');
    g.node('Gemm', ['f', g.floats('a', [54, 8]), g.floats('ab', [8])], 'p');
    g.node('Gemm', ['p', g.floats('q', [12, 8]), g.floats('qb', [12])], 'y', { transB: 1 });
    await checkAll(g.output('y').model(), 4);
  });

  it.each(['digits.onnx', 'digits.tflite'])('%s', async (name) => {
    const { model } = readModelFile(path.join(samples, name));
    await checkAll(model, denseLayers(model).length);
  });

  it('leaves out weights from inputs and layers that are no dense layers', async () => {
    const g = new OnnxBuilder(6);
    g.input('x', ['N', 4, 5, 5]);
    g.node('MatMul', ['x', 'x'], 'y');
    const model = g.output('y').model();
    const moments = await calibratorFor(model).moments(model, ['MatMul:y', 'none']);
    expect(moments.size).toBe(0);
  });

  it('gives convolutions in groups the moments that each group would have alone', async () => {
    const build = (group: number, from: number, to: number) => {
      const g = new OnnxBuilder(7);
      g.input('x', ['N', 6, 5, 4]);
      const starts = g.integers('starts', [from]);
      g.node('Slice', ['x', starts, g.integers('ends', [to]), g.integers('axes', [1])], 's');
      g.node('Conv', ['s', g.floats('w', [6, (to - from) / group, 3, 3])], 'y', {
        group,
        pads: [1, 1, 1, 1],
      });
      return g.output('y').model();
    };
    const momentsOf = async (model: Model) =>
      (await calibratorFor(model, undefined, sampleCount).moments(model, ['Conv:y'])).get('Conv:y');
    const grouped = await momentsOf(build(3, 0, 6));
    expect(grouped).toMatchObject({ groups: 3, size: 18 });
    for (let group = 0; group < 3; group += 1) {
      const alone = await momentsOf(build(1, 2 * group, 2 * group + 2));
      const gram = grouped?.gram.slice(group * 324, (group + 1) * 324);
      gram?.forEach((value, i) => expect(value).toBeCloseTo(alone?.gram[i] as number, 4));
    }
  });

  it('samples large maps on a grid', async () => {
    const g = new OnnxBuilder(6);
    g.input('x', ['N', 2, 70, 50]);
    g.node('Conv', ['x', g.floats('w', [4, 2, 1, 1])], 'y');
    const model = g.output('y').model();
    const moments = await calibratorFor(model, undefined, sampleCount).moments(model, ['Conv:y']);
    expect(moments.get('Conv:y')?.count).toBe(sampleCount * 35 * 25);
  });
});

/** The moments of the layer on which another model's layer stands are its own, and so are their products. */
async function crossOfItself(model: Model): Promise<void> {
  const ids = model.graphs[0].nodes.flatMap((node) => (multiplyLayerOf(model, node) ? [node.id] : []));
  const calibrator = calibratorFor(model, undefined, sampleCount);
  const moments = await calibrator.moments(model, ids);
  const pairs = ids.map((id) => ({ reference: id, current: id }));
  const crosses = await calibrator.crossMoments(model, model, pairs);
  expect([...crosses.keys()]).toEqual([...moments.keys()]);
  expect(crosses.size).toBeGreaterThan(3);
  for (const [id, cross] of crosses) {
    const own = moments.get(id) as InputMoments;
    expect(cross.count).toBe(own.count);
    const largest = own.gram.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
    const far = (a: Float64Array, b: Float64Array) =>
      Math.max(...a.map((value, i) => Math.abs(value - (b[i] as number))));
    expect(far(cross.cross, own.gram)).toBeLessThan(1e-5 * largest);
    expect(far(cross.gram, own.gram)).toBeLessThan(1e-5 * largest);
    expect(far(cross.referenceMean, own.mean)).toBeLessThan(1e-4 * Math.sqrt(largest));
  }
}

describe('moments across two models', () => {
  it.each(['digits.onnx', 'digits.tflite'])('%s with itself', async (name) => {
    await crossOfItself(readModelFile(path.join(samples, name)).model);
  });

  it('pairs a layer with a narrower one behind a layer that was doubled', async () => {
    const build = (gain: number, keep: number) => {
      const g = new OnnxBuilder(7);
      g.input('x', ['N', 3, 6, 6]);
      const weights = g.floats('w', [4, 3, 3, 3]);
      g.node('Conv', ['x', weights], 'c');
      g.node('Mul', ['c', g.floats('gain', [1], () => gain)], 'm');
      g.node('Slice', ['m', g.integers('s', [0]), g.integers('e', [keep]), g.integers('a', [1])], 'k');
      g.node('Conv', ['k', g.floats('v', [5, keep, 1, 1])], 'y');
      return g.output('y').model();
    };
    const [reference, current] = [build(1, 4), build(2, 3)];
    const calibrator = calibratorFor(reference, undefined, sampleCount);
    const pair = { reference: 'Conv:y', current: 'Conv:y' };
    const cross = (await calibrator.crossMoments(reference, current, [pair])).get('Conv:y');
    const own = (await calibrator.moments(reference, ['Conv:y'])).get('Conv:y') as InputMoments;
    expect(cross).toMatchObject({ size: 3, referenceSize: 4 });
    for (let i = 0; i < 4; i += 1)
      for (let j = 0; j < 3; j += 1)
        expect(cross?.cross[i * 3 + j]).toBeCloseTo(2 * (own.gram[i * 4 + j] as number), 3);
  });
});

describe('moments per channel', () => {
  it.each(['digits.onnx', 'digits.tflite'])(
    'agree with the moments that a layer of %s sees',
    async (name) => {
      const { model } = readModelFile(path.join(samples, name));
      const linear = denseLayers(model).filter((layer) => layer.kind === 'linear');
      expect(linear.length).toBeGreaterThan(0);
      const calibrator = calibratorFor(model, undefined, sampleCount);
      for (const layer of linear) {
        const rows = (await calibrator.moments(model, [layer.node.id])).get(layer.node.id) as InputMoments;
        const seen = (await calibrator.channels(model, [{ value: layer.activation, axis: 1 }])).get(
          layer.activation,
        );
        seen?.mean.forEach((mean, c) => {
          const square = rows.gram[c * rows.size + c] as number;
          expect(mean).toBeCloseTo(rows.mean[c] as number, 4);
          expect(seen.variance[c]).toBeCloseTo(square - mean ** 2, 3);
          expect((seen.max[c] as number) - (seen.min[c] as number)).toBeGreaterThanOrEqual(0);
        });
        expect(seen?.count).toBe(sampleCount);
      }
    },
  );
});
