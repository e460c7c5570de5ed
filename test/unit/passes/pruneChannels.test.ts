import path from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { analyse } from '../../../src/analysis/analyse.ts';
import { readModelFile } from '../../../src/formats/io/models.ts';
import { estimateOn } from '../../../src/devices/estimate.ts';
import type { DeviceProfile } from '../../../src/devices/profile.ts';
import { builtinDevices } from '../../../src/devices/registry.ts';
import type { Model, OnnxModel, Value } from '../../../src/ir/model.ts';
import { withMainGraph } from '../../../src/ir/model.ts';
import { floatTensor, readFloats, sizeOf } from '../../../src/ir/numbers.ts';
import { tensorType } from '../../../src/ir/types.ts';
import { branchesOf, withoutBranches } from '../../../src/passes/pruneChannels/branches.ts';
import { channelsOf } from '../../../src/passes/pruneChannels/channels.ts';
import { keptWithout, withoutChannels } from '../../../src/passes/pruneChannels/cut.ts';
import { groupsOf } from '../../../src/passes/pruneChannels/groups.ts';
import { macsCostOf, timeCostOf } from '../../../src/passes/pruneChannels/cost.ts';
import { unshared } from '../../../src/passes/pruneChannels/unshare.ts';
import { stridesOf } from '../../../src/passes/support/constants.ts';
import { factsOf } from '../../../src/passes/support/facts.ts';
import { modelFiles, samples } from '../support/models.ts';
import { useSourceRunner } from '../support/runner.ts';
import { top1 } from './accuracy.ts';
import { OnnxBuilder, runPass } from './build.ts';
import { calibratorFor } from './calibrate.ts';
import { randomModel } from './randomModel.ts';
import { onnxFeeds, random, relativeError, runOnnx } from './runtime.ts';
import { runTflite } from './tflite.ts';

beforeAll(useSourceRunner);

/** Classes to remove, at random, at least one channel of every group left. */
function randomChoice(model: Model, seed: number) {
  const next = random(seed);
  const channels = channelsOf(model);
  const { groups } = groupsOf(model, channels);
  const gone = new Set<number>();
  const counts = groups.map(({ classes }) => {
    const chosen = classes.filter(() => next() < 0.4).slice(0, classes.length - 1);
    for (const of of chosen) gone.add(of);
    return chosen.length;
  });
  return { channels, groups, gone, counts };
}

/** The model with zeros wherever a constant holds one of these channels. */
function silenced<M extends Model>(model: M, gone: ReadonlySet<number>): M {
  const channels = channelsOf(model);
  const values = new Map<string, Value>();
  for (const value of model.graphs[0].values.values()) {
    const { constant } = value;
    values.set(value.id, value);
    if (constant?.dtype !== 'float32') continue;
    const floats = readFloats(constant).slice();
    const strides = stridesOf(constant.dims);
    constant.dims.forEach((size, axis) => {
      const classes = channels.classesOf({ id: value.id, axis });
      floats.forEach((_, i) => {
        const index = Math.floor(i / (strides[axis] as number)) % size;
        if (classes !== undefined && gone.has(classes[index] as number)) floats[i] = 0;
      });
    });
    values.set(value.id, { ...value, constant: floatTensor(constant.dims, floats) });
  }
  return withMainGraph(model, { ...model.graphs[0], values }) as M;
}

/** Whether nothing in the model is encoded. */
function isFloat(model: Model): boolean {
  return [...model.graphs[0].values.values()].every(
    ({ type, constant }) => constant?.dtype !== 'int8' && (type?.kind !== 'tensor' || type.dtype !== 'int8'),
  );
}

async function expectSameWhenSilent(model: OnnxModel, seed: number): Promise<number> {
  const { channels, gone } = randomChoice(model, seed);
  if (gone.size === 0) return 0;
  const quiet = silenced(model, gone);
  const cut = withoutChannels(quiet, keptWithout(channels, gone));
  const feeds = onnxFeeds(model, seed, 2);
  expect(relativeError(await runOnnx(quiet, feeds), await runOnnx(cut, feeds))).toBeLessThan(1e-5);
  return gone.size;
}

