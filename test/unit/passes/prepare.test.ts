import { beforeAll, describe, expect, it } from 'vitest';
import { attr } from '../../../src/ir/attribute.ts';
import type { OnnxModel } from '../../../src/ir/model.ts';
import { denseBias } from '../../../src/passes/prepare/denseBias.ts';
import { splitHardSwish } from '../../../src/passes/prepare/hardSwish.ts';
import { widenChannels } from '../../../src/passes/prepare/widenChannels.ts';
import { factsOf } from '../../../src/passes/support/facts.ts';
import { useSourceRunner } from '../support/runner.ts';
import { OnnxBuilder, operatorsOf, runPass } from './build.ts';
import { calibratorFor, givenRanges } from './calibrate.ts';
import { onnxFeeds, optimizedOnnx, random, relativeError, runOnnx } from './runtime.ts';

beforeAll(useSourceRunner);

const all = () => true;
const lanes = { depthwise: 16, leastOutputs: 16, outputs: 4 };
const channelsOf = (model: OnnxModel, op = 'Conv') =>
  model.graphs[0].nodes
    .filter((node) => node.op === op)
    .map((node) => model.graphs[0].values.get(node.inputs[1] ?? '')?.constant?.dims.slice(0, 2));

function conv(g: OnnxBuilder, from: string, to: string, dims: readonly number[], group = 1): string {
  const window = [1, 1, dims[2] ?? 1, dims[3] ?? 1];
  const weight = g.floats(`${to}.w`, [...dims, ...window.slice(dims.length)]);
  const pad = (dims[2] ?? 1) >> 1;
  const bias = g.floats(`${to}.b`, [dims[0] as number]);
  return g.node('Conv', [from, weight, bias], to, { group, pads: [pad, pad, pad, pad] });
}

/** An inverted bottleneck with squeeze and excitation, `wide` channels inside and `squeezed` in the squeeze. */
function bottleneck(g: OnnxBuilder, from: string, to: string, wide: number, squeezed: number): string {
  const expanded = conv(g, from, `${to}.e`, [wide, 8]);
  const swish = g.node('HardSwish', [expanded], `${to}.h`);
  const filtered = g.node('Relu', [conv(g, swish, `${to}.d`, [wide, 1, 3, 3], wide)], `${to}.r`);
  const pooled = g.node('GlobalAveragePool', [filtered], `${to}.p`);
  const small = g.node('Relu', [conv(g, pooled, `${to}.s`, [squeezed, wide])], `${to}.t`);
  const gate = g.node('HardSigmoid', [conv(g, small, `${to}.u`, [wide, squeezed])], `${to}.g`, {
    alpha: attr.float(1 / 6),
  });
  const scaled = g.node('Mul', [filtered, gate], `${to}.m`);
  return g.node('Add', [conv(g, scaled, `${to}.o`, [8, wide]), from], to);
}

