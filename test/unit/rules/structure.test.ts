import { describe, expect, it } from 'vitest';
import { attr } from '../../../src/ir/attribute.ts';
import type { OnnxModel } from '../../../src/ir/model.ts';
import { intTensor } from '../../../src/ir/numbers.ts';
import { device, of } from './check.ts';
import { convNet, floats, onnx, perTensor, scalar, tensor, tflite } from './small.ts';

const image = [1, 3, 32, 32] as const;
const wide = convNet(16, 8);

/** x → nodes → y, all float32. */
function chain(nodes: Parameters<typeof onnx>[0]['nodes'], more: Partial<Parameters<typeof onnx>[0]> = {}) {
  return onnx({
    inputs: { x: ['float32', [1, 4, 8, 8]] },
    outputs: [nodes.at(-1)?.[3][0] ?? ''],
    nodes,
    ...more,
  });
}

describe('structure', () => {
  it('affine-not-folded: constants per channel behind a convolution', () => {
    const scaled = (constant: ReturnType<typeof tensor>) =>
      convNet(
        4,
        8,
        [
          ['mul', 'Mul', ['y', 'k'], ['z']],
          ['relu', 'Relu', ['z'], ['out']],
        ],
        { k: constant },
      );
    expect(of('affine-not-folded', scaled(tensor('float32', [1, 4, 1, 1])))).toMatchObject([
      { layer: 'mul', fixes: [{ pass: 'fuse' }] },
    ]);
    expect(of('affine-not-folded', scaled(tensor('float32', [1, 4, 8, 8])))).toEqual([]);
  });

  it('pad-not-folded: zeros only', () => {
    const padded = (value: number) =>
      onnx({
        inputs: { x: ['float32', [1, 4, 8, 8]] },
        outputs: ['y'],
        constants: {
          w: tensor('float32', [4, 4, 3, 3]),
          p: intTensor('int64', [8], [0, 0, 1, 1, 0, 0, 1, 1]),
          v: scalar('float32', value),
        },
        nodes: [
          ['pad', 'Pad', ['x', 'p', 'v'], ['xp']],
          ['conv', 'Conv', ['xp', 'w'], ['y']],
        ],
      });
    expect(of('pad-not-folded', padded(0))).toMatchObject([{ layer: 'pad', fixes: [{ pass: 'fuse' }] }]);
    expect(of('pad-not-folded', padded(1))).toEqual([]);
  });

  it('activation-not-fused: TFLite, when nobody else reads what comes before', () => {
    const relu = (outputs: string[]) =>
      tflite({
        inputs: { x: ['float32', [1, 8, 8, 4]] },
        outputs,
        constants: { w: tensor('float32', [4, 1, 1, 4]), b: tensor('float32', [4]) },
        types: { c: ['float32', [1, 8, 8, 4]], y: ['float32', [1, 8, 8, 4]] },
        nodes: [
          ['conv', 'CONV_2D', ['x', 'w', 'b'], ['c']],
          ['relu', 'RELU6', ['c'], ['y']],
        ],
      });
    expect(of('activation-not-fused', relu(['y']))).toMatchObject([
      { layer: 'relu', fixes: [{ pass: 'fuse' }] },
    ]);
    expect(of('activation-not-fused', relu(['y', 'c']))).toEqual([]);
  });

  it('no-operation: what gives back its input, but not a second name for the outside', () => {
    const inside = chain([
      ['relu', 'Relu', ['x'], ['a']],
      ['same', 'Identity', ['a'], ['b']],
      ['last', 'Relu', ['b'], ['y']],
    ]);
    expect(of('no-operation', inside)).toMatchObject([{ layer: 'same', fixes: [{ pass: 'simplify' }] }]);
    expect(of('no-operation', chain([['same', 'Identity', ['x'], ['y']]]))).toEqual([]);
    expect(of('no-operation', wide)).toEqual([]);
  });

  it('wasted-transpose: pairs that undo one another', () => {
    const pair = (second: number[]) =>
      chain([
        ['relu', 'Relu', ['x'], ['a']],
        ['there', 'Transpose', ['a'], ['b'], { perm: attr.ints([0, 2, 3, 1]) }],
        ['back', 'Transpose', ['b'], ['c'], { perm: attr.ints(second) }],
        ['last', 'Relu', ['c'], ['y']],
      ]);
    expect(of('wasted-transpose', pair([0, 3, 1, 2]))).toMatchObject([{ layer: 'back' }]);
    expect(of('wasted-transpose', pair([0, 2, 1, 3]))).toEqual([]);
  });

  it('wasted-cast: the same type, or back where nothing was lost', () => {
    const casts = (first: number, second: number) =>
      chain([
        ['relu', 'Relu', ['x'], ['a']],
        ['one', 'Cast', ['a'], ['b'], { to: attr.int(first) }],
        ['two', 'Cast', ['b'], ['c'], { to: attr.int(second) }],
        ['last', 'Neg', ['c'], ['y']],
      ]);
    const [float, int32, double] = [1, 6, 11];
    expect(of('wasted-cast', casts(float, int32))).toMatchObject([
      { layer: 'one', fixes: [{ pass: 'simplify' }] },
    ]);
    expect(of('wasted-cast', casts(double, float))).toMatchObject([{ layer: 'two' }]);
    expect(of('wasted-cast', casts(int32, float))).toEqual([]);
  });

  it('non-deterministic-operator', () => {
    expect(of('non-deterministic-operator', chain([['r', 'RandomNormalLike', ['x'], ['y']]]))).toMatchObject([
      { layer: 'r' },
    ]);
    expect(of('non-deterministic-operator', wide)).toEqual([]);
  });

  it('training-mode: batch statistics, and dropout that drops', () => {
    const statistics = {
      a: floats(1, 1, 1, 1),
      b: floats(0, 0, 0, 0),
      m: floats(0, 0, 0, 0),
      v: floats(1, 1, 1, 1),
    };
    const norm = (mode: number) =>
      chain(
        [['bn', 'BatchNormalization', ['x', 'a', 'b', 'm', 'v'], ['y'], { training_mode: attr.int(mode) }]],
        { constants: statistics },
      );
    expect(of('training-mode', norm(1))).toMatchObject([{ layer: 'bn' }]);
    expect(of('training-mode', norm(0))).toEqual([]);
    const dropout = (ratio: number) =>
      chain([['drop', 'Dropout', ['x', 'r', 't'], ['y']]], {
        constants: { r: scalar('float32', ratio), t: tensor('bool', [], new Uint8Array([1])) },
      });
    expect(of('training-mode', dropout(0.5))).toMatchObject([{ layer: 'drop' }]);
    expect(of('training-mode', dropout(0))).toEqual([]);
  });

  it('opset-above-runtime and opset-too-old', () => {
    const at = (opset: number, irVersion = 9): OnnxModel => ({
      ...wide,
      irVersion,
      opsets: new Map([['', opset]]),
    });
    expect(of('opset-above-runtime', at(99))).toMatchObject([{ severity: 'error' }]);
    expect(of('opset-above-runtime', at(18, 14))[0]?.message).toContain('IR version 14');
    expect(of('opset-above-runtime', at(26, 13))).toEqual([]);
    expect(of('opset-too-old', at(9))).toMatchObject([{ severity: 'information' }]);
    expect(of('opset-too-old', at(3))).toMatchObject([{ severity: 'warning' }]);
    expect(of('opset-too-old', at(10))).toEqual([]);
  });

  it('clashing-names and unnamed-layers', () => {
    const named = (names: readonly string[]): OnnxModel => {
      const model = chain([
        ['n0', 'Relu', ['x'], ['a']],
        ['n1', 'Relu', ['a'], ['b']],
        ['n2', 'Relu', ['b'], ['c']],
        ['n3', 'Relu', ['c'], ['y']],
      ]);
      const nodes = model.graphs[0].nodes.map((node, index) => ({ ...node, name: names[index] ?? '' }));
      return { ...model, graphs: [{ ...model.graphs[0], nodes }] };
    };
    expect(of('clashing-names', named(['a', 'b', 'a', 'd']))).toMatchObject([{ layer: 'n2' }]);
    expect(of('clashing-names', named(['a', '', '', 'd']))).toEqual([]);
    expect(of('unnamed-layers', named(['a', '', '', '']))).toHaveLength(1);
    expect(of('unnamed-layers', named(['a', 'b', 'c', '']))).toEqual([]);
  });

  it('fixed-batch: more than one image at once', () => {
    const batch = (size: number | string) =>
      onnx({
        inputs: { x: ['float32', [size, 3, 8, 8]] },
        outputs: ['y'],
        nodes: [['relu', 'Relu', ['x'], ['y']]],
      });
    expect(of('fixed-batch', batch(32))).toMatchObject([{ severity: 'information' }]);
    expect(of('fixed-batch', batch(1))).toEqual([]);
    expect(of('fixed-batch', batch('N'))).toEqual([]);
  });

  it('boundary-transpose: the input changes its layout first', () => {
    const first = (perm: number[]) => chain([['t', 'Transpose', ['x'], ['y'], { perm: attr.ints(perm) }]]);
    expect(of('boundary-transpose', first([0, 2, 3, 1]))).toMatchObject([{ layer: 't' }]);
    expect(of('boundary-transpose', first([0, 1, 3, 2]))).toEqual([]);
  });

  it('preprocessing-outside: an image straight into a convolution, nothing said of its scale', () => {
    const net = (head: Parameters<typeof onnx>[0]['nodes'], input: string) =>
      onnx({
        inputs: { x: ['float32', image] },
        outputs: ['y'],
        constants: { w: tensor('float32', [4, 3, 3, 3]), k: floats(1) },
        nodes: [...head, ['conv', 'Conv', [input, 'w'], ['y']]],
      });
    const bare = net([], 'x');
    expect(of('preprocessing-outside', bare)).toMatchObject([{ severity: 'hint' }]);
    expect(of('preprocessing-outside', net([['div', 'Div', ['x', 'k'], ['s']]], 's'))).toEqual([]);
    expect(of('preprocessing-outside', { ...bare, metadata: [['image.mean', '0.5']] })).toEqual([]);
  });
});

