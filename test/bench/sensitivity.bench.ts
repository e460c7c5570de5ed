import { readFileSync, rmSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { localEngine } from '../../src/engine/local.ts';
import type { SensitivityReport } from '../../src/engine/protocol.ts';
import { stepOfScheme } from '../../src/optimize/sensitivity/schemes.ts';
import { evaluate } from '../../src/runtime/measure/evaluate.ts';
import { inputsOf } from '../../src/runtime/modelInputs.ts';
import { randomDataset } from '../../src/runtime/data/random.ts';
import { readModelFile } from '../../src/formats/io/models.ts';
import { startRunner } from '../../src/runtime/process/launch.ts';
import { hasShared, shared } from '../unit/support/models.ts';
import { useSourceRunner } from '../unit/support/runner.ts';
import { filledSkeleton } from '../unit/support/skeletons.ts';
import { temporaryFile } from '../unit/passes/calibrate.ts';
import { decodedMobilenet, enlargedPhotographs, quantizedMobilenet } from './support/trainedMobilenet.ts';

/**
 * Prints what measuring sensitivity costs against running every changed model on every sample, and how alike the two
 * rank the layers: `npm run bench -- sensitivity [NET…] [scheme=int8] [samples=64] [exact=yes] [naive=no] [against=exact]`.
 * NET is a file, or one of the names below. The naive way here is `apply` on one layer and `eval` against the original, as
 * a script would do it; `against=exact` compares with every layer on every sample instead, which gives the same figures and takes
 * minutes where the script takes hours.
 */

if (!hasShared) throw new Error(`this needs the models of ${path.join(shared, 'models')}`);

const cifar = path.join(shared, 'data/cifar10-calib-512.onnx.json');
const own = (name: string) => ({ file: path.join(shared, 'models/own', `${name}.onnx`), data: cifar });
const nets: Readonly<Record<string, { readonly file?: string; readonly data?: string }>> = {
  cifar_resnet: own('cifar_resnet_folded'),
  cifar_mobilenet: own('cifar_mobilenet_folded'),
  cifar_vit: own('cifar_vit_folded'),
  pretrainedResnet: {
    file: path.join(shared, 'models/tflite/pretrainedResnet.tflite'),
    data: path.join(shared, 'data/cifar10-calib-512.mlperf.json'),
  },
  mobilenet_v2: {},
  resnet50: {},
  /** With trained weights, on photographs. */
  mobilenet_v2_trained: {},
};

const words = process.argv.slice(2);
const settings = Object.fromEntries(
  words.filter((word) => word.includes('=')).map((word) => word.split('=')),
);
const names = words.filter((word) => !word.includes('='));
const scheme = settings['scheme'] ?? 'int8';
const exact = settings['exact'] === 'yes';

await useSourceRunner();
const engine = localEngine();
for (const name of names.length === 0 ? Object.keys(nets) : names) await measure(name);
engine.dispose();

async function measure(name: string): Promise<void> {
  const net = name === 'mobilenet_v2_trained' ? await trainedMobilenet() : (nets[name] ?? { file: name });
  const file = net.file ?? (await temporaryFile(filledSkeleton(name)));
  const { handle, format } = await engine.call('open', { path: file });
  const data = net.data === undefined ? {} : { data: net.data };
  const samples = settings['samples'] === undefined ? {} : { samples: Number(settings['samples']) };
  const before = processorSeconds();
  const report = await engine.call('sensitivity', { handle, scheme, ...data, ...samples, exact });
  const processor = processorSeconds() - before;
  const { inferences, naiveInferences, seconds, baselineInferenceSeconds, layers } = report;
  const share = (part: number, whole: number) => `${((100 * part) / whole).toFixed(0)} %`;
  console.log(`${name}, ${scheme}: ${layers.length} layers, ${report.samples} samples`);
  console.log(`  work ${share(inferences, naiveInferences)} of layers x samples inferences`);
  const ideal = naiveInferences * baselineInferenceSeconds;
  console.log(
    `  time ${seconds.toFixed(1)} s, ${share(seconds, ideal)} of layers x samples x one inference (${ideal.toFixed(1)} s)`,
  );
  const each = await inferenceSeconds(file, baselineInferenceSeconds);
  console.log(
    `  processor time ${processor.toFixed(1)} s, ${share(processor, naiveInferences * each)} of layers x samples inferences of ${(1000 * each).toFixed(3)} ms, one at a time`,
  );
  const { ranking } = report;
  if (ranking !== undefined)
    console.log(
      `  order from ${ranking.samples} samples, expected rank correlation ${ranking.expectedCorrelation.toFixed(4)}`,
    );
  if (settings['against'] === 'exact') {
    const whole = await engine.call('sensitivity', { handle, scheme, ...data, ...samples, exact: true });
    const wanted = new Map(whole.layers.map(({ id, sqnrDb }) => [id, sqnrDb ?? Number.POSITIVE_INFINITY]));
    const found = layers.map(({ sqnrDb }) => sqnrDb ?? Number.POSITIVE_INFINITY);
    console.log(
      `  every layer on every sample: ${likenessOf(
        found,
        layers.map(({ id }) => wanted.get(id) ?? Number.NaN),
      )}`,
    );
  }
  if (settings['naive'] === 'no') return;
  const start = performance.now();
  const naive = await naiveOf(handle, format, report, data);
  const naiveSeconds = (performance.now() - start) / 1000;
  const ours = layers.map(({ sqnrDb }) => sqnrDb ?? Number.POSITIVE_INFINITY);
  console.log(`  naive ${naiveSeconds.toFixed(1)} s as a script (ours: ${share(seconds, naiveSeconds)})`);
  console.log(`  ${likenessOf(ours, naive)}`);
}

function likenessOf(ours: readonly number[], wanted: readonly number[]): string {
  return `Spearman ${spearman(ours, wanted).toFixed(4)}, largest difference ${largest(ours, wanted).toFixed(2)} dB`;
}

async function trainedMobilenet(): Promise<{ readonly file: string; readonly data: string }> {
  const folder = await mkdtemp(path.join(tmpdir(), 'kerf-bench-'));
  process.once('exit', () => rmSync(folder, { recursive: true, force: true }));
  const converted = path.join(folder, 'converted.onnx');
  const { handle } = await engine.call('open', { path: quantizedMobilenet });
  await engine.call('convert', { handle, path: converted });
  const { model } = readModelFile(converted);
  if (model.dialect !== 'onnx') throw new Error('the conversion gave no ONNX model');
  const count = Number(settings['samples'] ?? 64);
  return {
    file: await temporaryFile(decodedMobilenet(model)),
    data: await enlargedPhotographs(folder, Math.max(count, 256)),
  };
}

/**
 * Processor time of this process and of all that it started and that have ended, which another load on the machine hardly
 * changes (Linux; see proc(5)).
 */
function processorSeconds(): number {
  const stat = readFileSync('/proc/self/stat', 'utf8');
  const fields = stat
    .slice(stat.lastIndexOf(')') + 2)
    .split(' ')
    .map(Number);
  return fields.slice(11, 15).reduce((sum, ticks) => sum + ticks, 0) / 100;
}

/** Processor time of one inference of one sample: what many take more than few do. */
async function inferenceSeconds(file: string, about: number): Promise<number> {
  const feeds = randomDataset(inputsOf(readModelFile(file).model), { seed: 1, count: 1 }).feeds(0, 1);
  const taken = async (runs: number) => {
    const before = processorSeconds();
    const runner = startRunner();
    const session = await runner.open(file, {});
    await runner.time([{ session, feeds }], { warmup: 2, runs });
    await session.close();
    runner.kill();
    // A process counts once it has ended.
    await new Promise((resolve) => setTimeout(resolve, 500));
    return processorSeconds() - before;
  };
  const runs = Math.max(20, Math.min(20_000, Math.round(2 / about)));
  const few = await taken(1);
  return ((await taken(1 + runs)) - few) / runs;
}

async function naiveOf(
  handle: string,
  dialect: 'onnx' | 'tflite',
  report: SensitivityReport,
  data: { readonly data?: string },
): Promise<number[]> {
  const found: number[] = [];
  for (const { id } of report.layers) {
    const step = { ...stepOfScheme(scheme, dialect, data.data), layers: [id] };
    const changed = await engine.call('apply', { handle, step });
    found.push(await sqnrOf(changed.handle, handle, report.samples, data.data));
    await engine.call('release', { handle: changed.handle });
  }
  return found;
}

/** Without data, on the made-up inputs that the report was made with. */
async function sqnrOf(
  model: string,
  reference: string,
  samples: number,
  data: string | undefined,
): Promise<number> {
  const folder = await mkdtemp(path.join(tmpdir(), 'kerf-bench-'));
  const save = async (handle: string) => {
    const { format } = await engine.call('inspect', { handle });
    const file = path.join(folder, `${handle}.${format}`);
    await engine.call('save', { handle, path: file });
    return file;
  };
  const found = await evaluate(startRunner, {
    model: await save(model),
    reference: await save(reference),
    samples,
    seed: 1,
    ...(data !== undefined && { data }),
  });
  await rm(folder, { recursive: true });
  return found.reference?.sqnrDb ?? Number.POSITIVE_INFINITY;
}

/** Rank correlation; equal values share their mean rank. */
function spearman(a: readonly number[], b: readonly number[]): number {
  const [x, y] = [ranks(a), ranks(b)];
  const mean = (a.length - 1) / 2;
  let [xy, xx, yy] = [0, 0, 0];
  for (let i = 0; i < a.length; i += 1) {
    const [dx, dy] = [(x[i] ?? 0) - mean, (y[i] ?? 0) - mean];
    xy += dx * dy;
    xx += dx * dx;
    yy += dy * dy;
  }
  return xy / Math.sqrt(xx * yy);
}

function ranks(values: readonly number[]): number[] {
  return values.map((value) => {
    const below = values.filter((each) => each < value).length;
    const same = values.filter((each) => each === value).length;
    return below + (same - 1) / 2;
  });
}

function largest(a: readonly number[], b: readonly number[]): number {
  return Math.max(...a.map((value, i) => (value === b[i] ? 0 : Math.abs(value - (b[i] ?? 0)))));
}
