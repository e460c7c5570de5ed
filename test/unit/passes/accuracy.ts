import * as ort from 'onnxruntime-node';
import type { Model, OnnxModel } from '../../../src/ir/model.ts';
import { openDataset } from '../../../src/runtime/data/dataset.ts';
import { evaluate } from '../../../src/runtime/measure/evaluate.ts';
import { inputsOf } from '../../../src/runtime/modelInputs.ts';
import { startRunner } from '../../../src/runtime/process/launch.ts';
import { temporaryFile } from './calibrate.ts';
import { openOnnx } from './runtime.ts';

const batch = 100;

/** Top-1 accuracy on a labelled dataset, in percent. ONNX models with a free batch take 100 samples at once. */
export async function top1(model: Model, data: string): Promise<number> {
  if (model.dialect === 'onnx') return 100 * (await top1InBatches(model, data));
  const report = await evaluate(startRunner, { model: await temporaryFile(model), data });
  return 100 * (report.top1 as number);
}

async function top1InBatches(model: OnnxModel, data: string): Promise<number> {
  const set = openDataset(data, inputsOf(model));
  const session = await openOnnx(model);
  const labels = set.labels as readonly number[];
  let hits = 0;
  for (let first = 0; first < set.samples; first += batch) {
    const count = Math.min(batch, set.samples - first);
    const feeds: Record<string, ort.Tensor> = {};
    for (const [name, { dims, data: bytes }] of Object.entries(set.feeds(first, count))) {
      feeds[name] = new ort.Tensor('float32', new Float32Array(bytes.slice().buffer), dims);
    }
    const [output] = Object.values(await session.run(feeds));
    const scores = output?.data as Float32Array;
    const classes = scores.length / count;
    for (let i = 0; i < count; i += 1) {
      const row = scores.subarray(i * classes, (i + 1) * classes);
      if (row.indexOf(Math.max(...row)) === labels[first + i]) hits += 1;
    }
  }
  await session.release();
  return hits / set.samples;
}
