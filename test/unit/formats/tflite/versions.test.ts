import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { neededVersion } from '../../../../src/formats/tflite/versions.ts';
import type { DType } from '../../../../src/ir/dtype.ts';
import { attr } from '../../../../src/ir/attribute.ts';
import type { Quantization, Value } from '../../../../src/ir/model.ts';
import { tensorType } from '../../../../src/ir/types.ts';
import { modelFiles } from '../../support/models.ts';
import { graphOf, modelOf, node, readModel, reread } from './support.ts';

/** Converters of their time stamped these differently. */
const exceptions: Readonly<Record<string, string>> = {
  'kws_ref_model_float32.tflite FULLY_CONNECTED': 'was hybrid once: stamped 3, is float now',
  'person_detect.tflite CONV_2D': 'an early int8 file, stamped 2',
};

describe('versions that converters wrote', () => {
  it.each(modelFiles('.tflite').map((file) => [path.basename(file), file]))('%s', (name, file) => {
    const model = readModel(file);
    for (const graph of model.graphs)
      for (const each of graph.nodes) {
        if (each.domain !== '' || exceptions[`${name} ${each.op}`] !== undefined) continue;
        expect(`${each.op} ${neededVersion(each, graph)}`).toBe(`${each.op} ${each.version}`);
      }
  });
});

const perChannel: Quantization = { scale: Float32Array.of(1, 1), zeroPoint: [0, 0], axis: 0 };
const perTensor: Quantization = { scale: Float32Array.of(0.5), zeroPoint: [0], axis: 0 };

function versionOf(
  op: string,
  inputs: readonly (readonly [DType, Quantization?])[],
  output: DType,
  attributes: Parameters<typeof node>[3] = {},
): number {
  const value = (id: string, dtype: DType, quantization?: Quantization): Value => ({
    id,
    name: id,
    type: tensorType(dtype, [1, 2, 2, 2]),
    ...(quantization && { quantization }),
  });
  const values = inputs.map(([dtype, quantization], index) => value(`in${index}`, dtype, quantization));
  const made = node(
    op,
    values.map(({ id }) => id),
    ['out'],
    attributes,
  );
  const model = modelOf(graphOf([made], [...values, value('out', output)], ['in0'], ['out']));
  return neededVersion(made, model.graphs[0]);
}

describe('versions by types', () => {
  const bias = ['float32'] as const;
  const int32 = ['int32'] as const;
  it.each([
    ['CONV_2D', [['float32'], ['float32'], bias], 'float32', {}, 1],
    ['CONV_2D', [['float32'], ['int8', perTensor], bias], 'float32', {}, 2],
    ['CONV_2D', [['int8', perTensor], ['int8', perChannel], int32], 'int8', {}, 3],
    ['CONV_2D', [['float32'], ['int8', perChannel], bias], 'float32', {}, 5],
    ['CONV_2D', [['int8', perTensor], ['int4', perChannel], int32], 'int8', {}, 7],
    ['DEPTHWISE_CONV_2D', [['float32'], ['float32'], bias], 'float32', { dilation_w_factor: attr.int(2) }, 2],
    ['DEPTHWISE_CONV_2D', [['float32'], ['int8', perChannel], bias], 'float32', {}, 6],
    ['FULLY_CONNECTED', [['float32'], ['int8', perChannel], bias], 'float32', {}, 12],
    ['FULLY_CONNECTED', [['int8', perTensor], ['int8', perTensor], int32], 'int8', {}, 4],
    ['FULLY_CONNECTED', [['float32'], ['float32']], 'float32', {}, 6],
    ['DEQUANTIZE', [['float16']], 'float32', {}, 3],
    ['DEQUANTIZE', [['int8', perChannel]], 'float32', {}, 5],
    ['QUANTIZE', [['float32']], 'int8', {}, 1],
    ['SOFTMAX', [['int8', perTensor]], 'int8', {}, 2],
    [
      'MUL',
      [
        ['int8', perTensor],
        ['int8', perTensor],
      ],
      'int8',
      {},
      2,
    ],
    ['BROADCAST_TO', [['float32'], ['int32']], 'float32', {}, 2],
  ] as const)('%s %j -> %s', (op, inputs, output, attributes, version) => {
    expect(versionOf(op, inputs, output, attributes)).toBe(version);
  });

  it('are written for operators whose types changed, and kept for the others', () => {
    const float = (id: string): Value => ({ id, name: id, type: tensorType('float32', [1, 4]) });
    const int8 = (value: Value): Value => ({
      ...value,
      type: tensorType('int8', [1, 4]),
      quantization: perTensor,
    });
    const nodes = [
      { ...node('RELU', ['x'], ['a']), version: 7 },
      { ...node('LOGISTIC', ['a'], ['b']), version: 9 },
    ];
    const model = reread(modelOf(graphOf(nodes, [float('x'), float('a'), float('b')], ['x'], ['b'])));
    expect(model.graphs[0].nodes.map((each) => each.version)).toEqual([7, 9]);
    const values = new Map(model.graphs[0].values);
    values.set('x', int8(values.get('x') as Value));
    const again = reread({ ...model, graphs: [{ ...model.graphs[0], values }] });
    expect(again.graphs[0].nodes.map((each) => each.version)).toEqual([2, 9]);
  });
});