describe('widening channels', () => {
  it('fills depthwise layers and squeezes up and keeps the results', async () => {
    const g = new OnnxBuilder(3);
    g.input('x', ['N', 8, 7, 7]);
    bottleneck(g, 'x', 'y', 24, 6);
    const model = g.output('y').model(14);
    const { model: wide, layers } = widenChannels(model, factsOf(model), lanes, all);
    expect(layers).toBe(2);
    expect(channelsOf(wide)).toEqual([
      [32, 8],
      [32, 1],
      [16, 32],
      [32, 16],
      [8, 32],
    ]);
    const feeds = onnxFeeds(model, 2);
    expect(relativeError(await runOnnx(model, feeds), await runOnnx(wide, feeds))).toBeLessThan(1e-5);
  });

  it.each(Array.from({ length: 20 }, (_, seed) => seed))(
    'keeps the results of chains, seed %i',
    async (seed) => {
      const next = random(seed + 100);
      const g = new OnnxBuilder(seed);
      let value = g.input('x', ['N', 8, 5, 5]);
      const blocks = 1 + Math.floor(next() * 3);
      for (let i = 0; i < blocks; i += 1)
        value = bottleneck(g, value, `b${i}`, 12 + Math.floor(next() * 40), 1 + Math.floor(next() * 20));
      const model = g.output(value).model(14);
      const { model: wide } = widenChannels(model, factsOf(model), lanes, all);
      for (const [outputs = 0, inputs] of channelsOf(wide).map((dims) => dims ?? [])) {
        if (inputs !== 1) expect(outputs % 4).toBe(0);
      }
      const feeds = onnxFeeds(model, seed, 2);
      expect(relativeError(await runOnnx(model, feeds), await runOnnx(wide, feeds))).toBeLessThan(1e-5);
    },
  );

  it('leaves channels alone that leave the model, meet other operators or are not asked for', () => {
    const g = new OnnxBuilder(3);
    g.input('x', ['N', 24, 5, 5]);
    conv(g, 'x', 'fed', [24, 1, 3, 3], 24);
    conv(g, 'fed', 'a', [24, 24]);
    conv(g, 'a', 'left', [24, 1, 3, 3], 24);
    conv(g, 'left', 'b', [24, 24]);
    conv(g, 'b', 'turned', [24, 1, 3, 3], 24);
    g.node('Transpose', ['turned'], 'y', { perm: [0, 2, 3, 1] });
    const model = g.output('left').output('y').model();
    expect(widenChannels(model, factsOf(model), lanes, all).model).toBe(model);
    const h = new OnnxBuilder(3);
    h.input('x', ['N', 8, 7, 7]);
    bottleneck(h, 'x', 'y', 24, 16);
    const other = h.output('y').model(14);
    const others = widenChannels(other, factsOf(other), lanes, (node) => node.id !== 'Conv:y.o');
    expect(others.model).toBe(other);
  });
});

describe('HardSwish in parts', () => {
  it('is the same function', async () => {
    const g = new OnnxBuilder(3);
    g.input('x', ['N', 50]);
    g.node('Mul', ['x', g.floats('five', [], () => 5)], 'z');
    g.node('HardSwish', ['z'], 'y');
    const model = g.output('y').model(14);
    const split = splitHardSwish(model, all);
    expect(operatorsOf(split)).toBe('Mul:2 HardSigmoid:1');
    const feeds = onnxFeeds(model, 1, 4);
    expect(relativeError(await runOnnx(model, feeds), await runOnnx(split, feeds))).toBeLessThan(1e-6);
  });
});

describe('a bias added by an operator of its own', () => {
  const dense = (shape: readonly number[], bias: readonly number[], more = false) => {
    const g = new OnnxBuilder(3);
    g.node('MatMul', [g.input('x', shape), g.floats('w', [24, 10])], 'p');
    g.node('Add', more ? [g.floats('b', bias), 'p'] : ['p', g.floats('b', bias)], 'y');
    return g.output('y').model(14);
  };

  it.each([
    [[10], false],
    [[1, 10], true],
  ] as const)('%j goes into a Gemm and keeps the results', async (bias, first) => {
    const model = dense([5, 24], bias, first);
    const joined = denseBias(model, factsOf(model), all);
    expect(operatorsOf(joined)).toBe('Gemm:1');
    const feeds = onnxFeeds(model, 2);
    expect(relativeError(await runOnnx(model, feeds), await runOnnx(joined, feeds))).toBeLessThan(1e-6);
  });

  it('stays where it is no bias: per row, in one number, or of a product of more than two axes', () => {
    for (const model of [dense([5, 24], [5, 1]), dense([5, 24], [1]), dense([2, 5, 24], [10])])
      expect(denseBias(model, factsOf(model), all)).toBe(model);
  });

  it('does not keep static quantization from an integer kernel', async () => {
    const model = dense([5, 24], [1, 10]);
    const { model: quantized } = await runPass('quantize-static', model, {
      calibrator: calibratorFor(model, undefined, 4),
    });
    expect(operatorsOf(await optimizedOnnx(quantized as OnnxModel))).toContain('QGemm:1');
  });
});

it('static quantization says of a model without stored weights why it leaves it alone', async () => {
  const g = new OnnxBuilder(3);
  const weight = g.node('ConstantOfShape', [g.input('size', [2], 'int64')], 'w');
  g.node('MatMul', [g.input('x', [5, 24]), weight], 'y');
  const model = g.output('y').model(14);
  const { model: after, notes } = await runPass('quantize-static', model, { calibrator: givenRanges({}) });
  expect(after).toBe(model);
  expect(notes.join()).toContain('the weights of 1 layers are computed by the graph');
});
