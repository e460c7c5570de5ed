import path from 'node:path';
import * as ort from 'onnxruntime-node';
import { beforeAll, describe, expect, it } from 'vitest';
import { readModelFile } from '../../../src/formats/io/models.ts';
import type { Model, OnnxModel } from '../../../src/ir/model.ts';
import { samples } from '../support/models.ts';
import { useSourceRunner } from '../support/runner.ts';
import { OnnxBuilder, operatorsOf, runPass } from './build.ts';
import { onnxFeeds, random, relativeError, runOnnx } from './runtime.ts';
import { runTflite } from './tflite.ts';

beforeAll(useSourceRunner);

const nhwc = [0, 2, 3, 1];
const nchw = [0, 3, 1, 2];

const transposes = (model: Model) =>
  model.graphs[0].nodes.filter((node) => node.op === 'Transpose' || node.op === 'TRANSPOSE').length;

async function cleaned(model: OnnxModel): Promise<OnnxModel> {
  const { model: after } = await runPass('layout', model);
  const feeds = onnxFeeds(model, 3);
  expect(relativeError(await runOnnx(model, feeds), await runOnnx(after, feeds))).toBeLessThan(1e-6);
  return after;
}

describe('layout', () => {
  it('moves transposes through operators that do not care, constants and axes along with them', async () => {
    const g = new OnnxBuilder(5);
    g.input('x', [1, 3, 6, 5]);
    g.node('Conv', ['x', g.floats('w', [4, 3, 1, 1])], 'c');
    g.node('Transpose', ['c'], 't', { perm: nhwc });
    g.node('Relu', ['t'], 'r');
    g.node('Add', ['r', g.floats('b', [4])], 'a');
    g.node('Mul', ['a', g.floats('m', [1, 6, 5, 1])], 'p');
    g.node('Concat', ['p', 'r'], 'k', { axis: 3 });
    g.node('Split', ['k', g.integers('sizes', [3, 5])], 's', { axis: -1 }, ['rest']);
    g.node('Pad', ['s', g.integers('pads', [0, 1, 0, 0, 0, 0, 2, 1])], 'd');
    g.node('ReduceMax', ['d'], 'q', { axes: [1, 2], keepdims: 1 });
    g.node('Transpose', ['q'], 'back', { perm: nchw });
    g.node('Conv', ['back', g.floats('v', [2, 4, 1, 1])], 'y');
    const after = await cleaned(g.output('y').model());
    expect(transposes(after)).toBe(0);
  });

  it('lets the ends take the order of the layers where asked', async () => {
    const g = new OnnxBuilder(8);
    const [h, w, c] = [4, 6, 3];
    g.input('x', [1, h, w, c]);
    g.node('Transpose', ['x'], 't', { perm: nchw });
    g.node('Conv', ['t', g.floats('w', [5, c, 1, 1])], 'c');
    g.node('Transpose', [g.node('Relu', ['c'], 'r')], 'y', { perm: nhwc });
    const model = g.output('y').model();
    expect(transposes((await runPass('layout', model)).model)).toBe(2);
    const { model: freed, notes } = await runPass('layout', model, { options: { ends: 'free' } });
    expect(operatorsOf(freed)).toBe('Conv:1 Relu:1');
    expect(notes).toContain('x is 1×3×4×6 now');
    expect(notes).toContain('y is 1×5×4×6 now');
    const next = random(3);
    const rows = Float32Array.from({ length: h * w * c }, () => next() - 0.5);
    const planes = rows.map((_, i) => rows[(i % (h * w)) * c + Math.floor(i / (h * w))] as number);
    const run = async (of: Model, data: Float32Array, dims: readonly number[]) =>
      (await runOnnx(of as OnnxModel, { x: new ort.Tensor('float32', data, dims) })).y as Float32Array;
    const [was, is] = [await run(model, rows, [1, h, w, c]), await run(freed, planes, [1, c, h, w])];
    expect(is).toHaveLength(was.length);
    is.forEach((value, i) => expect(value).toBe(was[(i % (h * w)) * 5 + Math.floor(i / (h * w))]));
  });

  it('keeps the order of ends that somebody reads as they are', async () => {
    const g = new OnnxBuilder(9);
    g.input('x', [1, 4, 6, 3]);
    g.node('Transpose', ['x'], 't', { perm: nchw });
    g.node('Conv', ['t', g.floats('w', [5, 3, 1, 1])], 'y');
    g.node('MatMul', ['x', g.floats('m', [3, 2])], 'z');
    const model = g.output('y').output('z').model();
    expect((await runPass('layout', model, { options: { ends: 'free' } })).model).toBe(model);
  });

  it('keeps both branches of a residual in one order', async () => {
    const g = new OnnxBuilder(6);
    g.input('x', [1, 4, 4, 4]);
    let last = g.node('Transpose', ['x'], 'in', { perm: nhwc });
    for (let i = 0; i < 3; i += 1) {
      const inner = g.node('Transpose', [last], `n${i}`, { perm: nchw });
      const conv = g.node('Conv', [inner, g.floats(`w${i}`, [4, 4, 3, 3])], `c${i}`, { pads: [1, 1, 1, 1] });
      const back = g.node('Transpose', [conv], `b${i}`, { perm: nhwc });
      last = g.node('Add', [g.node('Relu', [back], `r${i}`), last], `a${i}`);
    }
    g.node('Transpose', [last], 'y', { perm: nchw });
    const after = await cleaned(g.output('y').model());
    expect(transposes(after)).toBe(0);
    expect(after.graphs[0].outputs).toEqual(['y']);
  });

  it('leaves a graph alone in which no transpose pays', async () => {
    const g = new OnnxBuilder(7);
    g.input('x', [2, 3, 4]);
    g.node('Transpose', ['x'], 't', { perm: [0, 2, 1] });
    g.node('MatMul', ['t', g.floats('w', [3, 5])], 'y');
    const model = g.output('y').model();
    expect((await runPass('layout', model)).model).toBe(model);
  });

  it('keeps values that a body reads, and outputs in their order', async () => {
    const body = new OnnxBuilder();
    body.node('ReduceSum', ['r', body.integers('axes', [1])], 'inner', { keepdims: 0 });
    const other = new OnnxBuilder();
    other.node('ReduceSum', ['r', other.integers('axes', [1])], 'inner2', { keepdims: 0 });
    const g = new OnnxBuilder(8);
    g.input('x', [1, 3, 4, 5]);
    g.node('Transpose', ['x'], 't', { perm: nhwc });
    g.node('Relu', ['t'], 'r');
    g.node('Transpose', ['r'], 'y', { perm: nchw });
    g.node(
      'Greater',
      [g.node('ReduceMax', ['y'], 'top', { keepdims: 0 }), g.floats('zero', [], () => 0)],
      'cond',
    );
    g.node('If', ['cond'], 'z', {
      then_branch: body.output('inner').graph('then'),
      else_branch: other.output('inner2').graph('else'),
    });
    await cleaned(g.output('y').output('r').output('z').model());
  });

  it('never has more transposes and never another result on random graphs', async () => {
    for (let seed = 1; seed <= 60; seed += 1) {
      const model = randomGraph(seed);
      const after = await cleaned(model);
      expect(transposes(after), operatorsOf(model)).toBeLessThanOrEqual(transposes(model));
    }
  });

  it('works on TFLite', async () => {
    const { model } = readModelFile(path.join(samples, 'digits.tflite'));
    const { model: after } = await runPass('layout', model);
    expect(transposes(after)).toBeLessThanOrEqual(transposes(model));
    expect(relativeError(await runTflite(model), await runTflite(after))).toBeLessThan(1e-6);
  });
});

