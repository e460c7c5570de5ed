import fs from 'node:fs';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { analyse } from '../../../../src/analysis/analyse.ts';
import { readTflite } from '../../../../src/formats/tflite/read.ts';
import { attr } from '../../../../src/ir/attribute.ts';
import { memoryBytes } from '../../../../src/ir/bytes.ts';
import type { Node, TfliteModel } from '../../../../src/ir/model.ts';
import { floatTensor } from '../../../../src/ir/numbers.ts';
import { tfliteOperators } from '../../../../src/ops/tflite/operators.ts';
import { constant, graphOf, modelOf, node, tinyModel, value } from '../../formats/tflite/support.ts';
import { modelFiles } from '../../support/models.ts';

const files = modelFiles('.tflite').map((file) => [path.basename(file), file] as const);
const read = (file: string) => readTflite(memoryBytes(fs.readFileSync(file))).model;

/** Multiply-accumulates of the MLPerf Tiny reference models, from their layers' dimensions. */
const published: Readonly<Record<string, number>> = {
  'pretrainedResnet.tflite': 12_501_632,
  'pretrainedResnet_quant.tflite': 12_501_632,
  'vww_96_float.tflite': 7_489_664,
  'vww_96_int8.tflite': 7_489_664,
  'kws_ref_model.tflite': 2_656_768,
  'kws_ref_model_float32.tflite': 2_656_768,
  'ad01_fp32.tflite': 264_192,
  'ad01_int8.tflite': 264_192,
};

describe('real models', () => {
  const known = files.filter(([name]) => published[name] !== undefined);
  it.each(known)('%s has its published MACs', (name, file) => {
    expect(analyse(read(file)).totals.macs).toBe(published[name]);
  });

  it.each(files)('%s: every inferred type is the declared one', (_name, file) => {
    const model = read(file);
    const { types, unresolved } = analyse(model);
    expect(unresolved.map((each) => each.op)).toEqual(
      model.graphs.flatMap((graph) =>
        graph.nodes.filter((each) => each.domain === 'custom').map((each) => each.op),
      ),
    );
    for (const graph of model.graphs)
      for (const each of graph.nodes)
        for (const id of each.outputs)
          if (id !== null) expect([id, types.get(graph)?.get(id)]).toEqual([id, graph.values.get(id)?.type]);
  });
});

const weights = (id: string, dims: readonly number[]) => {
  const count = dims.reduce((product, dim) => product * dim, 1);
  return constant(id, floatTensor(dims, new Float32Array(count)));
};

/** Cost of a model's only layer. */
function costOf(made: Node, values: Parameters<typeof graphOf>[1]) {
  const model: TfliteModel = modelOf(graphOf([made], values, ['x'], ['y']));
  const [layer] = analyse(model).layers;
  return { macs: layer?.macs, flops: layer?.flops, params: layer?.params };
}

