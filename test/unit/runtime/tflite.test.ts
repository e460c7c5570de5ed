import { readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { readModelFile, writeModelFile } from '../../../src/formats/io/models.ts';
import type { TfliteModel } from '../../../src/ir/model.ts';
import { decodeNumbers } from '../../../src/ir/numbers.ts';
import { startRunner } from '../../../src/runtime/process/launch.ts';
import { randomDataset } from '../../../src/runtime/data/random.ts';
import type { HostTensor, Runner } from '../../../src/runtime/runner.ts';
import { hasShared, shared } from '../support/models.ts';
import { useSourceRunner } from '../support/runner.ts';
import { temporaryFolder } from '../support/temporary.ts';
import { floatModel, int8Model } from '../support/tinyTflite.ts';

const folder = temporaryFolder();
let runner: Runner;
beforeAll(async () => {
  await useSourceRunner();
  runner = startRunner();
});
afterAll(() => runner.kill());

async function file(name: string, model: TfliteModel): Promise<string> {
  const path = join(folder, name);
  await writeModelFile(model, path);
  return path;
}

function float32(dims: readonly number[], values: readonly number[]): HostTensor {
  return { dtype: 'float32', dims, data: new Uint8Array(Float32Array.from(values).buffer) };
}

function int8(dims: readonly number[], values: readonly number[]): HostTensor {
  return { dtype: 'int8', dims, data: new Uint8Array(Int8Array.from(values).buffer) };
}

function numbersOf(tensor: HostTensor | undefined): number[] {
  if (tensor === undefined) throw new Error('no such output');
  const count = tensor.dims.reduce((product, dim) => product * dim, 1);
  return Array.from(decodeNumbers(tensor.dtype, tensor.data, count));
}

describe.each(['litert', 'tflite'] as const)('%s', (runtime) => {
  it('computes a float model', async () => {
    const session = await runner.open(await file('float.tflite', floatModel()), { runtime });
    expect(session.info).toMatchObject({ runtime, threads: 1, inputs: [{ name: 'x', dims: [1, 3] }] });
    const { z } = await session.run({ x: float32([1, 3], [1, 2, 3]) });
    // W x + b = [1 - 4 + 9 + 1, 4 + 10 - 18 + 2] = [7, -2]; relu, doubled.
    expect(numbersOf(z)).toEqual([14, 0]);
  });

  it('takes and gives 8-bit integers', async () => {
    const session = await runner.open(await file('int8.tflite', int8Model()), { runtime });
    expect(session.info.inputs[0]?.quantization).toEqual({ scale: 0.5, zeroPoint: 10 });
    expect(session.info.outputs[0]?.quantization).toEqual({ scale: 1, zeroPoint: -5 });
    // Real 1, 2, 3 are stored as 12, 14, 16; real 14 and 0 come back as 9 and -5.
    const { z } = await session.run({ x: int8([1, 3], [12, 14, 16]) });
    expect(z).toMatchObject({ dtype: 'int8', dims: [1, 2] });
    expect(numbersOf(z)).toEqual([9, -5]);
  });

  it('refuses feeds that would read out of bounds, and works after that', async () => {
    const session = await runner.open(await file('float.tflite', floatModel()), { runtime });
    const wrong = session.run({
      x: float32(
        [4, 3],
        Array.from({ length: 12 }, () => 1),
      ),
    });
    await expect(wrong).rejects.toMatchObject({
      reason: 'runtime-refused',
      place: 'input x',
      message: 'input x takes float32[1×3] (12 bytes), but got float32[4×3] (48 bytes)',
    });
    await expect(session.run({})).rejects.toMatchObject({ message: 'input x was not fed' });
    const { z } = await session.run({ x: float32([1, 3], [1, 2, 3]) });
    expect(numbersOf(z)).toEqual([14, 0]);
  });

  it('times every operator under its place in the graph', async () => {
    const session = await runner.open(await file('float.tflite', floatModel()), { runtime });
    const layers = await session.profile({ x: float32([1, 3], [1, 2, 3]) }, 3);
    expect(layers.map(({ name, op, node }) => ({ name, op, node }))).toEqual([
      { name: 'y', op: 'FULLY_CONNECTED', node: 0 },
      { name: 'z', op: 'ADD', node: 1 },
    ]);
    for (const { ms } of layers) expect(ms).toBeGreaterThan(0);
  });

  it('refuses an operator that nobody knows', async () => {
    const model = floatModel();
    const [graph] = model.graphs;
    const nodes = graph.nodes.map((node) =>
      node.id === 'z' ? { ...node, op: 'mystery', domain: 'custom' } : node,
    );
    const path = await file('custom.tflite', { ...model, graphs: [{ ...graph, nodes }] });
    await expect(runner.open(path, { runtime })).rejects.toMatchObject({
      reason: 'runtime-refused',
      file: path,
      message: expect.stringContaining('mystery'),
    });
  });
});

it('names both refusals when no runtime takes the model', async () => {
  const path = join(folder, 'damaged.tflite');
  writeFileSync(path, Uint8Array.of(8, 0, 0, 0, ...new TextEncoder().encode('TFL3'), 0, 0, 0, 0));
  const opened = runner.open(path, {});
  await expect(opened).rejects.toMatchObject({
    reason: 'runtime-refused',
    file: path,
    message: expect.stringMatching(/^LiteRT: .+; .+/),
  });
});

describe.runIf(hasShared)('public models', () => {
  const models = join(shared, 'models/tflite');

  it('falls back for models that keep state, and says why', async () => {
    const session = await runner.open(join(models, 'dtln.tflite'), {});
    expect(session.info).toMatchObject({
      runtime: 'tflite',
      refusal: 'LiteRT: Variable tensors not yet supported.',
    });
    const { feeds } = randomDataset(session.info.inputs, { seed: 1, count: 1 });
    const [name] = session.info.outputs.map((each) => each.name);
    const first = await session.run(feeds(0));
    const second = await session.run(feeds(0));
    // The same input again gives something else: the state has moved.
    expect(second[name ?? '']?.data).not.toEqual(first[name ?? '']?.data);
  });

  it('runs every model that has no damage or foreign operator', async () => {
    const refused: string[] = [];
    for (const name of readdirSync(models)) {
      const path = join(models, name);
      try {
        const session = await runner.open(path, {});
        const outputs = await session.run(randomDataset(session.info.inputs, { seed: 1, count: 1 }).feeds(0));
        const { model } = readModelFile(path);
        expect(Object.keys(outputs)).toEqual([...model.graphs[0].outputs]);
        await session.close();
      } catch (error) {
        expect(error).toMatchObject({ reason: 'runtime-refused', file: path });
        refused.push(name);
      }
    }
    expect(refused).toEqual(['person_detect.tflite', 'person_detect_vela.tflite']);
  });

  it('agrees between the two runtimes', async () => {
    const path = join(models, 'vww_96_int8.tflite');
    const [a, b] = [
      await runner.open(path, { runtime: 'litert' }),
      await runner.open(path, { runtime: 'tflite' }),
    ];
    const { feeds } = randomDataset(a.info.inputs, { seed: 3, count: 5 });
    for (let index = 0; index < 5; index += 1)
      expect(await a.run(feeds(index))).toEqual(await b.run(feeds(index)));
  });
});
