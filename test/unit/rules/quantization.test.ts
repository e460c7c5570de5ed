import { describe, expect, it } from 'vitest';
import type { Attribute, Quantization } from '../../../src/ir/model.ts';
import { device, of } from './check.ts';
import { onnx, perChannel, perTensor, scalar, tensor, tflite } from './small.ts';

const shape = [1, 8, 8, 16] as const;

/** One int8 TFLite operator between two encodings. */
function moved(op: string, from: Quantization, to: Quantization, attributes: Record<string, Attribute> = {}) {
  return tflite({
    inputs: { x: ['int8', shape] },
    outputs: ['y'],
    types: { y: ['int8', shape] },
    quantization: { x: from, y: to },
    nodes: [['op', op, ['x'], ['y'], attributes]],
  });
}

function conv(bias: Quantization, input = perTensor(0.1)) {
  return tflite({
    inputs: { x: ['int8', shape] },
    outputs: ['y'],
    types: { y: ['int8', shape] },
    constants: { w: tensor('int8', [16, 1, 1, 16]), b: tensor('int32', [16]) },
    quantization: { x: input, w: perChannel(16, 0), b: bias, y: perTensor(0.2) },
    nodes: [['conv', 'CONV_2D', ['x', 'w', 'b'], ['y']]],
  });
}

const scaled = (quantization: Quantization, factor: number): Quantization => ({
  ...quantization,
  scale: quantization.scale.map((each) => each * factor),
});

/** Q and DQ around a Relu or a Clip. */
function activated(op: 'Relu' | 'Identity', type: 'int8' | 'uint8', zero: number) {
  return onnx({
    inputs: { x: ['float32', [1, 8]] },
    outputs: ['out'],
    constants: { s: scalar('float32', 0.1), z: scalar(type, zero) },
    nodes: [
      ['act', op, ['x'], ['y']],
      ['q', 'QuantizeLinear', ['y', 's', 'z'], ['yq']],
      ['dq', 'DequantizeLinear', ['yq', 's', 'z'], ['out']],
    ],
  });
}