describe('costs of single operators', () => {
  it('convolutions multiply outputs by taps', () => {
    const layer = analyse(tinyModel()).layers[0];
    expect([layer?.macs, layer?.params]).toEqual([4 * 4 * 2 * 9, 18 + 2]);
    expect(layer?.formula).toBe('32 outputs × 3·3·1 taps');
  });

  it('depthwise convolutions have one input channel per output', () => {
    const made = node('DEPTHWISE_CONV_2D', ['x', 'w'], ['y'], {
      stride_w: attr.int(2),
      stride_h: attr.int(2),
    });
    const values = [value('x', [1, 8, 8, 6]), weights('w', [1, 3, 3, 6]), value('y', [1, 4, 4, 6])];
    expect(costOf(made, values).macs).toBe(4 * 4 * 6 * 9);
  });

  it('transposed convolutions multiply inputs by taps', () => {
    const made = node('TRANSPOSE_CONV', [null, 'w', 'x'], ['y'], {
      stride_w: attr.int(2),
      stride_h: attr.int(2),
    });
    const values = [value('x', [1, 4, 4, 3]), weights('w', [5, 3, 3, 3]), value('y', [1, 8, 8, 5])];
    expect(costOf(made, values).macs).toBe(4 * 4 * 3 * 3 * 3 * 5);
  });

  it('a fused activation is work of its own', () => {
    const made = node('FULLY_CONNECTED', ['x', 'w'], ['y'], { fused_activation_function: attr.int(1) });
    const values = [value('x', [2, 8]), weights('w', [4, 8]), value('y', [2, 4])];
    expect(costOf(made, values)).toEqual({ macs: 2 * 8 * 4, flops: 2 * 2 * 8 * 4 + 2 * 4, params: 32 });
  });

  it('a product of activations has MACs but no weights', () => {
    const made = node('BATCH_MATMUL', ['x', 'z'], ['y']);
    const model = modelOf(
      graphOf(
        [made],
        [value('x', [3, 2, 8]), value('z', [3, 8, 4]), value('y', [3, 2, 4])],
        ['x', 'z'],
        ['y'],
      ),
    );
    const [layer] = analyse(model).layers;
    expect([layer?.macs, layer?.params]).toEqual([3 * 2 * 8 * 4, 0]);
  });

  it('a recurrent layer counts every matrix at every step', () => {
    const [steps, inputs, units] = [5, 4, 3];
    const gates = [0, 1, 2, 3];
    const values = [
      value('x', [1, steps, inputs]),
      ...gates.map((gate) => weights(`w${gate}`, [units, inputs])),
      ...gates.map((gate) => weights(`r${gate}`, [units, units])),
      ...gates.map((gate) => weights(`b${gate}`, [units])),
      value('h', [1, units], { variable: true }),
      value('c', [1, units], { variable: true }),
      value('y', [1, steps, units]),
    ];
    const ids = (letter: string) => gates.map((gate) => `${letter}${gate}`);
    const operands = ['x', ...ids('w'), ...ids('r'), null, null, null, ...ids('b'), null, null, 'h', 'c'];
    const made = node('UNIDIRECTIONAL_SEQUENCE_LSTM', operands, ['y']);
    expect(costOf(made, values).macs).toBe(steps * 4 * units * (inputs + units));
  });

  it('pooling adds and compares without MACs', () => {
    const options = {
      filter_width: attr.int(2),
      filter_height: attr.int(2),
      stride_w: attr.int(2),
      stride_h: attr.int(2),
    };
    const made = node('MAX_POOL_2D', ['x'], ['y'], options);
    expect(costOf(made, [value('x', [1, 4, 4, 3]), value('y', [1, 2, 2, 3])])).toEqual({
      macs: 0,
      flops: 2 * 2 * 3 * 4,
      params: 0,
    });
  });
});

describe('the list of operators', () => {
  it('describes each operator once', () => {
    const names = tfliteOperators.map((operator) => operator.name);
    expect(new Set(names).size).toBe(names.length);
  });

  it('names the weights of layers that have some', () => {
    const roles = new Map(tfliteOperators.map((operator) => [operator.name, operator]));
    const made = node('CONV_2D', ['image', 'filter', 'bias'], ['conv']);
    expect(roles.get('CONV_2D')?.weights?.(made, tinyModel())).toEqual([
      { input: 1, kind: 'conv', outputAxis: 0, inputAxis: 3, bias: 2, activation: 0 },
    ]);
    const z = value('z', [1, 4]);
    const product = node('BATCH_MATMUL', ['x', 'w'], ['y'], { adj_y: attr.bool(true) });
    const model = modelOf(
      graphOf([product], [value('x', [2, 3]), weights('w', [4, 3]), value('y', [2, 4]), z], ['x'], ['y']),
    );
    expect(roles.get('BATCH_MATMUL')?.weights?.(product, model)).toEqual([
      { input: 1, kind: 'matmul', outputAxis: 0, inputAxis: 1, activation: 0 },
    ]);
  });
});
