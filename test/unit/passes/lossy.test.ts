import path from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { encodeModel } from '../../../src/formats/encode.ts';
import { readModelFile } from '../../../src/formats/io/models.ts';
import type { Model, OnnxModel } from '../../../src/ir/model.ts';
import { floatTensor, fromHalf, readFloats } from '../../../src/ir/numbers.ts';
import { indexOf } from '../../../src/ir/walk.ts';
import { passById, passes } from '../../../src/passes/registry.ts';
import { thresholdOf } from '../../../src/passes/support/threshold.ts';
import { hasShared, modelFiles, samples, shared } from '../support/models.ts';
import { useSourceRunner } from '../support/runner.ts';
import { top1 } from './accuracy.ts';
import type { RunOptions } from './build.ts';
import { OnnxBuilder, operatorsOf, runPass } from './build.ts';
import { calibratorFor } from './calibrate.ts';
import { onnxFeeds, optimizedOnnx, random, runOnnx, sqnrDb } from './runtime.ts';
import { runTflite } from './tflite.ts';

beforeAll(useSourceRunner);

const onnxFiles = modelFiles('.onnx')
  .filter((file) => !/skeletons|superres|fixtures|light_|_folded/.test(file))
  .map((file) => [path.basename(file), file] as const);
const tfliteFiles = modelFiles('.tflite')
  .filter((file) => /digits|fp32|float|Resnet\.|lstm\./.test(file))
  .map((file) => [path.basename(file), file] as const);

function weightBytes(model: Model): number {
  let sum = 0;
  for (const value of model.graphs[0].values.values()) sum += value.constant?.data.length ?? 0;
  return sum;
}

async function noiseOf(model: OnnxModel, after: OnnxModel): Promise<number> {
  const feeds = onnxFeeds(model, 7);
  return sqnrDb(await runOnnx(model, feeds), await runOnnx(after, feeds));
}

/** Options and the least SQNR on made-up inputs that they must keep. */
const settings: readonly (readonly [string, Readonly<Record<string, string | boolean>>, number])[] = [
  ['fp16', {}, 50],
  ['fp16', { mode: 'compute' }, 45],
  ['quantize-dynamic', {}, 35],
  ['quantize-dynamic', { conv: true }, 25],
];

/** The log-like spectrum at the head of this network does not take 8 bits well: the reason why `conv` is an option. */
const harder: Readonly<Record<string, number>> = { 'silero_vad_16k_op15.onnx': 12 };

describe.each(settings)('%s %j', (id, options, least) => {
  it.each(onnxFiles)('%s', async (name, file) => {
    const model = readModelFile(file).model as OnnxModel;
    const { model: after } = await runPass(id, model, { options });
    if (after === model) return;
    const noise = await noiseOf(model, after);
    console.info(`${id} ${JSON.stringify(options)} ${name}: ${noise.toFixed(1)} dB`);
    expect(noise).toBeGreaterThan(Math.min(least, harder[name] ?? least));
  });
});

describe('fp16 of TFLite', () => {
  it.each(tfliteFiles)('%s', async (_, file) => {
    const { model } = readModelFile(file);
    const { model: after } = await runPass('fp16', model);
    if (after === model) return;
    expect(sqnrDb(await runTflite(model), await runTflite(after))).toBeGreaterThan(50);
    expect(weightBytes(after)).toBeLessThan(0.9 * weightBytes(model));
  });
});