describe('quantization', () => {
  it('invalid-quantization: scales and zero points that cannot be', () => {
    const broken = [perTensor(0), perTensor(-1), perTensor(Number.NaN), perTensor(0.1, 128)];
    for (const quantization of broken)
      expect(of('invalid-quantization', moved('RELU', quantization, perTensor(0.1)))).toMatchObject([
        { layer: 'op' },
      ]);
    expect(of('invalid-quantization', moved('RELU', perTensor(0.1, -128), perTensor(0.1)))).toEqual([]);
    expect(of('invalid-quantization', conv(perChannel(12, 0)))).toHaveLength(1);
    const onnxPair = (scale: number) =>
      onnx({
        inputs: { x: ['uint8', [1, 4]] },
        outputs: ['y'],
        constants: { s: scalar('float32', scale) },
        nodes: [['dq', 'DequantizeLinear', ['x', 's'], ['y']]],
      });
    expect(of('invalid-quantization', onnxPair(0))).toMatchObject([{ layer: 'dq' }]);
    expect(of('invalid-quantization', onnxPair(0.1))).toEqual([]);
  });

  it('bias-scale-mismatch: input times weight, within rounding', () => {
    const right = scaled(perChannel(16, 0), 0.1);
    expect(of('bias-scale-mismatch', conv(right))).toEqual([]);
    expect(of('bias-scale-mismatch', conv(scaled(right, 1.001)))).toEqual([]);
    expect(of('bias-scale-mismatch', conv(scaled(right, 2)))).toMatchObject([
      { layer: 'conv', severity: 'error' },
    ]);
  });

  it('same-scale-required: pooling must not change the scale, addition may', () => {
    expect(of('same-scale-required', moved('MAX_POOL_2D', perTensor(0.1), perTensor(0.2)))).toMatchObject([
      { layer: 'op' },
    ]);
    expect(of('same-scale-required', moved('MAX_POOL_2D', perTensor(0.1, 3), perTensor(0.1, 3)))).toEqual([]);
    expect(of('same-scale-required', moved('HARD_SWISH', perTensor(0.1), perTensor(0.2)))).toEqual([]);
  });

  it('fixed-scale-required: softmax writes on 1/256', () => {
    expect(
      of('fixed-scale-required', moved('SOFTMAX', perTensor(0.1), perTensor(0.0038, -128))),
    ).toMatchObject([{ layer: 'op' }]);
    expect(of('fixed-scale-required', moved('SOFTMAX', perTensor(0.1), perTensor(1 / 256, -128)))).toEqual(
      [],
    );
  });

  it('unused-quantization-range: codes for values that a ReLU never gives', () => {
    expect(of('unused-quantization-range', moved('RELU', perTensor(0.1), perTensor(0.1, 0)))).toMatchObject([
      { layer: 'op' },
    ]);
    expect(of('unused-quantization-range', moved('RELU', perTensor(0.1), perTensor(0.1, -128)))).toEqual([]);
    const six = { fused_activation_function: { kind: 'enum', value: 3, name: 'RELU6' } } as const;
    expect(
      of('unused-quantization-range', moved('ADD', perTensor(0.1), perTensor(0.1, -128), six)),
    ).toHaveLength(1);
    expect(
      of('unused-quantization-range', moved('ADD', perTensor(0.1), perTensor(6 / 255, -128), six)),
    ).toEqual([]);
    expect(of('unused-quantization-range', activated('Relu', 'int8', 0))).toMatchObject([{ layer: 'act' }]);
    expect(of('unused-quantization-range', activated('Relu', 'uint8', 0))).toEqual([]);
    expect(of('unused-quantization-range', activated('Identity', 'int8', 0))).toEqual([]);
  });

  it('float-input-output: conversions at the edge, a warning where they hurt', () => {
    const edge = tflite({
      inputs: { x: ['float32', [1, 4]] },
      outputs: ['y'],
      types: { q: ['int8', [1, 4]], r: ['int8', [1, 4]], y: ['float32', [1, 4]] },
      quantization: { q: perTensor(0.1), r: perTensor(0.1, -128) },
      nodes: [
        ['first', 'QUANTIZE', ['x'], ['q']],
        ['relu', 'RELU', ['q'], ['r']],
        ['last', 'DEQUANTIZE', ['r'], ['y']],
      ],
    });
    expect(of('float-input-output', edge)).toMatchObject([
      { severity: 'information', layers: ['first', 'last'] },
    ]);
    expect(of('float-input-output', edge, { device: device('stm32h743') })).toMatchObject([
      { severity: 'warning' },
    ]);
    expect(of('float-input-output', moved('RELU', perTensor(0.1), perTensor(0.1, -128)))).toEqual([]);
  });

  it('signed-activations-on-x86: a residual with int8 activations, on a PC only', () => {
    const residual = (type: 'int8' | 'uint8') =>
      onnx({
        inputs: { a: [type, [1, 4]], b: [type, [1, 4]] },
        outputs: ['y'],
        constants: { s: scalar('float32', 0.1), z: scalar(type, 0) },
        nodes: [
          ['da', 'DequantizeLinear', ['a', 's', 'z'], ['fa']],
          ['db', 'DequantizeLinear', ['b', 's', 'z'], ['fb']],
          ['add', 'Add', ['fa', 'fb'], ['y']],
        ],
      });
    const pc = { device: device('i7-12700h') };
    expect(of('signed-activations-on-x86', residual('int8'), pc)).toMatchObject([{ layer: 'add' }]);
    expect(of('signed-activations-on-x86', residual('uint8'), pc)).toEqual([]);
    expect(of('signed-activations-on-x86', residual('int8'), { device: device('pi4') })).toEqual([]);
  });

  it('tflite-operator-version: too low for the types, or newer than any', () => {
    const at = (version: number) => {
      const model = conv(scaled(perChannel(16, 0), 0.1));
      const [graph] = model.graphs;
      return {
        ...model,
        graphs: [{ ...graph, nodes: graph.nodes.map((node) => ({ ...node, version })) }] as const,
      };
    };
    expect(of('tflite-operator-version', at(1))).toMatchObject([
      { layer: 'conv', message: expect.stringContaining('too low') },
    ]);
    expect(of('tflite-operator-version', at(3))).toEqual([]);
    expect(of('tflite-operator-version', at(99))).toMatchObject([
      { message: expect.stringContaining('newer') },
    ]);
  });

  it('float-island: one convolution in float in a model of integers', () => {
    const island = (float: boolean) => {
      const [type, quantized] = float
        ? (['float32', {}] as const)
        : (['int8', { z: perTensor(0.1), w2: perChannel(16, 0) }] as const);
      return tflite({
        inputs: { x: ['int8', shape] },
        outputs: ['z'],
        types: { y: ['int8', shape], f: ['float32', shape], z: [type, shape] },
        constants: {
          w: tensor('int8', [16, 3, 3, 16]),
          w2: tensor(type, [16, 1, 1, 16]),
          b: tensor('int32', [16]),
          b2: tensor(float ? 'float32' : 'int32', [16]),
        },
        quantization: {
          x: perTensor(0.1),
          y: perTensor(0.1),
          w: perChannel(16, 0),
          b: perChannel(16, 0),
          ...quantized,
        },
        nodes: [
          ['conv', 'CONV_2D', ['x', 'w', 'b'], ['y'], same],
          ...(float ? ([['dq', 'DEQUANTIZE', ['y'], ['f']]] as const) : []),
          ['second', 'CONV_2D', [float ? 'f' : 'y', 'w2', 'b2'], ['z'], same],
        ],
      });
    };
    expect(of('float-island', island(true))).toMatchObject([{ layer: 'second' }]);
    expect(of('float-island', island(false))).toEqual([]);
  });
});

const same = {
  padding: { kind: 'enum', value: 0, name: 'SAME' },
  stride_w: { kind: 'int', value: 1 },
  stride_h: { kind: 'int', value: 1 },
} as const;
