import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { readModelFile } from '../../src/formats/io/models.ts';
import type { OptionValues } from '../../src/passes/pass.ts';
import { evaluate } from '../../src/runtime/measure/evaluate.ts';
import { startRunner } from '../../src/runtime/process/launch.ts';
import { runPass } from '../unit/passes/build.ts';
import { calibratorFor, temporaryFile } from '../unit/passes/calibrate.ts';
import { random } from '../unit/passes/runtime.ts';
import { hasShared, shared } from '../unit/support/models.ts';
import { npy, npz } from '../unit/support/npy.ts';
import { useSourceRunner } from '../unit/support/runner.ts';

/**
 * Prints what static quantization leaves of accuracy: the CIFAR networks with and without each means, and the MLPerf Tiny
 * networks beside the int8 files published with them. A word picks models by name.
 */

interface Subject {
  readonly file: string;
  readonly calibration: string;
  readonly test: string;
  readonly published?: string;
}

const data = (name: string) => path.join(shared, 'data', name);
const own = (name: string): Subject => ({
  file: path.join(shared, 'models/own', `${name}.onnx`),
  calibration: data('cifar10-calib-512.onnx.json'),
  test: data('cifar10-test-2000.onnx.json'),
});
const tflite = (name: string) => path.join(shared, 'models/tflite', `${name}.tflite`);

const [only = ''] = process.argv.slice(2);
const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'kerf-accuracy-'));
process.on('exit', () => fs.rmSync(folder, { recursive: true, force: true }));

/**
 * For want of the networks' own data: smooth noise over the range that the published file was calibrated for, other noise
 * to calibrate with than to judge by.
 */
function madeUp(name: string, published: string, shape: readonly number[]): Subject {
  const { model } = readModelFile(tflite(published));
  const [input] = model.graphs[0].inputs;
  const encoding = model.graphs[0].values.get(input ?? '')?.quantization;
  const scale = encoding?.scale[0] ?? 1;
  const zero = encoding?.zeroPoint[0] ?? 0;
  const write = (part: string, seed: number) => {
    const count = 200;
    const size = shape.reduce((product, dim) => product * dim, 1);
    const numbers = new Float32Array(count * size);
    const next = random(seed);
    const channels = shape.at(-1) as number;
    for (let sample = 0; sample < count; sample += 1) {
      const level = Array.from({ length: channels }, () => next());
      for (let i = 0; i < size; i += 1) {
        const at = i % channels;
        level[at] = Math.min(1, Math.max(0, (level[at] as number) + 0.3 * (next() - 0.5)));
        numbers[sample * size + i] = scale * (255 * (level[at] as number) - 128 - zero);
      }
    }
    const file = path.join(folder, `${name}-${part}.npz`);
    fs.writeFileSync(file, npz({ x: npy('<f4', [count, ...shape], numbers) }));
    fs.writeFileSync(`${file}.json`, JSON.stringify({ source: file, inputs: { '*': { array: 'x' } } }));
    return `${file}.json`;
  };
  return {
    file: tflite(name),
    published: tflite(published),
    calibration: write('calibration', 1),
    test: write('test', 2),
  };
}

/** Photographs for want of the network's own, with CIFAR-10's 32 x 32 pixels enlarged to the 96 x 96 that it takes. */
function enlarged(part: string): string {
  const file = path.join(folder, `${part}-96.json`);
  const input = { array: 'x', resize: [96, 96], scale: 1 / 255 };
  fs.writeFileSync(file, JSON.stringify({ source: data(`cifar10-${part}.npz`), inputs: { '*': input } }));
  return file;
}

const ways: readonly (readonly [string, OptionValues])[] = [
  ['plain min-max', { equalize: false, rounding: 'nearest' }],
  ['rounding', { equalize: false }],
  ['equalization', { rounding: 'nearest' }],
  ['both (default)', {}],
];

if (hasShared) {
  await useSourceRunner();
  console.log('| model | way | top-1, % | agreement, % | SQNR, dB | file, kB |');
  console.log('|---|---|---|---|---|---|');
  for (const name of ['cifar_resnet_folded', 'cifar_mobilenet_folded', 'cifar_vit_folded'])
    if (name.includes(only)) await compare(own(name));
  const subjects: Readonly<Record<string, () => Subject>> = {
    pretrainedResnet: () => ({
      file: tflite('pretrainedResnet'),
      calibration: data('cifar10-calib-512.mlperf.json'),
      test: data('cifar10-test-2000.mlperf.json'),
      published: tflite('pretrainedResnet_quant'),
    }),
    vww_96_float: () => ({
      file: tflite('vww_96_float'),
      calibration: enlarged('calib-512'),
      test: enlarged('test-2000'),
      published: tflite('vww_96_int8'),
    }),
    kws_ref_model_float32: () => madeUp('kws_ref_model_float32', 'kws_ref_model', [49, 10, 1]),
    ad01_fp32: () => madeUp('ad01_fp32', 'ad01_int8', [640]),
  };
  for (const [name, make] of Object.entries(subjects)) if (name.includes(only)) await compare(make());
}

async function compare({ file, calibration, test, published }: Subject): Promise<void> {
  const name = path.basename(file);
  const { model } = readModelFile(file);
  await print(name, 'float', file, test);
  if (published !== undefined)
    await print(name, `published ${path.basename(published)}`, published, test, file);
  for (const [way, options] of ways) {
    const calibrator = calibratorFor(model, calibration);
    const { model: after } = await runPass('quantize-static', model, { options, calibrator });
    await print(name, way, await temporaryFile(after), test, file);
  }
}

async function print(
  name: string,
  way: string,
  file: string,
  test: string,
  reference?: string,
): Promise<void> {
  const report = await evaluate(startRunner, {
    model: file,
    data: test,
    reference: reference ?? file,
  });
  const percent = (share: number | undefined) => (share === undefined ? '' : (100 * share).toFixed(2));
  const close = reference === undefined ? undefined : report.reference;
  const kilo = (fs.statSync(file).size / 1000).toFixed(1);
  const sqnr = close?.sqnrDb?.toFixed(2) ?? '';
  console.log(
    `| ${name} | ${way} | ${percent(report.top1)} | ${percent(close?.agreement)} | ${sqnr} | ${kilo} |`,
  );
}
