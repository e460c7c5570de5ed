import { existsSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { readModelFile, writeModelFile } from '../../../src/formats/io/models.ts';
import type { DType } from '../../../src/ir/dtype.ts';
import type { OnnxModel } from '../../../src/ir/model.ts';
import { tensorType } from '../../../src/ir/types.ts';
import { kernelLayers } from '../../../src/runtime/measure/kernelLayers.ts';
import { startRunner } from '../../../src/runtime/process/launch.ts';
import { randomDataset } from '../../../src/runtime/data/random.ts';
import type { Runner, Session } from '../../../src/runtime/runner.ts';
import { runnersOf } from '../support/children.ts';
import { samples } from '../support/models.ts';
import { useSourceRunner } from '../support/runner.ts';
import { temporaryFolder } from '../support/temporary.ts';
import { onnxModel } from '../support/onnxModel.ts';

const folder = temporaryFolder();
const digits = join(samples, 'digits.onnx');
let runner: Runner;
beforeAll(async () => {
  await useSourceRunner();
  runner = startRunner();
});
afterAll(() => runner.kill());

function feedsOf(session: Session) {
  return randomDataset(session.info.inputs, { seed: 1, count: 1 }).feeds(0);
}

it('describes and runs an ONNX model', async () => {
  const session = await runner.open(digits, { threads: 1 });
  expect(session.info).toMatchObject({
    runtime: 'onnxruntime',
    provider: 'cpu',
    threads: 1,
    inputs: [{ name: 'image', dtype: 'float32', dims: [-1, 1, 8, 8] }],
    outputs: [{ name: 'logits', dtype: 'float32', dims: [-1, 10] }],
  });
  expect(session.info.loadMs).toBeGreaterThan(0);
  const feeds = feedsOf(session);
  const { logits } = await session.run(feeds);
  expect(logits).toMatchObject({ dtype: 'float32', dims: [1, 10] });
  expect((await session.run(feeds))['logits']).toEqual(logits);
});

const elementTypes: readonly (readonly [DType, number, number])[] = [
  ['float32', 1, 4],
  ['uint8', 2, 1],
  ['int8', 3, 1],
  ['uint16', 4, 2],
  ['int16', 5, 2],
  ['int32', 6, 4],
  ['int64', 7, 8],
  ['bool', 9, 1],
  ['float16', 10, 2],
  ['float64', 11, 8],
  ['uint32', 12, 4],
  ['uint64', 13, 8],
];

function identity(dtype: DType): OnnxModel {
  const value = (id: string) => ({ id, name: id, type: tensorType(dtype, [3]) });
  const node = { id: 'n', name: 'n', op: 'Identity', domain: '', inputs: ['a'], outputs: ['b'] };
  const nodes = [{ ...node, attributes: new Map() }];
  const values = new Map(['a', 'b'].map((id) => [id, value(id)]));
  return onnxModel({ name: 'identity', inputs: ['a'], outputs: ['b'], nodes, values }, 16);
}

it.each(elementTypes)('passes %s through unchanged', async (dtype, _code, bytes) => {
  const path = join(folder, `${dtype}.onnx`);
  await writeModelFile(identity(dtype), path);
  const session = await runner.open(path, {});
  const data = Uint8Array.from({ length: 3 * bytes }, (_, index) =>
    dtype === 'bool' ? index % 2 : 17 * index + 1,
  );
  const { b } = await session.run({ a: { dtype, dims: [3], data } });
  expect(b).toMatchObject({ dtype, dims: [3] });
  expect(Array.from(b?.data ?? [])).toEqual(Array.from(data));
});

it('passes strings through', async () => {
  const path = join(folder, 'string.onnx');
  await writeModelFile(identity('string'), path);
  const session = await runner.open(path, {});
  const strings = ['eins', 'zwei', 'drei'];
  const { b } = await session.run({ a: { dtype: 'string', dims: [3], data: new Uint8Array(), strings } });
  expect(b?.strings).toEqual(strings);
});

it('says in the words of the runtime why it refuses', async () => {
  const broken = join(folder, 'broken.onnx');
  writeFileSync(broken, 'this is no model');
  await expect(runner.open(broken, {})).rejects.toMatchObject({ reason: 'runtime-refused', file: broken });
  await expect(runner.open(join(folder, 'absent.onnx'), {})).rejects.toMatchObject({ reason: 'not-found' });
  const session = await runner.open(digits, {});
  const dims = [1, 1, 7, 8];
  const wrong = session.run({ image: { dtype: 'float32', dims, data: new Uint8Array(224) } });
  await expect(wrong).rejects.toMatchObject({
    reason: 'runtime-refused',
    file: digits,
    message: expect.stringMatching(/^ONNX Runtime: Got invalid dimensions for input: image/),
  });
  await expect(session.run({})).rejects.toMatchObject({ reason: 'runtime-refused' });
});

it('times jobs in turns', async () => {
  const first = await runner.open(digits, {});
  const second = await runner.open(digits, {});
  const feeds = feedsOf(first);
  const jobs = [
    { session: first, feeds },
    { session: second, feeds },
  ];
  const times = await runner.time(jobs, { warmup: 1, runs: 7 });
  expect(times.map((each) => each.length)).toEqual([7, 7]);
  for (const each of times) for (const ms of each) expect(ms).toBeGreaterThan(0);
  expect(await runner.peakRss()).toBeGreaterThan(10 * 2 ** 20);
});

it('profiles kernels by name, leaves no file, and finds their layers', async () => {
  const before = readdirSync(tmpdir()).filter((name) => name.startsWith('kerf-profile-'));
  const session = await runner.open(digits, { threads: 1 });
  const kernels = await session.profile(feedsOf(session), 4);
  const layerOf = kernelLayers(readModelFile(digits).model);
  const layers = kernels.map((kernel) => [kernel.op, layerOf(kernel.name, kernel)]);
  expect(layers).toContainEqual(['Conv', '/0/Conv']);
  expect(layers).toContainEqual(['Gemm', '/14/Gemm']);
  for (const { ms, provider } of kernels) {
    expect(ms).toBeGreaterThan(0);
    expect(provider).toBe('cpu');
  }
  const after = readdirSync(tmpdir()).filter((name) => name.startsWith('kerf-profile-'));
  expect(after).toEqual(before);
});

it('survives the death of its process and starts another one', async () => {
  const session = await runner.open(digits, {});
  const before = await session.run(feedsOf(session));
  const endless = runner.time([{ session, feeds: feedsOf(session) }], { warmup: 0, runs: 50_000_000 });
  const [pid] = runnersOf(process.pid);
  process.kill(pid as number, 'SIGKILL');
  await expect(endless).rejects.toMatchObject({
    reason: 'runtime-crashed',
    file: digits,
    message: 'the inference process ended while timing (signal SIGKILL)',
  });
  await expect(session.run({})).rejects.toMatchObject({ reason: 'runtime-crashed' });
  const again = await runner.open(digits, {});
  expect(await again.run(feedsOf(again))).toEqual(before);
});

it('cancels a running inference by ending the process', async () => {
  const session = await runner.open(digits, {});
  const endless = runner.time([{ session, feeds: feedsOf(session) }], { warmup: 0, runs: 50_000_000 });
  runner.kill();
  await expect(endless).rejects.toMatchObject({ reason: 'cancelled' });
  await expect(session.run({})).rejects.toMatchObject({ reason: 'cancelled' });
  await session.close();
});

it('writes the optimized graph', async () => {
  const optimizedModelPath = join(folder, 'optimized.onnx');
  rmSync(optimizedModelPath, { force: true });
  await runner.open(digits, { optimization: 'basic', optimizedModelPath });
  expect(existsSync(optimizedModelPath)).toBe(true);
  expect(readModelFile(optimizedModelPath).model.graphs[0].outputs).toEqual(['logits']);
});
