import { beforeAll, describe, expect, it } from 'vitest';
import { floatTensor, intTensor } from '../../../src/ir/numbers.ts';
import type { OnnxModel } from '../../../src/ir/model.ts';
import { stripped } from '../../../src/passes/requantize/strip.ts';
import { OnnxBuilder, runPass } from './build.ts';
import { calibratorFor } from './calibrate.ts';
import { onnxFeeds, openOnnx } from './runtime.ts';
import { useSourceRunner } from '../support/runner.ts';

beforeAll(() => useSourceRunner());

/** What a quantizer may leave to the codes: activations, moves and bounds between two layers, and the model's output. */
interface Form {
  /** Codes behind the first layer: those of a Relu end at zero, those of a Relu6 at six as well. */
  readonly scale: number;
  readonly zero: number;
  readonly boundedAt?: number;
  /** Read under another scale, which is a product: its result has no range that could be taken over. */
  readonly readAs?: number;
  readonly codedOutput?: boolean;
}

function quantizedNet({ scale, zero, boundedAt, readAs = scale, codedOutput }: Form): OnnxModel {
  const b = new OnnxBuilder(3);
  const encoding = (name: string, step: number, at: number) => [
    b.constant(`${name}_scale`, floatTensor([], Float32Array.of(step))),
    b.constant(`${name}_zero`, intTensor('uint8', [], [at])),
  ];
  const coded = (value: string, step: number, at: number) =>
    b.node('QuantizeLinear', [value, ...encoding(value, step, at)], `${value}_codes`);
  const decoded = (codes: string, step: number, at: number) =>
    b.node('DequantizeLinear', [codes, ...encoding(codes, step, at)], `${codes}_float`);
  const weight = (name: string, dims: readonly number[]) => {
    const count = dims.reduce((product, dim) => product * dim, 1);
    const codes = Array.from({ length: count }, () => b.choose(255) - 127);
    return b.node(
      'DequantizeLinear',
      [
        b.constant(`${name}_codes`, intTensor('int8', dims, codes)),
        b.constant(`${name}_scale`, floatTensor([], Float32Array.of(0.008))),
        b.constant(`${name}_zero`, intTensor('int8', [], [0])),
      ],
      name,
    );
  };
  const x = decoded(coded(b.input('x', [1, 3, 8, 8]), 1 / 127, 128), 1 / 127, 128);
  const first = b.node('Conv', [x, weight('w1', [8, 3, 3, 3])], 'first', { pads: [1, 1, 1, 1] });
  let codes = coded(first, scale, zero);
  if (boundedAt !== undefined) {
    const low = b.constant('low', intTensor('uint8', [], [zero]));
    const high = b.constant('high', intTensor('uint8', [], [boundedAt]));
    codes = b.node('Clip', [codes, low, high], 'bounded');
  }
  codes = b.node('MaxPool', [codes], 'pooled', { kernel_shape: [2, 2], strides: [2, 2] });
  const second = b.node('Conv', [decoded(codes, readAs, zero), weight('w2', [6, 8, 1, 1])], 'second');
  const ends = b.node('Reshape', [coded(second, 0.1, 128), b.integers('shape', [1, 96])], 'ends');
  if (codedOutput !== true) return b.output(decoded(ends, 0.1, 128)).model();
  const model = b.output(ends).model();
  const [graph] = model.graphs;
  const value = { id: ends, name: ends, type: { kind: 'tensor', dtype: 'uint8', shape: [1, 96] } } as const;
  return { ...model, graphs: [{ ...graph, values: new Map([...graph.values, [ends, value]]) }] };
}

async function outputOf(model: OnnxModel, seed: number): Promise<number[]> {
  const session = await openOnnx(model);
  const { [session.outputNames[0] as string]: output } = await session.run(onnxFeeds(model, seed));
  await session.release();
  return Array.from(output?.data as Uint8Array, Number);
}

function worst(a: readonly number[], b: readonly number[]): number {
  return Math.max(...a.map((value, i) => Math.abs(value - (b[i] as number))));
}

describe('a model that is quantized again', () => {
  it.each<[string, Form & { readonly step: number }]>([
    ['codes of both signs', { scale: 0.05, zero: 120, step: 0.1 }],
    ['a Relu that ends with the codes', { scale: 0.03, zero: 0, step: 0.1 }],
    ['a Relu6 that ends with the codes', { scale: 6 / 255, zero: 0, step: 0.1 }],
    ['a Relu on codes that are read under another scale', { scale: 0.03, zero: 0, readAs: 0.04, step: 0.1 }],
    ['bounds on codes', { scale: 0.05, zero: 20, boundedAt: 60, step: 0.1 }],
    ['an output in codes', { scale: 0.03, zero: 0, codedOutput: true, step: 1 }],
  ])('means the same: %s', async (_, { step, ...form }) => {
    const model = quantizedNet(form);
    const calibrator = calibratorFor(model, undefined, 4);
    const { model: again } = await runPass('requantize', model, { calibrator });
    expect(again.graphs[0].outputs.map((id) => again.graphs[0].values.get(id)?.type)).toEqual(
      model.graphs[0].outputs.map((id) => model.graphs[0].values.get(id)?.type),
    );
    const float = form.codedOutput === true ? undefined : stripped(model).model;
    for (const seed of [11, 12, 13]) {
      const was = await outputOf(model, seed);
      // Weights change their scale and activations their grid.
      expect(worst(was, await outputOf(again, seed)) / step).toBeLessThan(1.5);
      // In float, what was rounded is not.
      if (float !== undefined) expect(worst(was, await outputOf(float, seed)) / step).toBeLessThan(3);
    }
  });

  it('is refused where codes of different scales are joined', async () => {
    const b = new OnnxBuilder(4);
    const scale = (name: string, step: number) => b.constant(name, floatTensor([], Float32Array.of(step)));
    const zero = b.constant('zero', intTensor('uint8', [], [128]));
    const x = b.input('x', [1, 4]);
    const one = b.node('QuantizeLinear', [x, scale('s1', 0.1), zero], 'one');
    const other = b.node('QuantizeLinear', [x, scale('s2', 0.2), zero], 'other');
    const both = b.node('Concat', [one, other], 'both', { axis: 1 });
    const model = b.output(b.node('DequantizeLinear', [both, 's1', zero], 'y')).model();
    const run = runPass('requantize', model, { calibrator: calibratorFor(model, undefined, 1) });
    await expect(run).rejects.toMatchObject({
      reason: 'unsupported',
      message: expect.stringMatching(/different scales/),
    });
  });
});
