import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { analyse } from '../../../../src/analysis/analyse.ts';
import { readModelFile, writeModelFile } from '../../../../src/formats/io/models.ts';
import type { OnnxModel } from '../../../../src/ir/model.ts';
import { onnxToTflite } from '../../../../src/passes/convert/toTflite/convert.ts';
import { passById } from '../../../../src/passes/registry.ts';
import type { Pass } from '../../../../src/passes/pass.ts';
import { randomDataset } from '../../../../src/runtime/random.ts';
import { startRunner } from '../../../../src/runtime/launch.ts';
import { hasShared, samples, shared } from '../../support/models.ts';
import { useSourceRunner } from '../../support/runner.ts';

const own = (name: string) => path.join(shared, 'models/own', name);
const files = [
  path.join(samples, 'digits.onnx'),
  ...(hasShared ? [own('cifar_resnet.onnx'), own('cifar_mobilenet.onnx')] : []),
];

const runner = startRunner();
const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'kerf-test-'));
beforeAll(useSourceRunner);
afterAll(() => {
  runner.kill();
  fs.rmSync(folder, { recursive: true });
});

async function prepared(file: string): Promise<OnnxModel> {
  let { model } = readModelFile(file);
  for (const id of ['simplify', 'fuse']) {
    const pass = passById(id) as Pass;
    const options = Object.fromEntries(pass.options.map((option) => [option.name, option.default]));
    ({ model } = await pass.run(model, options, { seed: 1, step: async () => {} }));
  }
  return model as OnnxModel;
}

describe.each(files.map((file) => [path.basename(file), file]))('%s', (name, file) => {
  it('gives the same outputs in LiteRT as in ONNX Runtime', async () => {
    const model = await prepared(file);
    const converted = await convertOnnx(model, { seed: 1, step: async () => {} });
    const target = path.join(folder, name.replace('.onnx', '.tflite'));
    await writeModelFile(converted.model, target);
    const before = await runner.open(file, {});
    const after = await runner.open(target, {});
    const data = randomDataset(before.info.inputs, { seed: 3, count: 4 });
    for (let sample = 0; sample < 4; sample += 1) {
      const feeds = data.feeds(sample, 1);
      const [expected] = Object.values(await before.run(feeds));
      const [seen] = Object.values(await after.run(feeds));
      const values = (tensor: typeof seen) => [
        ...new Float32Array((tensor?.data ?? new Uint8Array()).slice().buffer),
      ];
      const want = values(expected);
      const scale = Math.max(...want.map(Math.abs));
      values(seen).forEach((value, i) =>
        expect(Math.abs(value - (want[i] as number)) / scale).toBeLessThan(1e-4),
      );
    }
  });
});
