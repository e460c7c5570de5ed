import fs from 'node:fs';
import path from 'node:path';
import { readModelFile } from '../../src/formats/io/models.ts';
import type { Model } from '../../src/ir/model.ts';
import { openDataset } from '../../src/runtime/dataset.ts';
import { startRunner } from '../../src/runtime/launch.ts';
import { boundInputs, inputsOf } from '../../src/runtime/modelInputs.ts';
import { randomDataset } from '../../src/runtime/random.ts';
import { runPass } from '../unit/passes/build.ts';
import { calibratorFor, temporaryFile } from '../unit/passes/calibrate.ts';
import { hasShared, shared } from '../unit/support/models.ts';
import { useSourceRunner } from '../unit/support/runner.ts';
import { filledSkeleton } from '../unit/support/skeletons.ts';

/**
 * Prints what calibrating and quantizing costs against the bare inferences of the same samples by the float model, reading
 * and writing the files included in both: `npm run bench -- calibrateCost [NET]`.
 */

if (!hasShared) throw new Error(`this needs the models of ${shared}`);
await useSourceRunner();
const cifar = path.join(shared, 'data/cifar10-calib-512.onnx.json');
const own = ['cifar_resnet_folded', 'cifar_mobilenet_folded', 'cifar_vit_folded'];
const nets = ['resnet50', 'mobilenet_v2'];
const [wanted] = process.argv.slice(2);
for (const net of [...own, ...nets].filter((name) => wanted === undefined || name === wanted)) {
  const isOwn = own.includes(net);
  const source = path.join(shared, 'models/own', `${net}.onnx`);
  const file = isOwn ? source : await temporaryFile(filledSkeleton(net));
  await measure(net, file, isOwn ? cifar : undefined, isOwn ? 512 : 32);
}

/** Best of three, each after the other in turns. */
async function measure(net: string, file: string, data: string | undefined, samples: number): Promise<void> {
  const plain: number[] = [];
  const whole: number[] = [];
  for (let round = 0; round < 3; round += 1) {
    plain.push(await timed(() => inferences(file, data, samples)));
    whole.push(await timed(() => quantize(file, data, samples)));
  }
  const [a, b] = [Math.min(...plain), Math.min(...whole)];
  console.log(
    `${net}: ${samples} inferences with reading and writing ${a.toFixed(2)} s, calibrated and quantized ${b.toFixed(2)} s: ${(b / a).toFixed(2)} times`,
  );
}

async function timed(work: () => Promise<void>): Promise<number> {
  const start = performance.now();
  await work();
  return (performance.now() - start) / 1000;
}

/** The float model read, run over the samples in the same batches, and written. */
async function inferences(file: string, data: string | undefined, samples: number): Promise<void> {
  const { model } = readModelFile(file);
  const inputs = boundInputs(inputsOf(model), undefined);
  const set =
    data === undefined ? randomDataset(inputs, { seed: 5, count: samples }) : openDataset(data, inputs);
  const runner = startRunner();
  const session = await runner.open(file, {});
  for (let sample = 0; sample < samples; ) {
    const count = set.batch === 'free' ? Math.min(16, samples - sample) : set.batch;
    await session.run(set.feeds(sample, count));
    sample += count;
  }
  runner.kill();
  await write(model);
}

async function quantize(file: string, data: string | undefined, samples: number): Promise<void> {
  const { model } = readModelFile(file);
  const calibrator = calibratorFor(model, data, samples);
  await write((await runPass('quantize-static', model, { calibrator })).model);
}

async function write(model: Model): Promise<void> {
  const out = await temporaryFile(model);
  fs.rmSync(out);
}
