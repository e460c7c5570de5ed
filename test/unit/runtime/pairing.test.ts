import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import path from 'node:path';
import { readModelFile } from '../../../src/formats/io/models.ts';
import type { TfliteModel } from '../../../src/ir/model.ts';
import { decodeFloats, encodeNumbers } from '../../../src/ir/numbers.ts';
import { tfliteToOnnx } from '../../../src/passes/convert/toOnnx/convert.ts';
import { carryingStates } from '../../../src/runtime/measure/carried.ts';
import { evaluate } from '../../../src/runtime/measure/evaluate.ts';
import { startRunner } from '../../../src/runtime/process/launch.ts';
import { pairOutputs, statesOf, withSharedScales } from '../../../src/runtime/measure/pairing.ts';
import type { Session, TensorInfo, Tensors } from '../../../src/runtime/runner.ts';
import { hasShared, shared } from '../support/models.ts';
import { useSourceRunner } from '../support/runner.ts';
import { temporaryFile } from '../passes/calibrate.ts';

const end = (name: string, rest: Partial<TensorInfo> = {}): TensorInfo => ({
  name,
  dtype: 'float32',
  dims: [1],
  ...rest,
});
const float = (value: number) => ({
  dtype: 'float32' as const,
  dims: [1],
  data: encodeNumbers('float32', [value]),
});
const read = (tensors: Tensors, name: string) =>
  decodeFloats('float32', tensors[name]?.data ?? new Uint8Array(), 1)[0];

describe('pairOutputs', () => {
  it('goes by name, whatever the order', () => {
    const found = pairOutputs([end('b'), end('a')], [end('a'), end('b')]);
    expect(found).toEqual({ places: [1, 0], notes: [] });
  });

  it('goes by place among those without a namesake, and says so', () => {
    const found = pairOutputs([end('x'), end('b'), end('y')], [end('a'), end('b'), end('c'), end('d')]);
    expect(found.places).toEqual([0, 1, 2, undefined]);
    expect(found.notes).toEqual([
      'outputs are paired by their place, not by their names: x with a, y with c',
      'outputs of the reference without a counterpart: d',
    ]);
  });
});

it('lends the scale of codes to the side whose file has none', () => {
  const quantization = { scale: 0.5, zeroPoint: 3 };
  const [lent] = withSharedScales(
    [end('a', { dtype: 'int32' })],
    [end('a', { dtype: 'int32', quantization })],
    [0],
  );
  expect(lent?.quantization).toEqual(quantization);
  const [kept] = withSharedScales([end('a')], [end('a', { dtype: 'int8', quantization })], [0]);
  expect(kept?.quantization).toBeUndefined();
});

/** Adds its input to its state. */
const adder: Session = {
  info: {
    runtime: 'onnxruntime',
    version: '',
    provider: 'cpu',
    threads: 1,
    inputs: [end('x'), end('sum')],
    outputs: [end('y'), end('sum_next')],
    loadMs: 0,
  },
  async run(feeds) {
    const made = float((read(feeds, 'x') as number) + (read(feeds, 'sum') as number));
    return { y: made, sum_next: made };
  },
  profile: async () => [],
  close: async () => {},
};

describe('states', () => {
  const plain: Session = { ...adder, info: { ...adder.info, inputs: [end('x')], outputs: [end('y')] } };

  it('are inputs that the other model lacks, with an output for the next value', () => {
    expect(statesOf(adder, plain)).toEqual(['sum']);
    expect(statesOf(adder, adder)).toEqual([]);
    expect(statesOf(plain, adder)).toEqual([]);
  });

  it('go from run to run, even when several runs are asked for at once', async () => {
    const session = carryingStates(adder, ['sum']);
    expect(session.info.inputs.map(({ name }) => name)).toEqual(['x']);
    expect(session.info.outputs.map(({ name }) => name)).toEqual(['y']);
    const made = await Promise.all([1, 2, 3].map((x) => session.run({ x: float(x) })));
    expect(made.map((each) => read(each, 'y'))).toEqual([1, 3, 6]);
  });
});

describe.runIf(hasShared)('evaluate', () => {
  beforeAll(useSourceRunner);
  const opened: { kill(): void }[] = [];
  afterAll(() => {
    for (const runner of opened) runner.kill();
  });

  it('compares a converted model with its stateful original, step by step', async () => {
    const original = path.join(shared, 'models/tflite/dtln.tflite');
    const { model } = tfliteToOnnx(readModelFile(original).model as TfliteModel);
    const report = await evaluate(
      () => {
        const runner = startRunner();
        opened.push(runner);
        return runner;
      },
      { model: await temporaryFile(model), reference: original, samples: 5 },
    );
    expect(report.reference).toMatchObject({ sqnrDb: null, agreement: 1 });
    expect(report.notes?.[0]).toMatch(/^states are carried from sample to sample/);
  });
});
