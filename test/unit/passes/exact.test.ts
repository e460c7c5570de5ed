import path from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { readModelFile } from '../../../src/formats/io/models.ts';
import type { Model, OnnxModel } from '../../../src/ir/model.ts';
import { readFloats } from '../../../src/ir/numbers.ts';
import { startRunner } from '../../../src/runtime/process/launch.ts';
import { randomDataset } from '../../../src/runtime/data/random.ts';
import { hasShared, modelFiles, shared } from '../support/models.ts';
import { useSourceRunner } from '../support/runner.ts';
import { runPass } from './build.ts';
import { temporaryFile } from './calibrate.ts';
import type { Outputs } from './runtime.ts';
import { floatsOf, onnxFeeds, relativeError, runOnnx } from './runtime.ts';

/** Skeletons have no weights, superres needs an operator library, and two TFLite files are refused by every runtime. */
const runnable = (file: string) => !/skeletons|superres|person_detect|fixtures/.test(file);
const named = (files: readonly string[]) =>
  files.filter(runnable).map((file) => [path.basename(file), file] as const);

beforeAll(useSourceRunner);

/** Applies the passes in turn, and checks that a second application of the last one changes nothing. */
async function applyAll<M extends Model>(model: M, ids: readonly string[]): Promise<M> {
  let current = model;
  for (const id of ids) current = (await runPass(id, current)).model;
  const again = await runPass(ids.at(-1) as string, current);
  expect(again.model).toBe(current);
  expect(again.changed).toEqual([]);
  return current;
}

async function runTflite(file: string): Promise<Outputs> {
  const runner = startRunner();
  const session = await runner.open(file, {});
  const data = randomDataset(session.info.inputs, { seed: 5, count: 2 });
  const outputs: Outputs = {};
  for (let i = 0; i < data.samples; i += 1) {
    const results = await session.run(data.feeds(i, 1));
    for (const [name, tensor] of Object.entries(results)) outputs[`${i}/${name}`] = floatsOf(tensor);
  }
  runner.kill();
  return outputs;
}

describe.each([[['simplify']], [['fuse']], [['simplify', 'fuse']]])('%j keeps the results of', (ids) => {
  it.each(named(modelFiles('.onnx')))('%s', async (_, file) => {
    const model = readModelFile(file).model as OnnxModel;
    const after = await applyAll(model, ids);
    const feeds = onnxFeeds(model, 7);
    expect(relativeError(await runOnnx(model, feeds), await runOnnx(after, feeds))).toBeLessThan(1e-4);
  });

  it.each(named(modelFiles('.tflite')))('%s', async (_, file) => {
    const { model } = readModelFile(file);
    const after = await applyAll(model, ids);
    if (after === model) return;
    const changed = await runTflite(await temporaryFile(after));
    expect(relativeError(await runTflite(file), changed)).toBeLessThan(1e-4);
  });
});

const pairs = ['digits', 'cifar_resnet', 'cifar_mobilenet', 'cifar_vit'];

describe.runIf(hasShared)('folding batch normalization gives the weights of the folded file of', () => {
  it.each(pairs)('%s', async (name) => {
    const file = (suffix: string) => path.join(shared, 'models/own', `${name}${suffix}.onnx`);
    const simple = await runPass('simplify', readModelFile(file('')).model);
    const ours = (await runPass('fuse', simple.model)).model;
    const theirs = (await runPass('simplify', readModelFile(file('_folded')).model)).model;
    expect(layers(ours).map(({ op }) => op)).toEqual(layers(theirs).map(({ op }) => op));
    for (const [i, layer] of layers(ours).entries()) {
      for (const input of [1, 2]) {
        const mine = floatsAt(ours, layer, input);
        const other = floatsAt(theirs, layers(theirs)[i], input);
        expect(relativeError({ w: other }, { w: mine })).toBeLessThan(1e-5);
      }
    }
  });
});

function layers(model: Model) {
  return model.graphs[0].nodes.filter((node) => ['Conv', 'Gemm', 'BatchNormalization'].includes(node.op));
}

function floatsAt(
  model: Model,
  node: ReturnType<typeof layers>[number] | undefined,
  input: number,
): Float32Array {
  const constant = model.graphs[0].values.get(node?.inputs[input] ?? '')?.constant;
  return constant === undefined ? new Float32Array() : readFloats(constant);
}