/** Every output goes through one more convolution, so that the maps before it may lose channels. */
function withHeads(model: OnnxModel): OnnxModel {
  const [graph] = model.graphs;
  const facts = factsOf(model);
  const values = new Map(graph.values);
  const outputs: string[] = [];
  const heads = graph.outputs.map((id) => {
    const channels = facts.typeOf(id)?.shape?.[1] as number;
    const next = random(channels);
    const weight = Float32Array.from({ length: 2 * channels }, () => next() - 0.5);
    const [name, weightId] = [`${id}_head`, `${id}_head.w`];
    values.set(weightId, {
      id: weightId,
      name: weightId,
      constant: floatTensor([2, channels, 1, 1], weight),
    });
    values.set(name, { id: name, name, type: tensorType('float32') });
    outputs.push(name);
    const attributes = new Map();
    return { id: name, name, op: 'Conv', domain: '', inputs: [id, weightId], outputs: [name], attributes };
  });
  return withMainGraph(model, { ...graph, values, outputs, nodes: [...graph.nodes, ...heads] });
}

describe('random graphs without some channels', () => {
  it('run, cost what was predicted, and are unchanged where the channels were zero', async () => {
    let removed = 0;
    for (let seed = 0; seed < 200; seed += 1) {
      const { model } = await runPass('simplify', withHeads(randomModel(seed)));
      const { channels, groups, gone, counts } = randomChoice(model, seed);
      const cut = withoutChannels(model, keptWithout(channels, gone));
      if (gone.size === 0) expect(cut).toBe(model);
      const predicted = macsCostOf(model, groups)?.(counts);
      if (predicted !== undefined) expect(analyse(cut).totals.macs).toBeCloseTo(predicted, 3);
      removed += await expectSameWhenSilent(model, seed);
    }
    expect(removed).toBeGreaterThan(300);
  }, 60_000);
});

