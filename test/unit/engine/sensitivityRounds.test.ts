import path from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { jobContext } from '../../../src/engine/context.ts';
import type { MeasureJob } from '../../../src/engine/sensitivity/measure.ts';
import { measureChanges } from '../../../src/engine/sensitivity/measure.ts';
import { inTwo, planOf } from '../../../src/engine/sensitivity/plan.ts';
import { subjectOf } from '../../../src/engine/sensitivity/subject.ts';
import { readModelFile } from '../../../src/formats/io/models.ts';
import { stepOfScheme } from '../../../src/optimize/sensitivity/schemes.ts';
import { samples } from '../support/models.ts';
import { useSourceRunner } from '../support/runner.ts';

const data = path.join(samples, 'digits-calibration.npz');
const context = jobContext(new AbortController().signal, () => undefined);
const count = 48;

async function digitsJob(own: Partial<MeasureJob>): Promise<MeasureJob> {
  const { model } = readModelFile(path.join(samples, 'digits.onnx'));
  const step = stepOfScheme('int4', 'onnx');
  const subject = await subjectOf(model, step, { samples: count }, context);
  const ids = subject.targets.map(({ id }) => id);
  const make = async (id: string) => [{ key: id, kind: 'all', model: await subject.change([id]) }];
  return {
    base: subject.model,
    plan: planOf(subject.model, new Set(ids)),
    layers: new Map(ids.map((id) => [id, { id, make: () => make(id) }])),
    data: { data, samples: count, seed: 1 },
    kinds: 1,
    signal: context.signal,
    progress: async () => undefined,
    ...own,
  };
}

beforeAll(async () => {
  await useSourceRunner();
});

describe('layers measured one by one', () => {
  it('gives the same figures to the bit in two processes', { timeout: 60_000 }, async () => {
    const one = await measureChanges(await digitsJob({ processes: 1 }));
    const two = await measureChanges(await digitsJob({ processes: 2 }));
    expect(one.figures.size).toBeGreaterThan(2);
    expect([...two.figures].sort()).toEqual([...one.figures].sort());
    expect(two.top1).toBe(one.top1);
    expect(two.ranking).toEqual({ samples: count, expectedCorrelation: 1 });
  });

  it('takes further samples while the order is in doubt, within what may be spent', {
    timeout: 60_000,
  }, async () => {
    const whole = await measureChanges(await digitsJob({ processes: 1 }));
    const some = await measureChanges(
      await digitsJob({ processes: 1, effort: { first: 1, most: 400, wanted: 1 } }),
    );
    expect(some.samples).toBe(count);
    expect(some.ranking.samples).toBeGreaterThan(0);
    expect(some.inferences).toBeLessThan(400 + count);
    for (const [id, { sqnrDb, sqnrErrorDb, samples: seen }] of some.figures) {
      const exact = whole.figures.get(id)?.sqnrDb ?? Number.NaN;
      if (seen === count) expect(sqnrErrorDb).toBe(0);
      else expect(sqnrErrorDb).toBeGreaterThan(0);
      // What all layers share beside, as the samples may be easy or hard for all.
      expect(Math.abs((sqnrDb ?? Number.NaN) - exact), id).toBeLessThan(4 * sqnrErrorDb + 1.5);
    }
  });

  it('shares segments by their work', () => {
    const own = (weight: number) => weight;
    expect(inTwo([3, 1, 1, 1], own)).toEqual([[3], [1, 1, 1]]);
    expect(inTwo([1, 1, 5], own)).toEqual([[1, 1], [5]]);
    expect(inTwo([2], own)).toEqual([[2]]);
    expect(inTwo([], own)).toEqual([[]]);
  });
});
