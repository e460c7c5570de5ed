import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { attr } from '../../../../src/ir/attribute.ts';
import type { DType } from '../../../../src/ir/dtype.ts';
import type { Attribute, TfliteModel, Value } from '../../../../src/ir/model.ts';
import { decodeFloats, encodeNumbers, floatTensor, intTensor } from '../../../../src/ir/numbers.ts';
import { tensorType } from '../../../../src/ir/types.ts';
import { withoutDynamicRounding } from '../../../../src/passes/convert/dynamicRounding.ts';
import { tidied } from '../../../../src/passes/convert/onnxModel.ts';
import { tfliteToOnnx } from '../../../../src/passes/convert/toOnnx/convert.ts';
import { startRunner } from '../../../../src/runtime/process/launch.ts';
import type { HostTensor } from '../../../../src/runtime/runner.ts';
import { useSourceRunner } from '../../support/runner.ts';
import { temporaryFile } from '../calibrate.ts';
import { random } from '../runtime.ts';

interface Case {
  readonly op: string;
  readonly input: readonly number[];
  readonly weights: readonly number[];
  readonly output: readonly number[];
  readonly channels: number;
  readonly type?: DType;
  readonly attributes?: Readonly<Record<string, Attribute>>;
}

const valid: Attribute = { kind: 'enum', value: 1, name: 'VALID' };
const window = { stride_h: attr.int(1), stride_w: attr.int(1), padding: valid };
const strided = { stride_h: attr.int(2), stride_w: attr.int(2), padding: valid };
const asymmetric = { asymmetric_quantize_inputs: attr.bool(true) };

const dense = (rows: number, more: Partial<Case> = {}): Case => ({
  op: 'FULLY_CONNECTED',
  input: [rows, 64],
  weights: [32, 64],
  output: [rows, 32],
  channels: 0,
  ...more,
});

const product = (more: Partial<Case> = {}): Case => ({
  op: 'BATCH_MATMUL',
  input: [1, 5, 64],
  weights: [1, 64, 32],
  output: [1, 5, 32],
  channels: 2,
  ...more,
});

/** Of 8 x 8 pixels with 16 channels, without padding. */
const convolution = (batch: number, kernel: number, attributes: NonNullable<Case['attributes']>): Case => {
  const size = Math.ceil((8 - kernel + 1) / (attributes === strided ? 2 : 1));
  return {
    op: 'CONV_2D',
    input: [batch, 8, 8, 16],
    weights: [24, kernel, kernel, 16],
    output: [batch, size, size, 24],
    channels: 0,
    attributes,
  };
};

const cases: readonly Case[] = [
  dense(1),
  dense(5),
  dense(5, { attributes: asymmetric }),
  dense(5, { type: 'int4' }),
  product(),
  product({ attributes: asymmetric }),
  convolution(1, 3, window),
  convolution(2, 3, window),
  convolution(1, 1, window),
  convolution(1, 1, strided),
  {
    op: 'DEPTHWISE_CONV_2D',
    input: [1, 8, 8, 16],
    weights: [1, 3, 3, 16],
    output: [1, 6, 6, 16],
    channels: 3,
    attributes: { ...window, depth_multiplier: attr.int(1) },
  },
];

const runner = startRunner();
beforeAll(useSourceRunner);
afterAll(() => runner.kill());
const next = random(3);
const sizeOf = (dims: readonly number[]) => dims.reduce((a, b) => a * b, 1);

function build(of: Case): TfliteModel {
  const type = of.type ?? 'int8';
  const largest = type === 'int4' ? 7 : 127;
  const count = of.weights[of.channels] as number;
  const codes = Array.from({ length: sizeOf(of.weights) }, () => Math.round((2 * next() - 1) * largest));
  const quantization = {
    scale: Float32Array.from({ length: count }, () => 0.004 + 0.01 * next()),
    zeroPoint: Array<number>(count).fill(0),
    axis: of.channels,
  };
  const value = (id: string, rest: Omit<Value, 'id' | 'name'>): [string, Value] => [
    id,
    { id, name: id, ...rest },
  ];
  const bias = floatTensor(
    [count],
    Float32Array.from({ length: count }, () => next()),
  );
  const values = new Map([
    value('x', { type: tensorType('float32', of.input) }),
    value('w', {
      type: tensorType(type, of.weights),
      constant: intTensor(type, of.weights, codes),
      quantization,
    }),
    value('b', { type: tensorType('float32', [count]), constant: bias }),
    value('y', { type: tensorType('float32', of.output) }),
  ]);
  const inputs = of.op === 'BATCH_MATMUL' ? ['x', 'w'] : ['x', 'w', 'b'];
  const attributes = new Map(Object.entries(of.attributes ?? {}));
  const node = { id: 'node', name: '', op: of.op, domain: '', inputs, outputs: ['y'], attributes };
  const graph = { name: 'main', inputs: ['x'], outputs: ['y'], nodes: [node], values };
  return { dialect: 'tflite', version: 3, description: '', graphs: [graph], metadata: [], signatures: [] };
}

const numbers = ({ dtype, data, dims }: HostTensor) => decodeFloats(dtype, data, sizeOf(dims));

describe('layers with float activations and coded weights round activations as LiteRT does', () => {
  it.each(cases.map((of, index) => [`${of.op} (${index})`, of] as const))('%s', async (_name, of) => {
    const model = build(of);
    const converted = await tidied(tfliteToOnnx(model).model, { seed: 1, step: async () => {} } as never);
    const values = Float64Array.from({ length: sizeOf(of.input) }, () => 3 * next() - 1);
    const feeds = {
      x: { dtype: 'float32' as const, dims: of.input, data: encodeNumbers('float32', values) },
    };
    const [before, after] = [
      await runner.open(await temporaryFile(model), {}),
      await runner.open(await temporaryFile(converted), {}),
    ];
    const wanted = numbers((await before.run(feeds))['y'] as HostTensor);
    const seen = numbers((await after.run(feeds))['y'] as HostTensor);
    await Promise.all([before.close(), after.close()]);
    const span = Math.max(...wanted.map(Math.abs));
    const worst = Math.max(...seen.map((each, i) => Math.abs(each - (wanted[i] as number)))) / span;
    expect(worst).toBeLessThan(2e-6);
    // On the way back the rounding is left to TFLite's kernels.
    if (converted.dialect !== 'onnx') throw new Error('not converted');
    const back = withoutDynamicRounding(converted).graphs[0].nodes.map(({ op }) => op);
    expect(back.filter((op) => ['Round', 'ReduceMin', 'DynamicQuantizeLinear'].includes(op))).toEqual([]);
  });
});
