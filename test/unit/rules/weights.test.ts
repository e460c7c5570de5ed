import { describe, expect, it } from 'vitest';
import { readTflite } from '../../../src/formats/tflite/read.ts';
import { encodeTflite } from '../../../src/formats/tflite/write.ts';
import { memoryBytes } from '../../../src/ir/bytes.ts';
import { floatTensor, intTensor } from '../../../src/ir/numbers.ts';
import type { Tensor } from '../../../src/ir/tensor.ts';
import { of } from './check.ts';
import { convNet, onnx, perChannel, perTensor, scalar, tensor, tflite } from './small.ts';

/** Seeded numbers between -1 and 1. */
function noise(count: number, seed = 1): Float32Array {
  let state = seed;
  return Float32Array.from({ length: count }, () => {
    state = (state * 1_103_515_245 + 12_345) % 2_147_483_648;
    return state / 1_073_741_824 - 1;
  });
}

function weights(
  channels: number,
  change: (values: Float32Array, perChannel: number) => void = () => undefined,
) {
  const values = noise(channels * channels * 9);
  change(values, channels * 9);
  return convNet(channels, 8, [], { w: floatTensor([channels, channels, 3, 3], values) });
}

/** FULLY_CONNECTED with int8 weights. */
function dense(codes: Int8Array, outputs: number, scales = 1) {
  const w = { ...intTensor('int8', [outputs, codes.length / outputs], codes) };
  return tflite({
    inputs: { x: ['int8', [1, codes.length / outputs]] },
    outputs: ['y'],
    types: { y: ['int8', [1, outputs]] },
    constants: { w },
    quantization: {
      w: scales === 1 ? perTensor(0.01) : perChannel(outputs, 0),
      x: perTensor(0.1),
      y: perTensor(0.1),
    },
    nodes: [['fc', 'FULLY_CONNECTED', ['x', 'w', ''], ['y']]],
  });
}

const codes = (count: number, largest: number): Int8Array =>
  Int8Array.from(noise(count), (value) => Math.round(value * largest));

