import { describe, expect, it } from 'vitest';
import { analyse } from '../../../src/analysis/analyse.ts';
import type { DeviceProfile } from '../../../src/devices/profile.ts';
import { deviceById } from '../../../src/devices/registry.ts';
import { KerfError } from '../../../src/ir/errors.ts';
import type { Model } from '../../../src/ir/model.ts';
import { candidatesFor } from '../../../src/optimize/candidates.ts';
import { paretoOf } from '../../../src/optimize/choose.ts';
import { problemsOf } from '../../../src/optimize/recipe.ts';
import type { Candidate } from '../../../src/optimize/report.ts';
import { optimizeMarkdown } from '../../../src/optimize/report.ts';
import type { OptimizePorts, Score } from '../../../src/optimize/search.ts';
import { searchRecipes } from '../../../src/optimize/search.ts';
import { randomSamplesFor } from '../../../src/optimize/samples.ts';
import { passById, passes } from '../../../src/passes/registry.ts';
import { convNet, perChannel, perTensor, tensor, tflite } from '../rules/small.ts';

function device(id: string, change: Partial<DeviceProfile> = {}): DeviceProfile {
  const found = deviceById(id);
  if (found === undefined) throw new Error(`no device ${id}`);
  return { ...found, ...change };
}

const model = convNet(64, 8);
const fileBytes = 150_000;

/** A model by the passes that made it. */
type Trail = readonly string[];

interface Fake {
  readonly scores?: Readonly<Record<string, number>>;
  readonly kind?: Score['kind'];
  readonly fails?: (trail: Trail) => Error | undefined;
  readonly ms?: number;
}

/** Passes shrink the file by fixed factors and cost the given score; everything that runs is written down. */
function fakePorts({ scores = {}, kind = 'top1', fails = () => undefined, ms = 10 }: Fake = {}) {
  const factor: Readonly<Record<string, number>> = {
    'quantize-static': 0.25,
    'quantize-dynamic': 0.4,
    fp16: 0.5,
    fuse: 0.95,
  };
  const ran: string[] = [];
  const size = (trail: Trail) => trail.reduce((bytes, pass) => bytes * (factor[pass] ?? 1), fileBytes);
  const ports: OptimizePorts<Trail> = {
    modelOf: () => model,
    analyse: () => analyse(model),
    apply(trail, step) {
      const next = [...trail, step.pass];
      const failure = fails(next);
      if (failure !== undefined) return Promise.reject(failure);
      ran.push(next.join('>'));
      return Promise.resolve(next);
    },
    sizes: (trail) =>
      Promise.resolve({
        fileBytes: size(trail),
        compressedBytes: size(trail) * (trail.includes('prune-magnitude') ? 0.5 : 0.9),
      }),
    measure: (trail) => Promise.resolve(ms * (size(trail) / fileBytes)),
    score(trail) {
      const loss = trail.reduce((sum, pass) => sum + (scores[pass] ?? 0), 0);
      return Promise.resolve({ kind, value: kind === 'none' ? null : 0.98 - loss });
    },
    progress: () => Promise.resolve(),
  };
  return { ports, ran };
}

it('made-up samples are enough for a point, and no more than a large model can bear', () => {
  expect([undefined, 0, 1e6, 1e8, 1e10].map(randomSamplesFor)).toEqual([100, 100, 512, 200, 100]);
});

