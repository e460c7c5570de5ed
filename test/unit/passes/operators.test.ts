import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import * as ort from 'onnxruntime-node';
import { describe, expect, it } from 'vitest';
import { readModelFile } from '../../../src/formats/io/models.ts';
import type { Model, OnnxModel } from '../../../src/ir/model.ts';
import { encodeOnnx } from '../../../src/formats/onnx/write.ts';
import { hasShared, modelFiles, shared } from '../support/models.ts';
import { runPass } from './build.ts';

async function cleaned(model: Model): Promise<Model> {
  const { model: simple } = await runPass('simplify', model);
  return (await runPass('fuse', simple)).model;
}

/** Operators that ONNX Runtime's own basic optimisation leaves. */
async function leftByRuntime(model: OnnxModel): Promise<number> {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'kerf-operators-'));
  const file = path.join(folder, 'basic.onnx');
  const bytes = Buffer.concat(encodeOnnx(model).map((part) => part.read()));
  const session = await ort.InferenceSession.create(bytes, {
    logSeverityLevel: 3,
    graphOptimizationLevel: 'basic',
    optimizedModelFilePath: file,
  });
  await session.release();
  const left = readModelFile(file).model.graphs[0].nodes.length;
  fs.rmSync(folder, { recursive: true });
  return left;
}

const named = (files: readonly string[]) => files.map((file) => [path.basename(file), file] as const);

describe('simplify and fuse never leave more operators', () => {
  it.each(named([...modelFiles('.onnx'), ...modelFiles('.tflite')]))('%s', async (_, file) => {
    const { model } = readModelFile(file);
    const after = await cleaned(model);
    expect(after.graphs[0].nodes.length).toBeLessThanOrEqual(model.graphs[0].nodes.length);
  });
});

/**
 * What ONNX Runtime 1.30 left of the skeletons at its basic level, their missing weights filled with numbers: too large to
 * be loaded here every time.
 */
const leftOfSkeletons = { vit_b_16: 653, swin_t: 825, densenet201: 612 } as const;

describe.runIf(hasShared)('and no more than ONNX Runtime at its basic level', () => {
  it('of cifar_vit', async () => {
    const { model } = readModelFile(path.join(shared, 'models/own/cifar_vit.onnx'));
    const ours = (await cleaned(model)).graphs[0].nodes.length;
    expect(ours).toBeLessThanOrEqual(await leftByRuntime(model as OnnxModel));
  });

  it.each(Object.entries(leftOfSkeletons))('of %s', async (name, left) => {
    const { model } = readModelFile(path.join(shared, `models/skeletons/${name}.onnx`));
    expect((await cleaned(model)).graphs[0].nodes.length).toBeLessThanOrEqual(left);
  });
});
