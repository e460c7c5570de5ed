import path from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { jobContext } from '../../../src/engine/context.ts';
import type { MeasureJob } from '../../../src/engine/sensitivity/measure.ts';
import { measureChanges } from '../../../src/engine/sensitivity/measure.ts';
import { inTwo, planOf } from '../../../src/engine/sensitivity/plan.ts';
import { subjectOf } from '../../../src/engine/sensitivity/subject.ts';
import { localEngine } from '../../../src/engine/local.ts';
import { readModelFile } from '../../../src/formats/io/models.ts';
import { attr } from '../../../src/ir/attribute.ts';
import type { Node, OnnxModel, Value } from '../../../src/ir/model.ts';
import { floatTensor } from '../../../src/ir/numbers.ts';
import { tensorType } from '../../../src/ir/types.ts';
import { stepOfScheme } from '../../../src/optimize/sensitivity/schemes.ts';
import { temporaryFile } from '../passes/calibrate.ts';
import { random } from '../passes/runtime.ts';
import { samples } from '../support/models.ts';
import { onnxModel } from '../support/onnxModel.ts';
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

/** 44 convolutions in a row with skips around them, whose weights have other sizes from layer to layer. */
function deepModel({ sharedBias = false } = {}): OnnxModel {
  const uniform = random(5);
  const type = tensorType('float32', [1, 8, 8, 8]);
  const values = new Map<string, Value>([['x', { id: 'x', name: 'x', type }]]);
  const nodes: Node[] = [];
  const add = (op: string, inputs: string[], attributes: Node['attributes'] = new Map()) => {
    const id = `${op}_${nodes.length}`;
    nodes.push({ id, name: id, op, domain: '', inputs, outputs: [`${id}_out`], attributes });
    return `${id}_out`;
  };
  const bias = floatTensor([8], new Float32Array(8).fill(0.01));
  if (sharedBias) values.set('b', { id: 'b', name: 'b', constant: bias });
  const shared = sharedBias ? add('Identity', ['b']) : 'b';
  let last = 'x';
  for (let layer = 0; layer < 44; layer += 1) {
    const weight = `w${layer}`;
    const size = 0.03 + 0.2 * uniform();
    const data = Float32Array.from({ length: 8 * 8 * 9 }, () => size * (uniform() - 0.5));
    values.set(weight, { id: weight, name: weight, constant: floatTensor([8, 8, 3, 3], data) });
    const made = add(
      'Conv',
      sharedBias ? [last, weight, shared] : [last, weight],
      new Map([['pads', attr.ints([1, 1, 1, 1])]]),
    );
    last = add('Add', [last, add('Relu', [made])]);
  }
  values.set(last, { id: last, name: last, type });
  return onnxModel({ name: 'deep', inputs: ['x'], outputs: [last], nodes, values });
}

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

  it('orders the layers of a deep net as all samples do, for less', { timeout: 120_000 }, async () => {
    const engine = localEngine();
    const { handle } = await engine.call('open', { path: await temporaryFile(deepModel()) });
    const options = { handle, scheme: 'int4', samples: 96 };
    const some = await engine.call('sensitivity', options);
    const all = await engine.call('sensitivity', { ...options, exact: true });
    engine.dispose();
    expect(some.layers).toHaveLength(44);
    expect(all.ranking).toEqual({ samples: 96, expectedCorrelation: 1 });
    expect(some.ranking?.samples).toBeLessThan(96);
    expect(some.ranking?.expectedCorrelation).toBeGreaterThan(0.97);
    expect(some.inferences).toBeLessThan(0.34 * some.naiveInferences + 1);
    const places = new Map(all.layers.map(({ id }, place) => [id, place]));
    const squares = some.layers.reduce((sum, { id }, at) => sum + (at - (places.get(id) ?? 0)) ** 2, 0);
    expect(1 - (6 * squares) / (44 * (44 ** 2 - 1))).toBeGreaterThan(0.97);
  });

  it('cuts where one value crosses, whatever constants are made of', () => {
    const model = deepModel({ sharedBias: true });
    const convolutions = model.graphs[0].nodes.filter(({ op }) => op === 'Conv');
    const { cuts } = planOf(model, new Set(convolutions.map(({ id }) => id)));
    expect(cuts.length).toBeGreaterThan(14);
    for (const { crossing } of cuts.slice(0, -1)) expect(crossing).toHaveLength(1);
  });

  it('shares segments by their work', () => {
    const own = (weight: number) => weight;
    expect(inTwo([3, 1, 1, 1], own)).toEqual([[3], [1, 1, 1]]);
    expect(inTwo([1, 1, 5], own)).toEqual([[1, 1], [5]]);
    expect(inTwo([2], own)).toEqual([[2]]);
    expect(inTwo([], own)).toEqual([[]]);
  });
});