/** Transposes at random between operators of every kind. */
function randomGraph(seed: number): OnnxModel {
  const next = random(seed);
  const choose = (below: number) => Math.floor(next() * below);
  const g = new OnnxBuilder(seed);
  g.input('x', [1, 4, 4, 4]);
  const values = ['x'];
  for (let i = 0; i < 14; i += 1) {
    const name = `v${i}`;
    const pick = () => values[values.length - 1 - choose(Math.min(3, values.length))] as string;
    const kind = choose(8);
    if (kind < 3)
      g.node('Transpose', [pick()], name, { perm: [nhwc, nchw, [0, 1, 3, 2]][choose(3)] as number[] });
    else if (kind === 3) g.node('Relu', [pick()], name);
    else if (kind === 4) g.node('Add', [pick(), pick()], name);
    else if (kind === 5)
      g.node(
        'Mul',
        [pick(), g.floats(`k${i}`, [[4], [1], [4, 1, 1], [1, 4, 4, 4]][choose(4)] as number[])],
        name,
      );
    else if (kind === 6) g.node('Conv', [pick(), g.floats(`w${i}`, [4, 4, 1, 1])], name);
    else g.node('Softmax', [pick()], name, { axis: choose(4) });
    values.push(name);
  }
  for (const name of values.slice(-2)) g.output(name);
  return g.model();
}
