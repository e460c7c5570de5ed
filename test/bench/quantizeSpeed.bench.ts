import path from 'node:path';
import { readModelFile } from '../../src/formats/io/models.ts';
import type { Model } from '../../src/ir/model.ts';
import type { OptionValues } from '../../src/passes/pass.ts';
import { startRunner } from '../../src/runtime/process/launch.ts';
import { boundInputs, inputsOf } from '../../src/runtime/modelInputs.ts';
import { randomDataset } from '../../src/runtime/data/random.ts';
import { median } from '../../src/runtime/measure/statistics.ts';
import { operatorsOf, runPass } from '../unit/passes/build.ts';
import { calibratorFor, temporaryFile } from '../unit/passes/calibrate.ts';
import { hasShared, shared } from '../unit/support/models.ts';
import { useSourceRunner } from '../unit/support/runner.ts';
import { filledSkeleton } from '../unit/support/skeletons.ts';

/**
 * Prints how much faster `quantize-static` makes torchvision nets on ONNX Runtime, one thread, float and int8 in turns
 * within one process: `npm run bench -- quantizeSpeed [all|NET|FILE] [option=value…]`, options as of the pass, such as
 * `target=ort-x86-amx`. Weights are seeded noise.
 */

const goals: Readonly<Record<string, number>> = {
  resnet50: 2.9,
  mobilenet_v2: 1.9,
  efficientnet_b0: 1.4,
  mobilenet_v3_large: 1.2,
};

const [wanted, ...settings] = process.argv.slice(2);
const options: OptionValues = Object.fromEntries(
  settings.map((text) => {
    const [name = '', value = ''] = text.split('=');
    return [name, value === 'true' || (value === 'false' ? false : value)];
  }),
);
const nets = wanted === undefined || wanted === 'all' ? Object.keys(goals) : [wanted];

if (!hasShared) throw new Error(`this needs the skeletons of ${path.join(shared, 'models')}`);
await useSourceRunner();
for (const net of nets) {
  const model = net.endsWith('.onnx') ? readModelFile(net).model : filledSkeleton(net);
  await compare(net, model);
}

async function compare(net: string, model: Model): Promise<void> {
  const calibrator = calibratorFor(model, undefined, 8);
  const { model: quantized, notes } = await runPass('quantize-static', model, { options, calibrator });
  const runner = startRunner();
  const jobs = [];
  const files = [await temporaryFile(model), await temporaryFile(quantized)];
  const optimizedModelPath = `${files[1]}.optimized.onnx`;
  for (const file of files) {
    const session = await runner.open(file, { threads: 1, ...(file === files[1] && { optimizedModelPath }) });
    const inputs = boundInputs(inputsOf(model), undefined);
    jobs.push({ session, feeds: randomDataset(inputs, { seed: 3, count: 1 }).feeds(0) });
  }
  const [float, int8] = await runner.time(jobs, { warmup: 3, runs: 60 });
  runner.kill();
  if (float === undefined || int8 === undefined) throw new Error('no times');
  // Neighbouring runs see the same load, so each pair is compared with itself.
  const pairs = median(float.map((ms, i) => ms / (int8[i] as number)));
  const fastest = Math.min(...float) / Math.min(...int8);
  const goal = goals[net] === undefined ? '' : `, goal ${goals[net]}`;
  console.log(
    `${net}: float ${median(float).toFixed(2)} ms, int8 ${median(int8).toFixed(2)} ms: ${pairs.toFixed(2)} x (of the fastest runs ${fastest.toFixed(2)} x${goal})`,
  );
  console.log(`  ${operatorsOf(readModelFile(optimizedModelPath).model)}`);
  for (const note of notes) console.log(`  ${note}`);
}
