import fs from 'node:fs';
import path from 'node:path';
import { readModelFile } from '../../src/formats/io/models.ts';
import type { Model } from '../../src/ir/model.ts';
import type { OptionValues } from '../../src/passes/pass.ts';
import { openDataset } from '../../src/runtime/data/dataset.ts';
import { startRunner } from '../../src/runtime/process/launch.ts';
import { boundInputs, inputsOf } from '../../src/runtime/modelInputs.ts';
import type { SessionOptions } from '../../src/runtime/runner.ts';
import { randomDataset } from '../../src/runtime/data/random.ts';
import { runPass } from '../unit/passes/build.ts';
import { calibratorFor, temporaryFile } from '../unit/passes/calibrate.ts';
import { hasShared, shared } from '../unit/support/models.ts';
import { useSourceRunner } from '../unit/support/runner.ts';
import { filledSkeleton } from '../unit/support/skeletons.ts';

/**
 * Prints what calibrating and quantizing costs against the bare inferences of the same samples by the float model at the
 * runtime's own settings, and with one thread, reading and writing the files included in all:
 * `npm run bench -- calibrateCost [NET] [samples=N] [rounds=N] [option=value…]`; without a number of samples, 512 CIFAR pictures, and of
 * 224 x 224 noise what is taken by default, 32. Processor time, children included, says the same on a busy machine, where time on the
 * clock does not (Linux).
 */

if (!hasShared) throw new Error(`this needs the models of ${shared}`);
await useSourceRunner();
const cifar = path.join(shared, 'data/cifar10-calib-512.onnx.json');
const own = ['cifar_resnet_folded', 'cifar_mobilenet_folded', 'cifar_vit_folded'];
const nets = ['resnet50', 'mobilenet_v2'];
const wanted = process.argv.slice(2).find((text) => !text.includes('='));
const {
  samples: given,
  rounds = 3,
  ...options
}: OptionValues = Object.fromEntries(
  process.argv.slice(2).flatMap((text) => {
    const [name = '', value] = text.split('=');
    return value === undefined ? [] : [[name, value === 'true' || (value === 'false' ? false : value)]];
  }),
);
for (const net of [...own, ...nets].filter((name) => wanted === undefined || name === wanted)) {
  const isOwn = own.includes(net);
  const source = path.join(shared, 'models/own', `${net}.onnx`);
  const file = isOwn ? source : await temporaryFile(filledSkeleton(net));
  await measure(net, file, isOwn ? cifar : undefined, Number(given ?? (isOwn ? 512 : 32)));
}

/** The best of a few rounds, each after the other in turns. */
async function measure(net: string, file: string, data: string | undefined, samples: number): Promise<void> {
  const plain: Cost[] = [];
  const single: Cost[] = [];
  const whole: Cost[] = [];
  for (let round = 0; round < Number(rounds); round += 1) {
    plain.push(await timed(() => inferences(file, data, samples, {})));
    single.push(await timed(() => inferences(file, data, samples, { threads: 1 })));
    whole.push(await timed(() => quantize(file, data, samples)));
  }
  const least = (costs: readonly Cost[], of: keyof Cost) => Math.min(...costs.map((cost) => cost[of]));
  const line = (of: keyof Cost) => {
    const [a, one, b] = [least(plain, of), least(single, of), least(whole, of)];
    const times = (c: number) => (b / c).toFixed(2);
    const both = `${a.toFixed(2)} s (with one thread ${one.toFixed(2)} s)`;
    return `${both}, calibrated and quantized ${b.toFixed(2)} s: ${times(a)} times (${times(one)})`;
  };
  console.log(`${net}, ${samples} inferences with reading and writing`);
  console.log(`  on the clock ${line('clock')}\n  processor time ${line('processor')}`);
}

interface Cost {
  readonly clock: number;
  readonly processor: number;
}

async function timed(work: () => Promise<void>): Promise<Cost> {
  const [start, before] = [performance.now(), processorSeconds()];
  await work();
  const clock = (performance.now() - start) / 1000;
  // The system adds a child's time when it has seen its end.
  await new Promise((resolve) => setTimeout(resolve, 300));
  return { clock, processor: processorSeconds() - before };
}

/** Seconds of processor time of this process and of its children that have ended; fields 14 to 17 of `/proc/self/stat`. */
function processorSeconds(): number {
  if (process.platform !== 'linux') return Number.NaN;
  const fields = fs.readFileSync('/proc/self/stat', 'utf8').split(') ')[1]?.split(' ') ?? [];
  return fields.slice(11, 15).reduce((sum, ticks) => sum + Number(ticks), 0) / 100;
}

/** The float model read, run over the samples in the same batches, and written. */
async function inferences(
  file: string,
  data: string | undefined,
  samples: number,
  settings: SessionOptions,
): Promise<void> {
  const { model } = readModelFile(file);
  const inputs = boundInputs(inputsOf(model), undefined);
  const set =
    data === undefined ? randomDataset(inputs, { seed: 5, count: samples }) : openDataset(data, inputs);
  const runner = startRunner();
  const session = await runner.open(file, settings);
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
  await write((await runPass('quantize-static', model, { options, calibrator })).model);
}

async function write(model: Model): Promise<void> {
  const out = await temporaryFile(model);
  fs.rmSync(out);
}