/** Graphs whose channels take a turn of their own; `y` is the output. */
const turns: Readonly<Record<string, (g: OnnxBuilder) => void>> = {
  'residual sum and concatenation'(g) {
    g.input('x', ['N', 3, 6, 6]);
    const conv = (name: string, from: string, o: number, i: number) =>
      g.node('Conv', [from, g.floats(`${name}.w`, [o, i, 3, 3]), g.floats(`${name}.b`, [o])], name, {
        pads: [1, 1, 1, 1],
      });
    conv('a', 'x', 6, 3);
    conv('b', 'a', 6, 6);
    g.node('Add', ['a', 'b'], 's');
    conv('c', 'x', 4, 3);
    g.node('Concat', ['s', 'c'], 'cat', { axis: 1 });
    g.node('Split', ['cat', g.integers('sizes', [7, 3])], 'p', { axis: 1 }, ['q']);
    conv('d', 'p', 2, 7);
    conv('e', 'q', 2, 3);
    g.node('Add', ['d', 'e'], 'y');
  },
  'flatten between convolution and dense layer'(g) {
    g.input('x', ['N', 3, 4, 4]);
    g.node('Conv', ['x', g.floats('w', [8, 3, 1, 1])], 'c');
    g.node('Relu', ['c'], 'r');
    g.node('Flatten', ['r'], 'f');
    g.node('Gemm', ['f', g.floats('v', [5, 128]), g.floats('vb', [5])], 'y', { transB: 1 });
  },
  'shuffle of grouped convolutions'(g) {
    g.input('x', ['N', 3, 4, 4]);
    g.node('Conv', ['x', g.floats('w', [12, 3, 1, 1])], 'c');
    g.node('Conv', ['c', g.floats('gw', [12, 6, 3, 3])], 'g1', { group: 2, pads: [1, 1, 1, 1] });
    g.node('Reshape', ['g1', g.integers('apart', [0, 2, 6, 4, 4])], 'r1');
    g.node('Transpose', ['r1'], 't', { perm: [0, 2, 1, 3, 4] });
    g.node('Reshape', ['t', g.integers('together', [0, 12, 4, 4])], 'r2');
    g.node('Conv', ['r2', g.floats('hw', [8, 6, 1, 1])], 'g2', { group: 2 });
    g.node('Conv', ['g2', g.floats('ow', [2, 8, 1, 1])], 'y');
  },
  'many groups, whole ones'(g) {
    g.input('x', ['N', 3, 4, 4]);
    g.node('Conv', ['x', g.floats('w', [16, 3, 1, 1])], 'c');
    g.node('Conv', ['c', g.floats('gw', [8, 2, 3, 3]), g.floats('gb', [8])], 'g1', {
      group: 8,
      pads: [1, 1, 1, 1],
    });
    g.node('ConvTranspose', ['g1', g.floats('tw', [8, 3, 2, 2]), g.floats('tb', [24])], 'u', {
      group: 8,
      strides: [2, 2],
    });
    g.node('Conv', ['u', g.floats('ow', [2, 24, 1, 1])], 'y');
  },
  'squeeze and excite'(g) {
    g.input('x', ['N', 3, 4, 4]);
    g.node('Conv', ['x', g.floats('w', [8, 3, 3, 3])], 'c');
    g.node('ReduceMean', ['c'], 'm', { axes: [2, 3] });
    g.node('Conv', ['m', g.floats('dw', [4, 8, 1, 1])], 'd');
    g.node('Relu', ['d'], 'dr');
    g.node('Conv', ['dr', g.floats('uw', [8, 4, 1, 1])], 'u');
    g.node('Sigmoid', ['u'], 'gate');
    g.node('Mul', ['c', 'gate'], 'z');
    g.node('Conv', ['z', g.floats('ow', [2, 8, 1, 1])], 'y');
  },
  'slices, gathers, pads and resizes'(g) {
    g.input('x', ['N', 3, 4, 4]);
    g.node('Conv', ['x', g.floats('w', [10, 3, 1, 1])], 'c');
    const int = (name: string, values: number[]) => g.integers(name, values);
    g.node('Slice', ['c', int('s0', [2]), int('s1', [-1]), int('s2', [1])], 'sl');
    g.node('Gather', ['sl', int('picks', [5, 0, 3, 0])], 'ga', { axis: 1 });
    g.node('Pad', ['ga', int('pads', [0, 0, 1, 0, 0, 0, 1, 0])], 'pa');
    g.node('Resize', ['pa', '', '', int('sizes', [1, 4, 12, 8])], 're', { mode: 'nearest' });
    g.node('DepthToSpace', ['re'], 'ds', { blocksize: 2 });
    g.node('Conv', ['ds', g.floats('ow', [2, 1, 1, 1])], 'a');
    g.node('Conv', ['re', g.floats('pw', [2, 4, 1, 1])], 'b0');
    g.node('ReduceMean', ['b0'], 'b', { axes: [2, 3] });
    g.node('Add', ['a', 'b'], 'y');
  },
  'attention heads'(g) {
    const [t, heads, wide] = [5, 4, 6];
    const c = heads * wide;
    g.input('x', ['N', t, 8]);
    g.node('MatMul', ['x', g.floats('qkv', [8, 3 * c])], 'm');
    g.node('Add', ['m', g.floats('qkvb', [3 * c])], 'mb');
    g.node('Shape', ['x'], 'shape');
    g.node('Gather', ['shape', g.integers('first', [0])], 'n');
    g.node('Concat', ['n', g.integers('rest', [t, 3, heads, wide])], 'target', { axis: 0 });
    g.node('Reshape', ['mb', 'target'], 'r');
    g.node('Transpose', ['r'], 'tr', { perm: [2, 0, 3, 1, 4] });
    const part = (name: string, index: number) =>
      g.node('Gather', ['tr', g.integers(`${name}.i`, [index], [])], name, { axis: 0 });
    part('q', 0);
    part('k', 1);
    part('v', 2);
    g.node('Transpose', ['k'], 'kt', { perm: [0, 1, 3, 2] });
    g.node('MatMul', ['q', 'kt'], 'qk');
    g.node('Softmax', ['qk'], 'p', { axis: -1 });
    g.node('MatMul', ['p', 'v'], 'pv');
    g.node('Transpose', ['pv'], 'h', { perm: [0, 2, 1, 3] });
    g.node('Reshape', ['h', g.integers('back', [0, 0, -1])], 'hr');
    g.node('MatMul', ['hr', g.floats('o', [c, 8])], 'y');
  },
  'hidden units of LSTM and GRU'(g) {
    const [i, h] = [4, 6];
    g.input('x', [5, 1, i]);
    g.node(
      'LSTM',
      ['x', g.floats('lw', [2, 4 * h, i]), g.floats('lr', [2, 4 * h, h]), g.floats('lb', [2, 8 * h])],
      'l',
      {
        hidden_size: h,
        direction: 'bidirectional',
      },
    );
    g.node('Transpose', ['l'], 'lt', { perm: [0, 2, 1, 3] });
    g.node('Reshape', ['lt', g.integers('flat', [5, 1, 2 * h])], 'lf');
    g.node(
      'GRU',
      ['lf', g.floats('gw', [1, 3 * h, 2 * h]), g.floats('gr', [1, 3 * h, h]), g.floats('gb', [1, 6 * h])],
      'gy',
      {
        hidden_size: h,
        linear_before_reset: 1,
      },
    );
    g.node('Squeeze', ['gy', g.integers('one', [1])], 'gs');
    g.node('MatMul', ['gs', g.floats('ow', [h, 3])], 'y');
  },
};

