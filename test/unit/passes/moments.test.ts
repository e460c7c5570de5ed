import path from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { exposing } from '../../../src/engine/exposed.ts';
import { readModelFile } from '../../../src/formats/io/models.ts';
import type { Model, NodeId } from '../../../src/ir/model.ts';
import { withMainGraph } from '../../../src/ir/model.ts';
import type { InputMoments } from '../../../src/passes/pass.ts';
import type { DenseLayer } from '../../../src/passes/support/denseLayer.ts';
import { biasOf, denseLayerOf, matrixOf } from '../../../src/passes/support/denseLayer.ts';
import { startRunner } from '../../../src/runtime/launch.ts';
import { inputsOf } from '../../../src/runtime/modelInputs.ts';
import { randomDataset } from '../../../src/runtime/random.ts';
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

  it('leaves out grouped convolutions, weights from inputs and layers that are no dense layers', async () => {
    const g = new OnnxBuilder(6);
    g.input('x', ['N', 4, 5, 5]);
    g.node('Conv', ['x', g.floats('w', [8, 2, 1, 1])], 'c', { group: 2 });
    g.node('MatMul', ['c', 'c'], 'y');
    const model = g.output('y').model();
    const moments = await calibratorFor(model).moments(model, ['Conv:c', 'MatMul:y', 'none']);
    expect(moments.size).toBe(0);
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