describe('candidates', () => {
  const titles = (which: Model, on: DeviceProfile) => candidatesFor(which, on).map((plan) => plan.title);

  it('a processor gets everything, an integer-only accelerator only integers', () => {
    const onPi = titles(model, device('pi4'));
    expect(onPi.slice(0, 3)).toEqual(['Simplify and fuse', 'Float16', 'Dynamic int8']);
    const integers = [
      'Static int8',
      'Static int8, ranges of least error',
      'Static int8, 4-bit weights',
      'Static int8, 50 % of the weights zeroed',
    ];
    expect(onPi).toEqual(expect.arrayContaining(integers));
    const onCoral = titles(model, device('coral_usb'));
    expect(onCoral).toEqual(expect.arrayContaining(integers));
    expect(onCoral).not.toContain('Float16');
    expect(onCoral).not.toContain('Dynamic int8');
    expect(titles(model, device('stm32l4r5'))).not.toContain('Dynamic int8');
  });

  it('recipes made for the model are tried beside the others', () => {
    const mixed = { title: 'Mixed', steps: [{ pass: 'fp16', layers: ['a'] }] };
    const plans = candidatesFor(model, device('pi4'), { more: [mixed] });
    expect(plans.at(-1)).toEqual(mixed);
  });

  it('a quantized model is only cleaned', () => {
    const quantized = tflite({
      inputs: { x: ['int8', [1, 64]] },
      outputs: ['y'],
      types: { y: ['int8', [1, 64]] },
      constants: { w: tensor('int8', [64, 64]) },
      quantization: { x: perTensor(0.1), y: perTensor(0.1), w: perChannel(64, 0) },
      nodes: [['fc', 'FULLY_CONNECTED', ['x', 'w'], ['y']]],
    });
    expect(titles(quantized, device('pi4'))).toEqual(['Simplify and fuse']);
  });

  it('are recipes that the passes accept, with the dataset in the steps that calibrate', () => {
    for (const id of ['pi4', 'coral_usb', 'stm32l4r5', 'galaxy_s24', 'orin_nano', 'host']) {
      for (const { steps } of candidatesFor(model, device(id), { data: 'd.npz' })) {
        expect(problemsOf({ steps }, passes)).toEqual([]);
        for (const step of steps)
          if (passById(step.pass)?.calibration !== 'none') expect(step.data).toBe('d.npz');
      }
    }
  });

  it('quantize by the rules of the device', () => {
    const targetsOn = (id: string, which: Model) =>
      candidatesFor(which, device(id)).flatMap(({ steps }) =>
        steps.flatMap(({ pass, options }) => (pass === 'quantize-static' ? [options?.target] : [])),
      );
    const fc = tflite({
      inputs: { x: ['float32', [1, 64]] },
      outputs: ['y'],
      types: { y: ['float32', [1, 64]] },
      constants: { w: tensor('float32', [64, 64]) },
      nodes: [['fc', 'FULLY_CONNECTED', ['x', 'w'], ['y']]],
    });
    for (const [id, which, target] of [
      ['galaxy_s24', model, 'qnn'],
      ['orin_nano', model, 'tensorrt'],
      ['pi4', model, 'ort-arm'],
      ['host', model, 'x86'],
      ['stm32h743', model, 'arm'],
      ['esp32s3', fc, 'tflm'],
      ['coral_usb', fc, 'edgetpu'],
    ] as const)
      expect(new Set(targetsOn(id, which)), id).toEqual(new Set([target]));
    const shapesOn = (id: string) =>
      candidatesFor(model, device(id)).some(({ steps }) =>
        steps.some(({ options }) => options?.kernelShapes === false),
      );
    expect([shapesOn('stm32h743'), shapesOn('pi4')]).toEqual([true, false]);
  });
});