describe('weights', () => {
  it('non-finite-weights: NaN and infinity in weights, NaN in other constants', () => {
    const bad = weights(8, (values) => {
      values[3] = Number.NaN;
      values[9] = Infinity;
    });
    expect(of('non-finite-weights', bad)).toMatchObject([
      { layer: 'conv', message: '2 weights are NaN or infinite.' },
    ]);
    expect(of('non-finite-weights', weights(8))).toEqual([]);
    const masked = (value: number) =>
      convNet(8, 8, [['add', 'Add', ['y', 'm'], ['z']]], {
        m: floatTensor([8, 8], new Float32Array(64).fill(value)),
      });
    expect(of('non-finite-weights', masked(-Infinity))).toEqual([]);
    expect(of('non-finite-weights', masked(Number.NaN))).toHaveLength(1);
  });

  it('constant-filled: one number in 16 kB', () => {
    const add = (data: Float32Array): Tensor => floatTensor([64, 8, 8], data);
    const net = (m: Tensor) =>
      convNet(64, 8, [['add', 'Add', ['y', 'm'], ['z']]], {
        w: floatTensor([64, 64, 3, 3], noise(36_864)),
        m,
      });
    expect(of('constant-filled', net(add(new Float32Array(4096).fill(1))))).toMatchObject([
      { message: '“m” holds one number everywhere (16.4 kB).' },
    ]);
    expect(of('constant-filled', net(add(noise(4096))))).toEqual([]);
  });

  it('duplicate-weights: same elements in other bytes, with the gain', () => {
    const two = (second: Float32Array) =>
      convNet(
        16,
        8,
        [['next', 'Conv', ['y', 'w2'], ['z'], { pads: { kind: 'ints', value: [1, 1, 1, 1] } }]],
        {
          w: floatTensor([16, 16, 3, 3], noise(2304)),
          w2: floatTensor([16, 16, 3, 3], second),
        },
      );
    const [finding] = of('duplicate-weights', two(noise(2304)));
    expect(finding?.fixes[0]).toMatchObject({ pass: 'simplify', gain: { fileBytes: 9216 } });
    expect(finding?.fixes[0]?.title).toContain('9.22 kB less');
    expect(of('duplicate-weights', two(noise(2304, 2)))).toEqual([]);
  });

  it('dead-channels: zero or vanishing output channels', () => {
    const dead = weights(16, (values, size) => {
      values.fill(0, 0, size);
      values.fill(1e-20, size, 2 * size);
    });
    expect(of('dead-channels', dead)).toMatchObject([
      { layer: 'conv', severity: 'warning', message: expect.stringContaining('2 of 16') },
    ]);
    expect(of('dead-channels', weights(16))).toEqual([]);
  });

  it('outlier-channels: a hint on floats, a warning where one scale has hidden the others', () => {
    const outlier = weights(16, (values, size) => {
      for (let i = 0; i < size; i += 1) values[i] = (values[i] as number) * 100;
    });
    expect(of('outlier-channels', outlier)).toMatchObject([{ severity: 'hint', layer: 'conv' }]);
    expect(of('outlier-channels', weights(16))).toEqual([]);
    const narrow = codes(16 * 32, 5);
    narrow[0] = 127;
    expect(of('outlier-channels', dense(narrow, 16))).toMatchObject([{ severity: 'warning', layer: 'fc' }]);
    expect(of('outlier-channels', dense(codes(16 * 32, 127), 16))).toEqual([]);
  });

  it('saturated-weights: many codes at the ends, not one per channel, not ternary', () => {
    const clipped = codes(64 * 64, 160);
    expect(
      of(
        'saturated-weights',
        dense(
          clipped.map((code) => code),
          64,
        ),
      ),
    ).toEqual([]);
    const cut = Int8Array.from(noise(64 * 64), (value) =>
      Math.max(-127, Math.min(127, Math.round(value * 160))),
    );
    expect(of('saturated-weights', dense(cut, 64))).toMatchObject([{ layer: 'fc' }]);
    const ternary = Int8Array.from(noise(64 * 64), (value) => 127 * Math.round(value));
    expect(of('saturated-weights', dense(ternary, 64))).toEqual([]);
  });

  it('reduced-weight-range: seven bits of eight', () => {
    expect(of('reduced-weight-range', dense(codes(16 * 32, 63), 16))).toMatchObject([{ layer: 'fc' }]);
    expect(of('reduced-weight-range', dense(codes(16 * 32, 127), 16))).toEqual([]);
  });

  it('misaligned-weights: where in the file they start', () => {
    const at = (start: number) => {
      const drawn = tflite({
        inputs: { x: ['float32', [1, 4]] },
        outputs: ['y'],
        types: { y: ['float32', [1, 4]] },
        constants: { w: tensor('float32', [4, 4]) },
        nodes: [['fc', 'FULLY_CONNECTED', ['x', 'w', ''], ['y']]],
      });
      const { model } = readTflite(
        memoryBytes(Buffer.concat(encodeTflite(drawn).map((part) => part.read()))),
      );
      for (const { constant } of model.graphs[0].values.values())
        if (constant !== undefined) Object.assign(constant.data, { start });
      return model;
    };
    expect(of('misaligned-weights', at(1004))).toMatchObject([
      { severity: 'information', fixes: [{ pass: 'repair' }] },
    ]);
    expect(of('misaligned-weights', at(1008))).toEqual([]);
    // What was changed is written anew.
    expect(of('misaligned-weights', { ...at(1004) })).toEqual([]);
  });

  it('weight-only-convolution: integer weights against a float input', () => {
    const conv = (quantizedInput: boolean) =>
      onnx({
        inputs: { x: quantizedInput ? ['uint8', [1, 4, 8, 8]] : ['float32', [1, 4, 8, 8]] },
        outputs: ['y'],
        constants: {
          w: tensor('int8', [4, 4, 3, 3]),
          s: scalar('float32', 0.1),
          z: scalar('int8', 0),
          zx: scalar('uint8', 0),
        },
        nodes: [
          ...(quantizedInput ? ([['dqx', 'DequantizeLinear', ['x', 's', 'zx'], ['xf']]] as const) : []),
          ['dqw', 'DequantizeLinear', ['w', 's', 'z'], ['wf']],
          ['conv', 'Conv', [quantizedInput ? 'xf' : 'x', 'wf'], ['y']],
        ],
      });
    expect(of('weight-only-convolution', conv(false))).toMatchObject([{ layer: 'conv' }]);
    expect(of('weight-only-convolution', conv(true))).toEqual([]);
  });
});
