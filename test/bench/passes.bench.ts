import fs from 'node:fs';
import path from 'node:path';
import { deflateSync } from 'node:zlib';
import { readModelFile } from '../../src/formats/io/models.ts';
import type { Model } from '../../src/ir/model.ts';
import type { OptionValues } from '../../src/passes/pass.ts';
import { openDataset } from '../../src/runtime/data/dataset.ts';
import { startRunner } from '../../src/runtime/process/launch.ts';
import { randomDataset } from '../../src/runtime/data/random.ts';
import { top1 } from '../unit/passes/accuracy.ts';
import { runPass } from '../unit/passes/build.ts';
import { calibratorFor, temporaryFile } from '../unit/passes/calibrate.ts';
import type { Outputs } from '../unit/passes/runtime.ts';
import { floatsOf, sqnrDb } from '../unit/passes/runtime.ts';
import { hasShared, modelFiles, samples, shared } from '../unit/support/models.ts';
import { useSourceRunner } from '../unit/support/runner.ts';

/** Prints the table of docs/passes.md: what each pass does to size, latency and accuracy of the models at hand. */

interface Subject {
  readonly file: string;
  readonly calibration: string;
  readonly test: string;
}

const own = (name: string): Subject => ({
  file: path.join(shared, 'models/own', `${name}.onnx`),
  calibration: path.join(shared, 'data/cifar10-calib-512.onnx.json'),
  test: path.join(shared, 'data/cifar10-test-2000.onnx.json'),
});
const digits = (extension: string): Subject => ({
  file: path.join(samples, `digits.${extension}`),
  calibration: path.join(samples, 'digits-calibration.npz'),
  test: path.join(samples, 'digits-test.npz'),
});
const subjects: Subject[] = [digits('onnx'), digits('tflite')];
if (hasShared) {
  subjects.push(own('cifar_resnet'), own('cifar_mobilenet'), own('cifar_vit'), {
    file: path.join(shared, 'models/tflite/pretrainedResnet.tflite'),
    calibration: path.join(shared, 'data/cifar10-calib-512.mlperf.json'),
    test: path.join(shared, 'data/cifar10-test-2000.mlperf.json'),
  });
}

/** What `passes ranges` compares. */
const rangeSettings: readonly (readonly [string, OptionValues])[] = [
  ['quantize-static', {}],
  ['quantize-static', { ranges: 'percentile' }],
  ['quantize-static', { ranges: 'percentile', percentile: 99.99 }],
  ['quantize-static', { ranges: 'entropy' }],
  ['quantize-static', { ranges: 'mse' }],
];
/** What `passes weights` compares. */
const weightSettings: readonly (readonly [string, OptionValues])[] = [
  ['quantize-dynamic', {}],
  ['quantize-weights', {}],
  ['quantize-weights', { bits: '4' }],
  ['quantize-weights', { bits: '4', block: '128' }],
  ['quantize-weights', { bits: '4', block: '32' }],
];
const allSettings: readonly (readonly [string, OptionValues])[] = [
  ['simplify', {}],
  ['fuse', {}],
  ['fp16', {}],
  ['fp16', { mode: 'compute' }],
  ['quantize-dynamic', {}],
  ['quantize-dynamic', { conv: true }],
  ['quantize-static', {}],
  ['quantize-static', { target: 'arm' }],
  ['prune-magnitude', {}],
  ['prune-magnitude', { sparsity: 0.5 }],
  ['prune-magnitude', { scope: 'global' }],
  ['prune-magnitude', { scope: 'layer' }],
  ['prune-magnitude', { pattern: '2:4' }],
];
/** Options without a meaning for TFLite would repeat rows. */
const onnxOnly = new Set(['{"mode":"compute"}', '{"conv":true}', '{"target":"arm"}']);

const [wanted, only = ''] = process.argv.slice(2);
const tables: Readonly<Record<string, typeof allSettings>> = {
  ranges: rangeSettings,
  weights: weightSettings,
};
const settings = tables[wanted ?? ''] ?? allSettings;
const everywhere = wanted === undefined || wanted in tables;
if (wanted === 'graphs') await countNodes();
else {
  await useSourceRunner();
  console.log('| model | pass | file, kB | compressed, kB | latency before / after | top-1, % | SQNR, dB |');
  console.log('|---|---|---|---|---|---|---|');
  for (const subject of subjects) {
    if (subject.file.includes(everywhere ? only : wanted)) await measure(subject);
  }
}