describe('search', () => {
  it('chooses the smallest and fastest that keeps its accuracy', async () => {
    const { ports, ran } = fakePorts({ scores: { 'quantize-static': 0.004, 'prune-magnitude': 0.05 } });
    const { report, chosen } = await searchRecipes<Trail>([], device('pi4'), ports, { data: 'd.npz' });
    expect(report.baseline).toMatchObject({ title: 'Original', fileBytes, score: 0.98, scoreKind: 'top1' });
    expect(report.candidates[report.chosen ?? -1]?.title).toBe('Static int8');
    expect(chosen).toEqual(['simplify', 'fuse', 'quantize-static']);
    expect(report.reason).toContain('4.21 times smaller');
    expect(report).toMatchObject({ data: 'd.npz', maxDrop: 1, device: 'pi4', out: null });
    expect(ran.filter((trail) => trail === 'simplify')).toHaveLength(1);
  });

  it('respects the allowed drop', async () => {
    const { ports } = fakePorts({
      scores: { 'quantize-static': 0.03, 'quantize-dynamic': 0.02, fp16: 0.001 },
    });
    const strict = await searchRecipes<Trail>([], device('pi4'), ports);
    expect(strict.report.candidates[strict.report.chosen ?? -1]?.title).toBe('Float16');
    const loose = await searchRecipes<Trail>([], device('pi4'), ports, { maxDrop: 5 });
    expect(loose.report.candidates[loose.report.chosen ?? -1]?.recipe.map((step) => step.pass)).toContain(
      'quantize-static',
    );
  });

  it('takes the more accurate of two that cost nearly the same', async () => {
    const { ports } = fakePorts({ scores: { 'prune-magnitude': 0.001 } });
    const faster = {
      ...ports,
      measure: async (trail: Trail) =>
        ((await ports.measure(trail)) ?? 0) * (trail.includes('prune-magnitude') ? 0.9 : 1),
    };
    const { report } = await searchRecipes<Trail>([], device('host'), faster);
    expect(report.candidates[report.chosen ?? -1]?.title).toBe('Static int8');
  });

  it('says when the device does not load such files', async () => {
    const { report } = await searchRecipes<Trail>([], device('esp32s3'), fakePorts().ports);
    expect(report.reason).toContain('loads tflite, not onnx: convert the result.');
  });

  it('keeps failures with their reason and goes on', async () => {
    const fails = (trail: Trail) =>
      trail.includes('fp16') ? new KerfError('unsupported', 'no halves today') : undefined;
    const { report } = await searchRecipes<Trail>([], device('pi4'), fakePorts({ fails }).ports);
    expect(report.candidates.find((each) => each.title === 'Float16')).toMatchObject({
      failure: 'no halves today',
      fileBytes: null,
      score: null,
    });
    expect(report.chosen).not.toBeNull();
    expect(report.pareto.map((index) => report.candidates[index]?.failure)).toEqual(
      report.pareto.map(() => undefined),
    );
  });

  it('stops when it is cancelled', async () => {
    const fails = (trail: Trail) => (trail.includes('fuse') ? new KerfError('cancelled', 'stop') : undefined);
    await expect(searchRecipes<Trail>([], device('pi4'), fakePorts({ fails }).ports)).rejects.toMatchObject({
      reason: 'cancelled',
    });
  });

  it('without an evaluation only exact recipes may be chosen', async () => {
    const { report } = await searchRecipes<Trail>([], device('pi4'), fakePorts({ kind: 'none' }).ports);
    expect(report.candidates[report.chosen ?? -1]?.title).toBe('Simplify and fuse');
  });

  it('chooses nothing that does not fit, and says why', async () => {
    const tiny = device('stm32l4r5', { flashBytes: 1000 });
    const { report, chosen } = await searchRecipes<Trail>([], tiny, fakePorts().ports);
    expect(report.chosen).toBeNull();
    expect(chosen).toBeUndefined();
    expect(report.reason).toContain('does not fit the flash');
  });

  it('keeps the original when only worse ones are as accurate', async () => {
    const plans = [
      { title: 'Halves', steps: [{ pass: 'fp16' }] },
      { title: 'Nothing', steps: [{ pass: 'simplify' }] },
    ];
    const { ports } = fakePorts({ scores: { fp16: 0.5 } });
    const { report } = await searchRecipes<Trail>([], device('pi4'), ports, { plans, data: 'd.npz' });
    expect(report.chosen).toBeNull();
    const reason =
      'Nothing that qualifies is smaller or faster than the original. Halves: loses 50.00 points, 1 are allowed.';
    expect(report.reason).toBe(reason);
    const blind = await searchRecipes<Trail>([], device('pi4'), fakePorts({ scores: { fp16: 0.5 } }).ports, {
      plans,
    });
    expect(blind.report.reason).toBe(
      `${reason} Calibrated and scored on made-up inputs, which says little about real ones.`,
    );
  });

  it('takes the better of two near 1 even when the more accurate is worse than the original', async () => {
    const plans = [
      { title: 'Fused', steps: [{ pass: 'fuse' }] },
      { title: 'Nothing', steps: [{ pass: 'simplify' }] },
    ];
    const { ports } = fakePorts({ scores: { fuse: 0.001 }, ms: 0.001 });
    const fixed = { ...ports, measure: () => Promise.resolve(10) };
    const { report } = await searchRecipes<Trail>([], device('host'), fixed, { plans });
    expect(report.candidates[report.chosen ?? -1]?.title).toBe('Fused');
  });

  it('goes on with sizes and estimates when the original does not run here', async () => {
    const { ports } = fakePorts();
    const measure = () => Promise.reject(new KerfError('runtime-refused', 'no kernel for Toast'));
    const { report } = await searchRecipes<Trail>([], device('pi4'), { ...ports, measure });
    expect(report.baseline).toMatchObject({ measuredMs: null, score: null, scoreKind: 'none' });
    expect(report.candidates[report.chosen ?? -1]?.title).toBe('Simplify and fuse');
    expect(report.candidates.every((each) => each.failure === undefined)).toBe(true);
    expect(report.reason).toContain('nothing was measured: no kernel for Toast');
  });

  it('chooses nothing the device refuses', async () => {
    const { report } = await searchRecipes<Trail>([], device('coral_usb'), fakePorts().ports);
    expect(report.chosen).toBeNull();
    expect(report.candidates[0]?.refused).toContain('does not run float32');
    expect(report.reason).toContain('does not run float32');
  });

  it('judges by what was measured when the device is this machine', async () => {
    const { report } = await searchRecipes<Trail>([], device('host'), fakePorts().ports);
    expect(report.baseline.latencyMs).toBeNull();
    expect(report.chosen).not.toBeNull();
    expect(report.reason).toMatch(/4\.21 times as fast on This machine/);
  });
});