describe('devices', () => {
  it('half-precision-on-cpu: float16 arithmetic where there is none', () => {
    const half = onnx({
      inputs: { x: ['float16', [1, 16, 8, 8]] },
      outputs: ['y'],
      constants: { w: tensor('float16', [16, 16, 3, 3]) },
      nodes: [['conv', 'Conv', ['x', 'w'], ['y']]],
    });
    expect(of('half-precision-on-cpu', half, { device: device('pi4') })).toMatchObject([{ layer: 'conv' }]);
    expect(of('half-precision-on-cpu', wide, { device: device('pi4') })).toEqual([]);
    expect(of('half-precision-on-cpu', half, { device: device('orin_nano') })).toEqual([]);
  });

  it('layer-too-slow: one of several layers, with cures that make it faster', () => {
    const tail = ['a', 'b', 'c', 'd', 'e'].map(
      (to, i) => [`r${i}`, 'Relu', [i === 0 ? 'y' : ('abcde'[i - 1] ?? '')], [to]] as const,
    );
    const slow = convNet(64, 32, tail, {});
    const [finding] = of('layer-too-slow', slow, { device: device('pi4') });
    expect(finding).toMatchObject({ layer: 'conv', message: expect.stringContaining('estimated') });
    expect(finding?.fixes[0]?.title).toMatch(/ms on Raspberry Pi 4.* now\)|µs on Raspberry Pi 4/);
    expect(of('layer-too-slow', slow)).toEqual([]);
    expect(of('layer-too-slow', convNet(64, 32), { device: device('pi4') })).toEqual([]);
  });

  it('memory-peak: one step against the memory there is', () => {
    const pyramid = onnx({
      inputs: { x: ['float32', [1, 4, 32, 32]] },
      outputs: ['y'],
      nodes: [
        ['up', 'Concat', ['x', 'x', 'x', 'x'], ['a'], { axis: attr.int(1) }],
        ['big', 'Sigmoid', ['a'], ['b']],
        ['down', 'ReduceMean', ['b'], ['c'], { axes: attr.ints([2, 3]), keepdims: attr.int(1) }],
        ['s1', 'Sigmoid', ['c'], ['d']],
        ['s2', 'Sigmoid', ['d'], ['e']],
        ['s3', 'Sigmoid', ['e'], ['f']],
        ['s4', 'Sigmoid', ['f'], ['y']],
      ],
    });
    expect(
      of('memory-peak', { ...pyramid, opsets: new Map([['', 13]]) }, { budget: { ramBytes: 100_000 } }),
    ).toHaveLength(1);
    expect(
      of('memory-peak', { ...pyramid, opsets: new Map([['', 13]]) }, { budget: { ramBytes: 10_000_000 } }),
    ).toEqual([]);
  });

  it('delegate-cut: what stays on the processor cuts the model', () => {
    const step = (name: string, op: string, from: string, to: string) => [name, op, [from], [to]] as const;
    const net = (middle: string) =>
      tflite({
        inputs: { x: ['int8', [1, 8, 8, 4]] },
        outputs: ['z'],
        types: { a: ['int8', [1, 8, 8, 4]], b: ['int8', [1, 8, 8, 4]], z: ['int8', [1, 8, 8, 4]] },
        quantization: Object.fromEntries(['x', 'a', 'b', 'z'].map((id) => [id, perTensor(0.1)])),
        nodes: [
          step('one', 'LOGISTIC', 'x', 'a'),
          step('two', middle, 'a', 'b'),
          step('three', 'LOGISTIC', 'b', 'z'),
        ],
      });
    expect(of('delegate-cut', net('ABS'), { device: device('coral_usb') })).toMatchObject([
      { layer: 'two', message: expect.stringContaining('first 1 layer') },
    ]);
    expect(of('delegate-cut', net('TANH'), { device: device('coral_usb') })).toEqual([]);
    expect(of('delegate-cut', net('ABS'), { device: device('pi4') })).toEqual([]);
  });
});
