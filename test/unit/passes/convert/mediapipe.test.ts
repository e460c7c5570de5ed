import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { memoryBytes } from '../../../../src/ir/bytes.ts';
import type { Attribute, Node, TfliteModel, Value } from '../../../../src/ir/model.ts';
import { decodeFloats, encodeNumbers, floatTensor } from '../../../../src/ir/numbers.ts';
import type { Tensor } from '../../../../src/ir/tensor.ts';
import { tensorType } from '../../../../src/ir/types.ts';
import { tidied } from '../../../../src/passes/convert/onnxModel.ts';
import { tfliteToOnnx } from '../../../../src/passes/convert/toOnnx/convert.ts';
import { startRunner } from '../../../../src/runtime/process/launch.ts';
import { useSourceRunner } from '../../support/runner.ts';
import { temporaryFile } from '../calibrate.ts';
import { random } from '../runtime.ts';

const runner = startRunner();
beforeAll(useSourceRunner);
afterAll(() => runner.kill());
const next = random(9);
const sizeOf = (dims: readonly number[]) => dims.reduce((a, b) => a * b, 1);
const randoms = (count: number) => Float32Array.from({ length: count }, () => 2 * next() - 1);

/** A C struct of 32-bit numbers. */
function struct(bytes: number, ...numbers: readonly number[]): Attribute {
  const whole = new Int32Array(bytes / 4);
  whole.set(numbers);
  return { kind: 'bytes', value: memoryBytes(new Uint8Array(whole.buffer)) };
}
/** TfLiteTransposeConvParams and TfLitePoolParams. */
const transposed = (padding: number, stride: number) => struct(20, padding, stride, stride);
const pooled = (padding: number, stride: number, window: number) =>
  struct(40, padding, stride, stride, window, window, 0);

const float = (id: string, dims: readonly number[], constant?: Tensor): Value => ({
  id,
  name: id,
  type: tensorType('float32', dims),
  ...(constant && { constant }),
});
const layer = (
  op: string,
  inputs: readonly string[],
  outputs: readonly string[],
  given: Attribute,
): Node => ({
  id: op,
  name: '',
  op,
  domain: 'custom',
  inputs,
  outputs,
  attributes: new Map([['custom_options', given]]),
});
function model(
  nodes: readonly Node[],
  values: readonly Value[],
  outputs: readonly string[] = ['y'],
): TfliteModel {
  const graph = {
    name: 'main',
    inputs: ['x'],
    outputs,
    nodes,
    values: new Map(values.map((each) => [each.id, each])),
  };
  return { dialect: 'tflite', version: 3, description: '', graphs: [graph], metadata: [], signatures: [] };
}

async function run(made: TfliteModel, dims: readonly number[], values: Float32Array) {
  const converted = await tidied(tfliteToOnnx(made).model, { seed: 1, step: async () => {} } as never);
  const feeds = { x: { dtype: 'float32' as const, dims, data: encodeNumbers('float32', values) } };
  const on = async (file: string) => {
    const session = await runner.open(file, {});
    const result = (await session.run(feeds))['y'];
    await session.close();
    return result === undefined ? [] : [...decodeFloats('float32', result.data, sizeOf(result.dims))];
  };
  return { wanted: await on(await temporaryFile(made)), seen: await on(await temporaryFile(converted)) };
}

function expectClose(seen: readonly number[], wanted: readonly number[]) {
  expect(seen.length).toBe(wanted.length);
  seen.forEach((value, i) => expect(value).toBeCloseTo(wanted[i] as number, 4));
}

describe("MediaPipe's operators give in ONNX Runtime what LiteRT gives", () => {
  it.each([
    [1, 2, 2, [1, 8, 10, 3]],
    [1, 2, 4, [1, 8, 10, 3]],
    [2, 2, 3, [1, 9, 11, 3]],
  ] as const)(
    'Convolution2DTransposeBias, padding %i, stride %i, window %i',
    async (padding, stride, size, out) => {
      const input = [1, 4, 5, 6];
      const weights = [3, size, size, 6];
      const made = model(
        [layer('Convolution2DTransposeBias', ['x', 'w', 'b'], ['y'], transposed(padding, stride))],
        [
          float('x', input),
          float('w', weights, floatTensor(weights, randoms(sizeOf(weights)))),
          float('b', [3], floatTensor([3], randoms(3))),
          float('y', out),
        ],
      );
      const { wanted, seen } = await run(made, input, randoms(sizeOf(input)));
      expectClose(seen, wanted);
      expect(Math.max(...seen.map(Math.abs))).toBeGreaterThan(0.5);
    },
  );

  const pair = (outputs?: readonly string[]) =>
    model(
      [
        layer('MaxPoolingWithArgmax2D', ['x'], ['p', 'at'], pooled(2, 2, 2)),
        layer('MaxUnpooling2D', ['p', 'at'], ['y'], pooled(2, 2, 2)),
      ],
      [
        float('x', [1, 6, 8, 4]),
        float('p', [1, 3, 4, 4]),
        float('at', [1, 3, 4, 4]),
        float('y', [1, 6, 8, 4]),
      ],
      outputs,
    );

  it('MaxPoolingWithArgmax2D and MaxUnpooling2D put the largest of each window back in its place', async () => {
    const values = randoms(6 * 8 * 4);
    const { wanted, seen } = await run(pair(), [1, 6, 8, 4], values);
    expectClose(seen, wanted);
    expect(seen.filter((value) => value !== 0)).toHaveLength(3 * 4 * 4);
    seen.forEach((value, i) => {
      if (value !== 0) expect(value).toBe(values[i]);
    });
  });

  it('MaxPoolingWithArgmax2D is refused where its places leave the model', () => {
    expect(() => tfliteToOnnx(pair(['y', 'at']))).toThrow(/its second output goes elsewhere/);
  });
});

describe('custom operators that are not converted', () => {
  it.each([
    ['PosenetDecoderOp', /queue of body parts/],
    ['SignalRfft', /audio front end/],
    ['ethos-u', /compiled for its chip/],
    ['somebody-elses-op', /does not cover: somebody-elses-op$/],
  ])('%s says why', (op, why) => {
    const made = model([layer(op, ['x'], ['y'], struct(4))], [float('x', [1]), float('y', [1])]);
    expect(() => tfliteToOnnx(made)).toThrow(why);
  });
});