describe('Pareto', () => {
  const candidate = (fileBytesOf: number, latencyMs: number | null, score: number | null): Candidate => ({
    title: 'c',
    recipe: [],
    fileBytes: fileBytesOf,
    compressedBytes: fileBytesOf,
    macs: null,
    measuredMs: null,
    latencyMs,
    energyMj: null,
    ramBytes: null,
    fits: { flash: 'fits', ram: 'fits' },
    score,
    scoreKind: 'top1',
  });

  it('agrees with the definition on random candidates', () => {
    let seed = 7;
    const random = (below: number) => {
      seed = (seed * 48_271) % 2_147_483_647;
      return seed % below;
    };
    const all = Array.from({ length: 60 }, () => candidate(random(8), random(8), random(8)));
    const worse = (a: Candidate, b: Candidate) =>
      (b.fileBytes ?? 0) <= (a.fileBytes ?? 0) &&
      (b.latencyMs ?? 0) <= (a.latencyMs ?? 0) &&
      (b.score ?? 0) >= (a.score ?? 0) &&
      (b.fileBytes !== a.fileBytes || b.latencyMs !== a.latencyMs || b.score !== a.score);
    const expected = all.flatMap((each, index) => (all.some((other) => worse(each, other)) ? [] : [index]));
    expect(paretoOf(all, device('pi4'))).toEqual(expected);
    expect(expected.length).toBeGreaterThan(1);
  });

  it('counts the unknown as the worst', () => {
    expect(paretoOf([candidate(1, null, 0.5), candidate(1, 3, 0.5)], device('pi4'))).toEqual([1]);
  });
});

describe('report', () => {
  it('is a table with the choice, the reason and the failures', async () => {
    const fails = (trail: Trail) => (trail.includes('fp16') ? new Error('no halves') : undefined);
    const { report } = await searchRecipes<Trail>([], device('pi4'), fakePorts({ fails }).ports);
    const text = optimizeMarkdown({ ...report, out: 'small.onnx' }, 'net.onnx');
    expect(text).toContain('# net.onnx on pi4');
    expect(text.match(/\(chosen\)/g)).toHaveLength(1);
    expect(text).toContain('| Original | 150 kB |');
    expect(text).toContain('- Float16: no halves');
    expect(text).toContain('Written to small.onnx.');
    expect(text).not.toMatch(/undefined|NaN/);
    const widths = text
      .split('\n')
      .filter((row) => row.startsWith('|'))
      .map((row) => row.split('|').length);
    expect(new Set(widths).size).toBe(1);
  });
});