/** Operators before and after the exact passes, and the time they took, for every model at hand. */
async function countNodes(): Promise<void> {
  console.log('| model | operators | simplify | simplify, fuse | file, kB | seconds per 1000 operators |');
  console.log('|---|---|---|---|---|---|');
  for (const file of [...modelFiles('.onnx'), ...modelFiles('.tflite')]) {
    const { model } = readModelFile(file);
    const start = performance.now();
    const simple = (await runPass('simplify', model)).model;
    const after = (await runPass('fuse', simple)).model;
    const seconds = (performance.now() - start) / 1000;
    if (after === model) continue;
    const count = (of: Model) => of.graphs[0].nodes.length;
    const sizes = `${kilo(fs.readFileSync(file))} → ${kilo(fs.readFileSync(await temporaryFile(after)))}`;
    const cells = [
      count(model),
      count(simple),
      count(after),
      sizes,
      ((1000 * seconds) / count(model)).toFixed(2),
    ];
    console.log(`| ${path.basename(file)} | ${cells.join(' | ')} |`);
  }
}

async function measure({ file, calibration, test }: Subject): Promise<void> {
  const { model } = readModelFile(file);
  const bytes = fs.readFileSync(file);
  const name = path.basename(file);
  const accuracy = await top1(model, test);
  console.log(
    `| ${name} | none | ${kilo(bytes)} | ${kilo(deflateSync(bytes))} | | ${accuracy.toFixed(2)} | |`,
  );
  for (const [pass, options] of settings) {
    const text = JSON.stringify(options);
    if (model.dialect === 'tflite' && (onnxOnly.has(text) || 'block' in options)) continue;
    const calibrator = calibratorFor(model, calibration);
    const { model: after } = await runPass(pass, model, { options, calibrator });
    const title = `${pass}${Object.entries(options)
      .map(([key, value]) => ` ${key}=${value}`)
      .join('')}`;
    if (after === model) {
      console.log(`| ${name} | ${title} | unchanged | | | | |`);
      continue;
    }
    const changed = fs.readFileSync(await temporaryFile(after));
    const ratio = await speedup(file, after);
    const noise = sqnrDb(await outputsOn(model, test), await outputsOn(after, test));
    const cells = [
      kilo(changed),
      kilo(deflateSync(changed)),
      `${ratio.toFixed(2)} x`,
      (await top1(after, test)).toFixed(2),
      Number.isFinite(noise) ? noise.toFixed(1) : 'identical',
    ];
    console.log(`| ${name} | ${title} | ${cells.join(' | ')} |`);
  }
}

/** Outputs for the first samples of a dataset, as real numbers. */
async function outputsOn(model: Model, test: string): Promise<Outputs> {
  const runner = startRunner();
  const session = await runner.open(await temporaryFile(model), { threads: 1 });
  const data = openDataset(test, session.info.inputs);
  const outputs: Outputs = {};
  for (let i = 0; i < 64; i += 1) {
    const results = await session.run(data.feeds(i, 1));
    for (const { name, quantization } of session.info.outputs) {
      outputs[`${i}/${name}`] = floatsOf(results[name], quantization);
    }
  }
  runner.kill();
  return outputs;
}

function kilo(bytes: Uint8Array): string {
  return (bytes.length / 1000).toFixed(1);
}

/** Median latency of the original over that of the changed model, in alternating runs on one thread. */
async function speedup(file: string, after: Model): Promise<number> {
  const runner = startRunner();
  const sessions = [
    await runner.open(file, { threads: 1 }),
    await runner.open(await temporaryFile(after), { threads: 1 }),
  ];
  const jobs = sessions.map((session) => ({
    session,
    feeds: randomDataset(session.info.inputs, { seed: 1, count: 1 }).feeds(0, 1),
  }));
  const times = await runner.time(jobs, { warmup: 20, runs: 200 });
  runner.kill();
  const [before, then] = times.map((list) => list.toSorted()[list.length >> 1] ?? Number.NaN);
  return (before ?? Number.NaN) / (then ?? Number.NaN);
}
