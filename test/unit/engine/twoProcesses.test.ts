import path from 'node:path';
import { beforeAll, expect, it } from 'vitest';
import { mergedRanges } from '../../../src/engine/observe/merged.ts';
import { withRangeOutputs } from '../../../src/engine/observe/rangeOutputs.ts';
import type { RunSamples } from '../../../src/engine/observe/runs.ts';
import { runSamples } from '../../../src/engine/observe/sampleRuns.ts';
import { numbersOf } from '../../../src/engine/observe/sums.ts';
import { halfway, isWorthTwo, runsInTwo } from '../../../src/engine/observe/twoProcesses.ts';
import { readModelFile } from '../../../src/formats/io/models.ts';
import type { OnnxModel } from '../../../src/ir/model.ts';
import { openDataset } from '../../../src/runtime/data/dataset.ts';
import { inputsOf } from '../../../src/runtime/modelInputs.ts';
import { startRunner } from '../../../src/runtime/process/launch.ts';
import { samples } from '../support/models.ts';
import { useSourceRunner } from '../support/runner.ts';

const model = readModelFile(path.join(samples, 'digits.onnx')).model as OnnxModel;
const data = openDataset(path.join(samples, 'digits-calibration.npz'), inputsOf(model));
const job = { start: startRunner, data, options: {} };

beforeAll(() => useSourceRunner());

/** Extremes of every value that a layer makes. */
async function extremes(run: RunSamples) {
  const made = model.graphs[0].nodes.flatMap(({ outputs: [first] }) => first ?? []);
  const watched = withRangeOutputs(model, made);
  const merged = mergedRanges(undefined);
  let seen = 0;
  await run([watched.model], [0, 1], (tensors, _, count) => {
    seen += count;
    const read = (name: string) => numbersOf(tensors, name)[0] ?? 0;
    for (const [id, { min, max }] of watched.outputs)
      merged.add(id, { min: min === undefined ? 0 : read(min), max: read(max) });
  });
  return { seen, ranges: merged.finish() };
}

it('two processes see every sample once, and the same extremes', async () => {
  const [first, end] = [8, 75];
  const middle = halfway(first, end);
  const whole = await extremes((...wanted) => runSamples({ ...job, first, samples: end }, ...wanted));
  const halves = await extremes(
    runsInTwo([
      { ...job, first, samples: middle },
      { ...job, first: middle, samples: end },
    ]),
  );
  expect(whole.seen).toBe(end - first);
  expect(halves).toEqual(whole);
});

it('what fails in one process is told', async () => {
  const broken = {
    ...data,
    feeds: (at: number, count?: number) => {
      if (at >= 40) throw new Error('the disk is gone');
      return data.feeds(at, count);
    },
  };
  const run = runsInTwo([
    { ...job, samples: 32 },
    { ...job, data: broken, first: 32, samples: 64 },
  ]);
  await expect(extremes(run)).rejects.toThrow('the disk is gone');
});

it('halves are whole runs, and a second process is for large work only', () => {
  expect(halfway(32, 512)).toBe(272);
  expect(halfway(0, 10)).toBe(10);
  expect(isWorthTwo(model, 512, undefined)).toBe(false);
});