describe('channels through', () => {
  it.each(Object.keys(turns))('%s', async (name) => {
    let removed = 0;
    for (let seed = 1; seed <= 4; seed += 1) {
      const g = new OnnxBuilder(seed);
      turns[name]?.(g);
      removed += await expectSameWhenSilent(g.output('y').model(), seed);
    }
    expect(removed).toBeGreaterThan(0);
  });

  it('an operator that nobody described, a softmax and an output keeps all of them', () => {
    const g = new OnnxBuilder(3);
    g.input('x', ['N', 4]);
    g.node('MatMul', ['x', g.floats('a', [4, 6])], 'm');
    g.node('Softmax', ['m'], 's', { axis: -1 });
    g.node('MatMul', ['s', g.floats('b', [6, 8])], 'n');
    g.node('Mystery', ['n'], 'o');
    g.node('MatMul', ['o', g.floats('c', [8, 5])], 'y');
    const model = g.output('y').model();
    const { groups, whole } = groupsOf(model, channelsOf(model));
    expect(groups).toEqual([]);
    expect([...whole.keys()]).toEqual(['Softmax Softmax:s', 'Mystery Mystery:o', 'MatMul MatMul:y']);
  });
});

describe('models at hand run without a third of what may go', () => {
  const named = (files: readonly string[]) => files.map((file) => [path.basename(file), file] as const);
  it.each(named(modelFiles('.onnx').filter((file) => !/skeletons|light_|superres/.test(file))))(
    '%s',
    async (_, file) => {
      const { model } = await runPass('simplify', readModelFile(file).model);
      const { channels, gone } = randomChoice(model, 5);
      const cut = withoutChannels(model, keptWithout(channels, gone)) as OnnxModel;
      const feeds = onnxFeeds(model, 3);
      const [before, after] = [await runOnnx(model as OnnxModel, feeds), await runOnnx(cut, feeds)];
      for (const [output, values] of Object.entries(before))
        expect(after[output]?.length).toBe(values.length);
      await expectSameWhenSilent(model as OnnxModel, 5);
      expect(withoutChannels(model, keptWithout(channels, new Set()))).toBe(model);
    },
  );

  it.each(named(modelFiles('.tflite').filter((file) => !/person_detect|str_ww/.test(file))))(
    '%s',
    async (_, file) => {
      const { model } = readModelFile(file);
      const { channels, gone } = randomChoice(model, 5);
      const cut = withoutChannels(model, keptWithout(channels, gone));
      const [before, after] = [await runTflite(model), await runTflite(cut)];
      for (const [output, values] of Object.entries(before))
        expect(after[output]?.length).toBe(values.length);
      expect(withoutChannels(model, keptWithout(channels, new Set()))).toBe(model);
      // Codes of zero stand for a zero only where the zero point is.
      if (!isFloat(model)) return;
      const quiet = silenced(model, gone);
      const less = withoutChannels(quiet, keptWithout(channels, gone));
      expect(relativeError(await runTflite(quiet), await runTflite(less))).toBeLessThan(1e-5);
    },
  );
});

