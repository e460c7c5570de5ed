import { describe, expect, it } from 'vitest';
import { missingBytes } from '../../../src/ir/bytes.ts';
import { bytesText, durationText } from '../../../src/rules/support.ts';
import { targetFor } from '../../../src/devices/targets/registry.ts';
import { check, device, of } from './check.ts';
import { convNet, onnx, perTensor, tensor, tflite } from './small.ts';

const wide = convNet(64, 16);

/** int8 in and out, with one operator in between. */
function integers(op: string) {
  const shape = ['int8', [1, 8, 8, 4]] as const;
  return tflite({
    inputs: { x: shape },
    outputs: ['z'],
    types: { a: shape, z: shape },
    quantization: Object.fromEntries(['x', 'a', 'z'].map((id) => [id, perTensor(1 / 256, -128)])),
    nodes: [
      ['one', 'LOGISTIC', ['x'], ['a']],
      ['two', op, ['a'], ['z']],
    ],
  });
}

describe('findings about devices', () => {
  it('float layers: an error, a warning or a remark, by what the device makes of them', () => {
    const severity = (id: string) =>
      of('float-on-integer-device', wide, { device: device(id) }).map((each) => [
        each.severity,
        each.fixes.length,
      ]);
    expect(severity('coral_usb')).toEqual([['error', 1]]);
    expect(severity('esp32s3')).toEqual([['warning', 1]]);
    expect(severity('hailo8')).toEqual([['information', 0]]);
    expect(severity('stm32h743')).toEqual([]);
    // One finding about the floats of an integer device is enough.
    expect(of('float32-weights-large', wide, { device: device('esp32s3') })).toEqual([]);
    expect(of('float32-weights-large', wide, { device: device('stm32h743') })).toHaveLength(1);
  });

  it('an operator nobody described is not called floating point', () => {
    const custom = tflite({
      inputs: { x: ['int8', [1, 4]] },
      outputs: ['y'],
      nodes: [['odd', 'NOBODY_KNOWS', ['x'], ['y']]],
    });
    expect(of('float-on-integer-device', custom, { device: device('coral_usb') })).toEqual([]);
  });

  it('an operator that stays on the processor is told of once, with the cut', () => {
    const told = (op: string) =>
      check(integers(op), { device: device('coral_usb') })
        .filter(({ rule }) => /^(unsupported-operator|target-refuses|delegate-cut)$/.test(rule))
        .map(({ rule, severity }) => [rule, severity]);
    expect(told('ABS').sort()).toEqual([
      ['delegate-cut', 'warning'],
      ['target-refuses', 'warning'],
    ]);
    expect(told('RESHAPE')).toEqual([]);
  });

  it('a file to be converted first: what the device will not take is one remark', () => {
    const net = onnx({
      inputs: { x: ['float32', [1, 4]] },
      outputs: ['c'],
      nodes: [
        ['e', 'Erf', ['x'], ['a']],
        ['d', 'Det', ['a'], ['b']],
        ['r', 'Relu', ['b'], ['c']],
      ],
    });
    expect(of('unsupported-operator', net, { device: device('coral_usb') })).toMatchObject([
      { severity: 'warning', message: expect.stringContaining('convert this one first') },
      {
        severity: 'information',
        layers: ['e', 'd'],
        message: expect.stringContaining('Det, Erf (2 layers)'),
      },
    ]);
  });

  it('a target with fixed shapes wants the batch too, and the fix binds it', () => {
    const open = onnx({
      inputs: { x: ['float32', ['batch', 3]] },
      outputs: ['y'],
      nodes: [['r', 'Relu', ['x'], ['y']]],
    });
    const target = targetFor('qnn', 'onnx');
    expect(of('dynamic-shape', open, { target })).toMatchObject([
      { severity: 'warning', fixes: [{ pass: 'set-shape', options: { batch: '1' } }] },
    ]);
    expect(of('target-refuses', open, { target }).filter(({ layer }) => layer === undefined)).toEqual([]);
    expect(of('dynamic-shape', open, { device: device('stm32h743') })).toEqual([]);
  });

  it('cures that read weights are not offered where the weights are missing', () => {
    const lost = { dtype: 'float32', dims: [64, 64, 3, 3], data: missingBytes(147_456, 'gone') } as const;
    const offered = (model: typeof wide) =>
      check(model).flatMap(({ fixes }) => fixes.map(({ pass }) => pass));
    expect(offered(wide)).toContain('quantize-static');
    expect(offered(convNet(64, 16, [], { w: lost }))).toEqual([]);
  });

  it('cures that have to run the model are not offered where an operator comes from a library of its own', () => {
    const model = convNet(64, 16, [['odd', 'DecodeImage', ['y'], ['z']]]);
    const passes = (domain: string) => {
      const nodes = model.graphs[0].nodes.map((node) => (node.id === 'odd' ? { ...node, domain } : node));
      const named = { ...model, graphs: [{ ...model.graphs[0], nodes }] as const };
      return check(named).flatMap(({ fixes }) => fixes.map(({ pass }) => pass));
    };
    expect(passes('com.microsoft')).toContain('quantize-static');
    expect(passes('com.microsoft.extensions')).not.toContain('quantize-static');
    expect(passes('com.microsoft.extensions')).toContain('fp16');
  });

  it('a large layer breaks a limit, or is a remark', () => {
    const tail = ['a', 'b', 'c', 'd'].map((id, index) => {
      const from = ['y', 'a', 'b', 'c'][index] ?? '';
      return [id, 'Relu', [from], [id]] as const;
    });
    const four = convNet(64, 16, tail, { w: tensor('float32', [64, 64, 3, 3]) });
    expect(of('layer-too-large', four)).toMatchObject([{ severity: 'information' }]);
    expect(of('layer-too-large', four, { budget: { fileBytes: 200_000 } })).toMatchObject([
      { severity: 'warning' },
    ]);
  });
});

it('quantities for people', () => {
  expect([0.1844, 0.9999, 9.221, 999.4, 999.6, 13_300, 220_400].map(durationText)).toEqual([
    '184 µs',
    '1.00 ms',
    '9.22 ms',
    '999 ms',
    '1.00 s',
    '13.3 s',
    '220 s',
  ]);
  expect([864, 999.6, 78_200].map(bytesText)).toEqual(['864 B', '1.00 kB', '78.2 kB']);
});
