import path from 'node:path';
import { analyse } from '../../src/analysis/analyse.ts';
import { readModelFile } from '../../src/formats/io/models.ts';
import type { Model } from '../../src/ir/model.ts';
import type { OptionValues } from '../../src/passes/pass.ts';
import { startRunner } from '../../src/runtime/process/launch.ts';
import { randomDataset } from '../../src/runtime/data/random.ts';
import { top1 } from '../unit/passes/accuracy.ts';
import { runPass } from '../unit/passes/build.ts';
import { calibratorFor, temporaryFile } from '../unit/passes/calibrate.ts';
import { hasShared, samples, shared } from '../unit/support/models.ts';
import { useSourceRunner } from '../unit/support/runner.ts';

/**
 * Prints the table of `prune-channels` in docs/passes.md: accuracy after plain slicing and after refitting, and what of
 * the saved arithmetic becomes speed. `npm run bench -- prune [part of a model's name]`.
 */

interface Subject {
  readonly file: string;
  readonly calibration: string;
  readonly test: string;
  readonly settings: readonly OptionValues[];
}

const digits = (extension: string): Subject => ({
  file: path.join(samples, `digits.${extension}`),
  calibration: path.join(samples, 'digits-calibration.npz'),
  test: path.join(samples, 'digits-test.npz'),
  settings: [{ macs: 0.7 }, { macs: 0.5 }, { macs: 0.3 }],
});
const cifar = (model: string, kind: string, settings: readonly OptionValues[]): Subject => ({
  file: path.join(shared, 'models', model),
  calibration: path.join(shared, `data/cifar10-calib-512.${kind}.json`),
  test: path.join(shared, `data/cifar10-test-2000.${kind}.json`),
  settings,
});
const subjects: readonly Subject[] = [
  digits('onnx'),
  digits('tflite'),
  ...(hasShared
    ? [
        cifar('own/cifar_resnet.onnx', 'onnx', [{ macs: 0.7 }, { macs: 0.5 }]),
        cifar('own/cifar_mobilenet.onnx', 'onnx', [{ macs: 0.8 }, { macs: 0.5 }]),
        cifar('own/cifar_vit.onnx', 'onnx', [{ ratio: 0.25 }, { macs: 0.75 }]),
        cifar('tflite/pretrainedResnet.tflite', 'mlperf', [{ macs: 0.8 }, { macs: 0.7 }]),
      ]
    : []),
];

const [only = ''] = process.argv.slice(2);
await useSourceRunner();
console.log(
  '| model | options | top-1 before, % | sliced plainly, % | pruned, % | MACs left | weights left | latency left | of the gain |',
);
console.log('|---|---|---|---|---|---|---|---|---|');
for (const subject of subjects) if (subject.file.includes(only)) await measure(subject);

async function measure({ file, calibration, test, settings }: Subject): Promise<void> {
  const { model } = readModelFile(file);
  const before = await top1(model, test);
  for (const options of settings) {
    const pruned = async (more: OptionValues) => {
      const calibrator = calibratorFor(model, calibration);
      return (await runPass('prune-channels', model, { options: { ...options, ...more }, calibrator })).model;
    };
    const after = await pruned({});
    const plain = await pruned({ repair: false, importance: 'magnitude' });
    const [old, now] = [analyse(model).totals, analyse(after).totals];
    const macs = (now.macs as number) / (old.macs as number);
    const latency = await latencyShare(file, after);
    const cells = [
      Object.entries(options)
        .map(([name, value]) => `${name}=${value}`)
        .join(' '),
      before.toFixed(2),
      (await top1(plain, test)).toFixed(2),
      (await top1(after, test)).toFixed(2),
      percent(macs),
      percent(now.params / old.params),
      percent(latency),
      percent(macs / latency),
    ];
    console.log(`| ${path.basename(file)} | ${cells.join(' | ')} |`);
  }
}

function percent(share: number): string {
  return `${(100 * share).toFixed(1)} %`;
}

/**
 * Latency of the pruned model over that of the original after `fuse`, so that only the missing channels count: shortest
 * of alternating runs on one thread, on batches that keep the fixed cost of a call small where the model takes them.
 */
async function latencyShare(file: string, after: Model): Promise<number> {
  const { model } = readModelFile(file);
  const simple = (await runPass('simplify', model)).model;
  const fused = (await runPass('fuse', simple)).model;
  const runner = startRunner();
  const sessions = [
    await runner.open(await temporaryFile(fused), { threads: 1 }),
    await runner.open(await temporaryFile(after), { threads: 1 }),
  ];
  const batch = model.dialect === 'onnx' ? 8 : 1;
  const jobs = sessions.map((session) => ({
    session,
    feeds: randomDataset(session.info.inputs, { seed: 1, count: batch }).feeds(0, batch),
  }));
  const [was, is] = (await runner.time(jobs, { warmup: 20, runs: 400 })).map((list) => Math.min(...list));
  runner.kill();
  return (is ?? Number.NaN) / (was ?? Number.NaN);
}