/** A model whose file has no weights, with numbers in their place that are the same for no two. */
function withNumbers(model: Model): Model {
  const values = new Map(model.graphs[0].values);
  let number = 0;
  for (const [id, value] of values) {
    const { constant } = value;
    if (constant?.data.missing === undefined || constant.dtype !== 'float32') continue;
    number += 1;
    const data = new Float32Array(sizeOf(constant)).fill(1 / number);
    values.set(id, { ...value, constant: floatTensor(constant.dims, data) });
  }
  return withMainGraph(model, { ...model.graphs[0], values });
}

/** Groups that each architecture has: blocks, and stages of residual sums. */
const architectures = { resnet18: 12, mobilenet_v3_large: 30, efficientnet_b0: 40, swin_t: 24 } as const;

describe('architectures lose a third of every group', () => {
  const files = modelFiles('.onnx').flatMap((file) => {
    const groups = Object.entries(architectures).find(
      ([name]) => path.basename(file) === `${name}.onnx`,
    )?.[1];
    return groups === undefined ? [] : [[path.basename(file), file, groups] as const];
  });
  it.runIf(files.length > 0).each(files)('%s', async (_, file, expected) => {
    const simple = (await runPass('simplify', withNumbers(readModelFile(file).model))).model;
    const model = unshared(simple);
    const channels = channelsOf(model);
    const { groups } = groupsOf(model, channels);
    expect(groups.length).toBe(expected);
    const chosen = groups.map(({ classes }) => classes.filter((_of, i) => i % 3 === 1));
    const kept = keptWithout(channels, new Set(chosen.flat()));
    const cut = withoutChannels(model, kept);
    const [before, after] = [factsOf(model), factsOf(cut)];
    for (const node of model.graphs[0].nodes)
      for (const id of node.outputs) {
        const shape = before.typeOf(id)?.shape;
        if (id === null || shape === undefined) continue;
        const left = shape.map((dim, axis) => kept({ id, axis })?.length ?? dim);
        expect(after.typeOf(id)?.shape, id).toEqual(left);
      }
    const predicted = macsCostOf(model, groups)?.(chosen.map((each) => each.length)) as number;
    expect((analyse(cut).totals.macs as number) / predicted).toBeCloseTo(1, 6);
  });
});

/** Two residual blocks; the branch of the first one gives nothing but zeros. */
function withSilentBranch(): OnnxModel {
  const g = new OnnxBuilder(4);
  const conv = (name: string, from: string, o: number, i: number, value?: () => number) =>
    g.node(
      'Conv',
      [from, g.floats(`${name}.w`, [o, i, 3, 3], value), g.floats(`${name}.b`, [o], value)],
      name,
      {
        pads: [1, 1, 1, 1],
      },
    );
  g.input('x', ['N', 3, 8, 8]);
  conv('stem', 'x', 16, 3);
  g.node('Relu', ['stem'], 'a');
  conv('b1', 'a', 16, 16);
  g.node('Relu', ['b1'], 'b2');
  conv('b3', 'b2', 16, 16, () => 0);
  g.node('Add', ['b3', 'a'], 's');
  g.node('Relu', ['s'], 'c');
  conv('d1', 'c', 16, 16);
  g.node('Add', ['c', 'd1'], 't');
  g.node('GlobalAveragePool', ['t'], 'p');
  g.node('Flatten', ['p'], 'f');
  g.node('MatMul', ['f', g.floats('o.w', [16, 4])], 'y');
  return g.output('y').model();
}