describe('fp16', () => {
  const convolution = (weight: (i: number) => number) => {
    const g = new OnnxBuilder();
    g.input('x', ['N', 16, 4, 4]);
    g.node('Conv', ['x', g.floats('w', [40, 16, 1, 1], weight)], 'y');
    return g.output('y').model();
  };

  it('rounds to nearest even and clamps what is too large', async () => {
    const model = convolution((i) => [1e6, -1e6, 1 + 2 ** -11, 1 + 3 * 2 ** -11, 2 ** -25, 0.1][i] ?? 0);
    const { model: after, notes } = await runPass('fp16', model);
    const stored = after.graphs[0].values.get('w_fp16')?.constant?.data.read() as Uint8Array;
    const view = new DataView(stored.buffer, stored.byteOffset);
    const numbers = [0, 1, 2, 3, 4, 5].map((i) => fromHalf(view.getUint16(2 * i, true)));
    expect(numbers).toEqual([65504, -65504, 1, 1 + 2 ** -9, 0, 0.0999755859375]);
    expect(notes).toContain('2 weights beyond ±65504 were clamped');
  });

  it('costs no operator at run time in storage mode', async () => {
    const { model: after } = await runPass(
      'fp16',
      convolution(() => 0.5),
    );
    expect(operatorsOf(after)).toBe('Cast:1 Conv:1');
    expect(operatorsOf(await optimizedOnnx(after))).toBe('Conv:1');
  });

  it('stores weight and bias of a TFLite layer together, as XNNPACK unpacks only whole layers', async () => {
    const { model } = readModelFile(path.join(samples, 'digits.tflite'));
    const { model: after } = await runPass('fp16', model);
    const { producer } = indexOf(after.graphs[0]);
    for (const node of after.graphs[0].nodes) {
      if (!/CONV|FULLY/.test(node.op)) continue;
      const ops = [1, 2].map((input) => producer.get(node.inputs[input] ?? '')?.op);
      expect(ops).toEqual(ops[0] === undefined ? [undefined, undefined] : ['DEQUANTIZE', 'DEQUANTIZE']);
    }
    expect(operatorsOf(after)).toMatch(/DEQUANTIZE:10/);
  });

  it('survives simplify', async () => {
    const { model: after } = await runPass(
      'fp16',
      convolution(() => 0.5),
    );
    expect((await runPass('simplify', after)).model).toBe(after);
  });

  it('keeps inputs and outputs in float32, and values that are read and leave', async () => {
    const g = new OnnxBuilder();
    g.input('x', ['N', 4]);
    g.node('Relu', ['x'], 'a');
    g.node('CumSum', ['a', g.integers('axis', [1], [])], 'b');
    g.node('Mul', ['b', 'a'], 'y');
    const model = g.output('a').output('y').model(14);
    const { model: after } = await runPass('fp16', model, { options: { mode: 'compute' } });
    expect(await noiseOf(model, after)).toBeGreaterThan(50);
    expect(after.graphs[0].outputs).toEqual(['a', 'y']);
    const types = [...after.graphs[0].inputs, ...after.graphs[0].outputs].map(
      (id) => after.graphs[0].values.get(id)?.type,
    );
    expect(types.map((type) => type?.kind === 'tensor' && type.dtype)).toEqual([
      'float32',
      'float32',
      'float32',
    ]);
  });
});

describe('dynamic quantization', () => {
  it.each([0, 1])('of a Gemm (transB=%i) and a MatMul is one kernel each', async (transB) => {
    const g = new OnnxBuilder(3);
    g.input('x', ['N', 64]);
    const weight = g.floats('w', transB === 1 ? [48, 64] : [64, 48]);
    g.node('Gemm', ['x', weight, g.floats('b', [48])], 'a', { transB });
    g.node('Relu', ['a'], 'r');
    g.node('MatMul', ['r', g.floats('v', [48, 32])], 'y');
    const model = g.output('y').model();
    const { model: after } = await runPass('quantize-dynamic', model);
    expect(operatorsOf(await optimizedOnnx(after))).toBe('DynamicQuantizeMatMul:2 Relu:1');
    expect(await noiseOf(model, after)).toBeGreaterThan(35);
    expect(weightBytes(after)).toBeLessThan(0.35 * weightBytes(model));
  });

  it('quantizes an input that several layers read once', async () => {
    const g = new OnnxBuilder(3);
    g.input('x', ['N', 64]);
    g.node('MatMul', ['x', g.floats('v', [64, 32])], 'a');
    g.node('MatMul', ['x', g.floats('w', [64, 32])], 'b');
    g.node('Add', ['a', 'b'], 'y');
    const { model: after } = await runPass('quantize-dynamic', g.output('y').model());
    expect(operatorsOf(after)).toMatch(/DynamicQuantizeLinear:1 /);
  });

  it('leaves small and non-constant matrices', async () => {
    const g = new OnnxBuilder(3);
    g.input('x', ['N', 8]);
    g.input('z', [8, 8]);
    g.node('MatMul', ['x', g.floats('v', [8, 8])], 'a');
    g.node('MatMul', ['a', 'z'], 'y');
    const model = g.output('y').model();
    const result = await runPass('quantize-dynamic', model);
    expect(result.model).toBe(model);
    expect(result.notes).toContain('1 layers with fewer than 1024 weights left float');
  });
});

function sparsityOf(model: Model, id: string): number {
  const constant = model.graphs[0].values.get(id)?.constant;
  const floats = constant === undefined ? new Float32Array() : readFloats(constant);
  return floats.filter((value) => value === 0).length / floats.length;
}