describe('time in blocks of channels', () => {
  it('is that of whole blocks, and of single channels below one', () => {
    const g = new OnnxBuilder(2);
    g.input('x', [1, 3, 8, 8]);
    g.node('Conv', ['x', g.floats('a.w', [32, 3, 3, 3])], 'a');
    g.node('Conv', ['a', g.floats('b.w', [64, 32, 3, 3])], 'b');
    g.node('Conv', ['b', g.floats('c.w', [5, 64, 3, 3])], 'c');
    const model = g.output('c').model();
    const { groups } = groupsOf(model, channelsOf(model));
    expect(groups.map(({ classes }) => classes.length)).toEqual([32, 64]);
    const blocks = { outputs: 16, inputs: 16, start: 2, narrow: 1.3 };
    const device = builtinDevices.find(({ id }) => id === 'host') as DeviceProfile;
    const time = timeCostOf(model, groups, { device, blocks, onlyArithmetic: true });
    // Milliseconds of each layer by the estimator: 50 GMAC/s, the first layer at a quarter of that.
    const [a, b, c] = [32 * 27 * 36 * 4, 64 * 288 * 16, 5 * 576 * 4].map((macs) => macs / 50e6) as [
      number,
      number,
      number,
    ];
    expect(time([0, 0])).toBeCloseTo(a + b + c, 9);
    expect(time([8, 8])).toBeCloseTo(a + b + c, 9);
    expect(time([16, 0])).toBeCloseTo((a * 3) / 4 + b / 2 + c, 9);
    expect(time([16, 16])).toBeCloseTo((a * 3) / 4 + (b * 5) / 12 + (c * 3) / 4, 9);
    expect(time([24, 0])).toBeCloseTo((a * 3) / 4 + (b * 0.65) / 2 + c, 9);
  });
});

describe('sides of residual sums', () => {
  it('are those that something is computed for alone', () => {
    const found = branchesOf(withSilentBranch());
    expect(found.map(({ sum, keeps, macs }) => [sum, keeps, macs])).toEqual([
      ['Add:s', 'a', 2 * 64 * 16 * 16 * 9],
      ['Add:t', 'c', 64 * 16 * 16 * 9],
    ]);
  });

  it('that give zeros change nothing when they go', async () => {
    const model = withSilentBranch();
    const [branch] = branchesOf(model);
    const cut = withoutBranches(model, branch === undefined ? [] : [branch]);
    expect(cut.graphs[0].nodes.length).toBe(model.graphs[0].nodes.length - 4);
    const feeds = onnxFeeds(model, 3, 2);
    expect(relativeError(await runOnnx(model, feeds), await runOnnx(cut, feeds))).toBeLessThan(1e-5);
  });

  it('go before channels that say something', async () => {
    const model = withSilentBranch();
    const { model: pruned, notes } = await runPass('prune-channels', model, {
      options: { macs: 0.5 },
      calibrator: calibratorFor(model, undefined, 8),
    });
    expect(notes.join()).toContain('whole sides of residual sums went: Add:s');
    expect(pruned.graphs[0].nodes.map(({ op }) => op)).toEqual([
      'Conv',
      'Relu',
      'Conv',
      'Add',
      'GlobalAveragePool',
      'Flatten',
      'MatMul',
    ]);
    const feeds = onnxFeeds(model, 3, 2);
    expect(
      relativeError(await runOnnx(model, feeds), await runOnnx(pruned as OnnxModel, feeds)),
    ).toBeLessThan(1e-3);
  });
});