describe('magnitude pruning', () => {
  const layers = () => {
    const g = new OnnxBuilder(8);
    g.input('x', ['N', 8, 4, 4]);
    g.node('Conv', ['x', g.floats('w', [16, 8, 3, 3]), g.floats('b', [16])], 'a');
    g.node('Conv', ['a', g.floats('v', [16, 16, 1, 1], () => g.number() / 10)], 'y');
    return g.output('y').model();
  };

  it('reaches the share asked for, with one threshold or one per layer', async () => {
    const both = (model: Model) => [sparsityOf(model, 'w'), sparsityOf(model, 'v'), sparsityOf(model, 'b')];
    const each = await runPass('prune-magnitude', layers(), { options: { sparsity: 0.25, scope: 'layer' } });
    expect(both(each.model)).toEqual([0.25, 0.25, 0]);
    const all = await runPass('prune-magnitude', layers(), { options: { sparsity: 0.25, scope: 'global' } });
    const [w, v, b] = both(all.model) as [number, number, number];
    expect((w * 1152 + v * 256) / 1408).toBe(0.25);
    expect(v).toBeGreaterThan(w);
    expect(b).toBe(0);
  });

  it('does not care about the scale of a layer by default', async () => {
    const scaled = (scale: number) => {
      const g = new OnnxBuilder(8);
      g.input('x', ['N', 8, 4, 4]);
      g.node('Conv', ['x', g.floats('w', [16, 8, 3, 3])], 'a');
      g.node('Conv', ['a', g.floats('v', [16, 16, 1, 1], () => g.number() * scale)], 'y');
      return g.output('y').model();
    };
    const [one, other] = [
      await runPass('prune-magnitude', scaled(1)),
      await runPass('prune-magnitude', scaled(2 ** -6)),
    ];
    expect(sparsityOf(one.model, 'v')).toBe(sparsityOf(other.model, 'v'));
    expect(sparsityOf(one.model, 'w') * 1152 + sparsityOf(one.model, 'v') * 256).toBe(Math.round(0.3 * 1408));
  });

  it('keeps the two largest of every four along the input channels', async () => {
    const { model } = await runPass('prune-magnitude', layers(), { options: { pattern: '2:4' } });
    const floats = readFloats(
      model.graphs[0].values.get('w')?.constant ?? floatTensor([0], new Float32Array()),
    );
    const before = readFloats(
      layers().graphs[0].values.get('w')?.constant ?? floatTensor([0], new Float32Array()),
    );
    for (let o = 0; o < 16; o += 1) {
      for (let tap = 0; tap < 9; tap += 1) {
        for (const group of [0, 4]) {
          const at = [0, 1, 2, 3].map((i) => (o * 8 + group + i) * 9 + tap);
          const sizes = at.map((i) => Math.abs(before[i] as number)).toSorted((p, q) => q - p);
          const kept = at.filter((i) => floats[i] !== 0).map((i) => Math.abs(floats[i] as number));
          expect(kept.toSorted((p, q) => q - p)).toEqual(sizes.slice(0, 2));
        }
      }
    }
  });

  it('changes chosen layers only, and copies a weight that others read too', async () => {
    const g = new OnnxBuilder(8);
    g.input('x', ['N', 8, 4, 4]);
    g.floats('w', [8, 8, 1, 1]);
    g.node('Conv', ['x', 'w'], 'a');
    g.node('Conv', ['a', 'w'], 'y');
    const model = g.output('y').model();
    const { model: after, changed } = await runPass('prune-magnitude', model, {
      layers: ['Conv:y'],
      options: { sparsity: 0.5 },
    });
    expect(changed).toEqual(['Conv:y']);
    expect(sparsityOf(after, 'w')).toBe(0);
    expect(sparsityOf(after, 'w_pruned')).toBe(0.5);
  });

  it('prunes weights behind a Transpose', async () => {
    const g = new OnnxBuilder(8);
    g.input('x', ['N', 40]);
    g.node('Transpose', [g.floats('w', [30, 40])], 'wt', { perm: [1, 0] });
    g.node('MatMul', ['x', 'wt'], 'y');
    const options = { sparsity: 0.5 };
    const { model } = await runPass('prune-magnitude', g.output('y').model(), { options });
    expect(sparsityOf(model, 'wt')).toBe(0.5);
    const one = await runPass('prune-magnitude', g.output('y').model(), { options, layers: ['MatMul:y'] });
    expect(sparsityOf(one.model, 'wt')).toBe(0.5);
  });

  it('finds the exact quantile of many arrays, ties included', () => {
    const next = random(4);
    for (const share of [0, 0.1, 0.5, 0.77, 1]) {
      const parts = [37, 1, 500].map((n) =>
        Float32Array.from({ length: n }, () => Math.round(next() * 40 - 20) / 8),
      );
      const all = parts.flatMap((part) => [...part].map(Math.abs)).toSorted((a, b) => a - b);
      const threshold = thresholdOf(
        parts.map((part) => () => part),
        share,
      );
      const below = all.filter((size) => size < threshold.magnitude).length;
      expect(below + threshold.ties).toBe(Math.round(all.length * share));
    }
  });

  const accuracy = hasShared
    ? ([
        ['own/cifar_resnet.onnx', 'onnx', 1],
        ['own/cifar_vit.onnx', 'onnx', 2],
        ['tflite/pretrainedResnet.tflite', 'mlperf', 4],
      ] as const)
    : [];
  it.each(accuracy)(
    'of %s by default costs fewer points than it did when this was written',
    async (name, kind, most) => {
      const { model } = readModelFile(path.join(shared, 'models', name));
      const { model: after } = await runPass('prune-magnitude', model);
      const data = path.join(shared, `data/cifar10-test-2000.${kind}.json`);
      expect((await top1(model, data)) - (await top1(after, data))).toBeLessThan(most);
    },
    300_000,
  );
});