describe('prune-channels', () => {
  it.each([
    ['digits.tflite', 'stm32h743', '0.6'],
    ['digits.onnx', 'pi4', '0.75'],
    ['digits.tflite', 'stm32l4r5', '25 ms'],
  ])('meets a budget of latency on %s, %s, %s', async (name, id, latency) => {
    const { model } = readModelFile(path.join(samples, name));
    const device = builtinDevices.find((each) => each.id === id) as DeviceProfile;
    const calibrator = calibratorFor(model, path.join(samples, 'digits-calibration.npz'), 32);
    const { model: pruned, notes } = await runPass('prune-channels', model, {
      options: { latency, device: id, trials: false },
      calibrator,
    });
    const [was, is] = [model, pruned].map((each) => estimateOn(device, each, analyse(each)).latencyMs);
    const target = latency.endsWith('ms') ? Number.parseFloat(latency) : Number(latency) * (was as number);
    expect(is as number).toBeLessThanOrEqual(target);
    expect(is as number).toBeGreaterThan(0.6 * target);
    expect(notes.join()).toContain(`estimated latency on ${device.name}: ${was?.toPrecision(3)} ms before`);
  });

  it.each([
    ['0', 'auto'],
    ['fast', 'auto'],
    ['5 ms', 'auto'],
    ['5 ms', 'host'],
  ])('refuses latency=%s on %s', async (latency, device) => {
    const model = randomModel(2);
    const calibrator = calibratorFor(model, undefined, 2);
    await expect(
      runPass('prune-channels', model, { options: { latency, device }, calibrator }),
    ).rejects.toMatchObject({ reason: 'bad-option' });
  });

  it.each([{ macs: 1 }, { macs: 1, steps: 3 }])('changes nothing with %j', async (options) => {
    const model = randomModel(7);
    const result = await runPass('prune-channels', model, {
      options,
      calibrator: calibratorFor(model, undefined, 2),
    });
    expect(result.model).toBe(model);
  });

  it('takes as many hidden units as were asked for: recurrent kernels have no blocks', async () => {
    const g = new OnnxBuilder(4);
    const [i, h] = [8, 20];
    g.input('x', [6, 1, i]);
    const weights = [g.floats('w', [1, 4 * h, i]), g.floats('r', [1, 4 * h, h]), g.floats('b', [1, 8 * h])];
    g.node('LSTM', ['x', ...weights], 'l', { hidden_size: h });
    g.node('Squeeze', ['l', g.integers('one', [1])], 's');
    g.node('MatMul', ['s', g.floats('o', [h, 3])], 'y');
    const model = g.output('y').model(13);
    const calibrator = calibratorFor(model, undefined, 8);
    const { model: after } = await runPass('prune-channels', model, { options: { macs: 0.7 }, calibrator });
    const left = (analyse(after).totals.macs as number) / (analyse(model).totals.macs as number);
    expect(left).toBeLessThanOrEqual(0.7);
    expect(left).toBeGreaterThan(0.63);
  });

  it('needs calibration data', async () => {
    await expect(runPass('prune-channels', randomModel(1))).rejects.toMatchObject({ reason: 'bad-dataset' });
  });

  it.each(['digits.onnx', 'digits.tflite'])(
    'halves the arithmetic of %s',
    async (name) => {
      const { model } = readModelFile(path.join(samples, name));
      const test = path.join(samples, 'digits-test.npz');
      const calibrator = calibratorFor(model, path.join(samples, 'digits-calibration.npz'), 64);
      const halved = async (options: Record<string, number | boolean | string>) =>
        (await runPass('prune-channels', model, { options: { macs: 0.5, ...options }, calibrator })).model;
      const [repaired, plain] = [await halved({}), await halved({ repair: false, importance: 'magnitude' })];
      const share = (analyse(repaired).totals.macs as number) / (analyse(model).totals.macs as number);
      expect(share).toBeLessThanOrEqual(0.5);
      expect(share).toBeGreaterThan(0.4);
      const [reference, kept, sliced] = [
        await top1(model, test),
        await top1(repaired, test),
        await top1(plain, test),
      ];
      console.info(`prune-channels macs=0.5 ${name}: ${kept} of ${reference} %, sliced plainly ${sliced} %`);
      expect(reference - kept).toBeLessThan(3);
      expect(kept).toBeGreaterThan(sliced);
    },
    240_000,
  );
});