const bytesOf = (model: Model) => Buffer.concat(encodeModel(model).map((part) => part.read()));

describe('every pass', () => {
  it('has a declaration that its own defaults satisfy', () => {
    expect(new Set(passes.map((pass) => pass.id)).size).toBe(passes.length);
    for (const { options } of passes) {
      for (const option of options) {
        if (option.type === 'choice') expect(option.choices).toContain(option.default);
        if (option.type === 'number' || option.type === 'integer') {
          expect(option.default).toBeGreaterThanOrEqual(option.min);
          expect(option.default).toBeLessThanOrEqual(option.max);
        }
      }
    }
  });

  /** Surgery does what it is told, and nothing by itself. */
  const told: Readonly<Record<string, RunOptions>> = {
    extract: { options: { inputs: '/2/Relu_output_0' } },
    'remove-layers': { layers: ['/2/Relu', '/2/Relu_output_0'] },
    rename: { options: { names: 'image=picture' } },
    'set-shape': { options: { batch: '2' } },
    'io-types': { options: { input: 'uint8' } },
    preprocess: {},
    postprocess: {},
  };
  /** They change what nodes stand for, or what they are fed with, and name those nodes. */
  const relabelling = new Set(['rename', 'set-shape']);

  it.each(passes.map((pass) => [pass.id]))(
    '%s shares untouched nodes, names the touched ones and is deterministic',
    async (id) => {
      for (const name of ['digits.onnx', 'digits.tflite']) {
        const { model } = readModelFile(path.join(samples, name));
        if (passById(id)?.dialects.includes(model.dialect) === false) continue;
        const run = () => runPass(id, model, { ...told[id], calibrator: calibratorFor(model) });
        if (id === 'requantize') {
          await expect(run()).rejects.toMatchObject({ reason: 'unsupported' });
          continue;
        }
        const { model: after, changed } = await run();
        const listed = new Set(changed);
        const old = new Map(model.graphs[0].nodes.map((node) => [node.id, node]));
        for (const node of after.graphs[0].nodes) {
          const differs = old.get(node.id) !== node;
          if (differs || !relabelling.has(id)) expect(listed.has(node.id)).toBe(differs);
        }
        expect(after === model).toBe(changed.length === 0);
        expect(after.graphs[0].outputs).toEqual(model.graphs[0].outputs);
        const again = await run();
        expect(bytesOf(again.model).equals(bytesOf(after))).toBe(true);
      }
    },
  );

  const idle = passes.filter((pass) => told[pass.id] === undefined && pass.id !== 'requantize');
  it.each(idle.map((pass) => [pass.id]))('%s leaves a model without anything to do as it is', async (id) => {
    const g = new OnnxBuilder();
    g.input('x', ['N', 4]);
    g.node('Relu', ['x'], 'y');
    const model = g.output('y').model();
    const options = id === 'fp16' ? { mode: 'storage' } : {};
    const result = await runPass(id, model, { options, calibrator: calibratorFor(model) });
    expect(result.model).toBe(model);
  });
});
