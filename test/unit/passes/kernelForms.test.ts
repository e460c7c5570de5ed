import { beforeAll, describe, expect, it } from 'vitest';
import { targetRefusals } from '../../../src/devices/targets/refusal.ts';
import { targetFor } from '../../../src/devices/targets/registry.ts';
import type { TargetRules } from '../../../src/devices/targets/target.ts';
import { analyse } from '../../../src/analysis/analyse.ts';
import type { OnnxModel } from '../../../src/ir/model.ts';
import { quantizeOnnx } from '../../../src/passes/quantizeStatic/onnx.ts';
import { useSourceRunner } from '../support/runner.ts';
import { OnnxBuilder, runPass } from './build.ts';
import { calibratorFor } from './calibrate.ts';
import { onnxFeeds, optimizedOnnx, runOnnx, sqnrDb } from './runtime.ts';

beforeAll(useSourceRunner);

interface Shape {
  readonly channels: number;
  readonly filters: number;
  readonly window: readonly [rows: number, columns: number];
  readonly strides?: readonly [number, number];
  readonly dilations?: readonly [number, number];
  /** Top, left, bottom, right. */
  readonly pads?: readonly [number, number, number, number];
  readonly size: readonly [rows: number, columns: number];
  readonly activation?: 'Relu' | 'Clip';
  readonly batch?: number;
}

/** A first layer, what follows it in the same kernel, and a reader. */
function firstLayer(shape: Shape): OnnxModel {
  const { channels, filters, window, strides = [1, 1], dilations = [1, 1], pads = [0, 0, 0, 0] } = shape;
  const g = new OnnxBuilder(filters + channels);
  g.input('x', [shape.batch ?? 1, channels, ...shape.size]);
  const weight = g.floats('w', [filters, channels, ...window]);
  g.node('Conv', ['x', weight, g.floats('b', [filters])], 'y', { strides, dilations, pads });
  const bounds = [g.floats('low', [], () => 0), g.floats('high', [], () => 6)];
  if (shape.activation !== undefined)
    g.node(shape.activation, shape.activation === 'Clip' ? ['y', ...bounds] : ['y'], 'a');
  g.node('Conv', [shape.activation === undefined ? 'y' : 'a', g.floats('v', [16, filters, 1, 1])], 'z');
  return g.output('z').model(14);
}

async function quantized(model: OnnxModel, rules: TargetRules): Promise<OnnxModel> {
  const context = { seed: 1, step: async () => {}, calibrator: calibratorFor(model, undefined, 2) };
  const ranges = { method: 'minmax', percentile: 99.9, momentum: 0.9 } as const;
  const weights = { bits: 8, rounding: 'nearest', biasCorrection: false, bySize: false } as const;
  const options = { rules, perChannel: true, ranges, weights, equalize: false, packed: false };
  return (await quantizeOnnx(model, options, context)).model as OnnxModel;
}

const opsOf = (model: { readonly graphs: OnnxModel['graphs'] }) =>
  model.graphs[0].nodes.map((node) => node.op);
const rules = targetFor('ort-x86-vnni', 'onnx');
const plain: TargetRules = {
  ...rules,
  layout: Object.fromEntries(
    Object.entries(rules.layout ?? {}).filter(([key]) => key !== 'folding'),
  ) as NonNullable<TargetRules['layout']>,
};

describe('columns read together', () => {
  const shapes: readonly (readonly [string, Shape])[] = [
    [
      'images of three channels, stride 2',
      {
        channels: 3,
        filters: 32,
        window: [3, 3],
        strides: [2, 2],
        pads: [1, 1, 1, 1],
        size: [12, 16],
        activation: 'Clip',
      },
    ],
    [
      'a window of 7',
      {
        channels: 3,
        filters: 64,
        window: [7, 7],
        strides: [2, 2],
        pads: [3, 3, 3, 3],
        size: [16, 16],
        activation: 'Relu',
      },
    ],
    ['stride 1', { channels: 3, filters: 16, window: [3, 3], pads: [1, 1, 1, 1], size: [9, 12] }],
    [
      'one channel and more than one image',
      {
        channels: 1,
        filters: 24,
        window: [5, 5],
        pads: [2, 2, 2, 2],
        size: [8, 8],
        batch: 3,
        activation: 'Relu',
      },
    ],
    [
      'two channels',
      { channels: 2, filters: 16, window: [3, 3], strides: [2, 2], pads: [1, 1, 0, 0], size: [8, 8] },
    ],
    [
      'eight filters',
      {
        channels: 3,
        filters: 8,
        window: [3, 3],
        strides: [2, 2],
        pads: [0, 0, 1, 1],
        size: [12, 12],
        activation: 'Relu',
      },
    ],
    [
      'dilations',
      { channels: 3, filters: 16, window: [3, 3], dilations: [2, 3], pads: [2, 3, 2, 3], size: [10, 12] },
    ],
    [
      'rows and columns apart',
      { channels: 3, filters: 16, window: [2, 5], strides: [1, 2], pads: [1, 1, 0, 2], size: [7, 16] },
    ],
    ['patches', { channels: 3, filters: 48, window: [8, 8], strides: [8, 8], size: [16, 24] }],
    ['stride 3', { channels: 3, filters: 16, window: [3, 3], strides: [3, 3], size: [9, 12] }],
  ];

  it.each(shapes)('give the same codes: %s', async (_, shape) => {
    const model = firstLayer(shape);
    const folded = await quantized(model, rules);
    expect(opsOf(folded)).toContain('Reshape');
    const feeds = onnxFeeds(model, 5, shape.batch);
    const [a, b] = [await runOnnx(folded, feeds), await runOnnx(await quantized(model, plain), feeds)];
    expect(a).toEqual(b);
    expect(sqnrDb(await runOnnx(model, feeds), a)).toBeGreaterThan(25);
    expect(targetRefusals(folded, analyse(folded), rules)).toEqual([]);
  });

  it('move nothing but the input where the runtime keeps channels last', async () => {
    const folded = await quantized(firstLayer(shapes[0]?.[1] as Shape), rules);
    const ops = opsOf(await optimizedOnnx(folded, 'all'));
    // One into channels last, one back for the output.
    expect(ops.filter((op) => op === 'Transpose')).toHaveLength(2);
    expect(ops.filter((op) => op === 'QLinearConv')).toHaveLength(2);
    expect(ops).not.toContain('Pad');
  });

  it('are left alone where they do not come out even, or products with zeros would cost more', async () => {
    const even: Shape = { channels: 3, filters: 32, window: [3, 3], pads: [1, 1, 1, 1], size: [8, 8] };
    for (const shape of [
      { ...even, size: [8, 10] },
      { ...even, pads: [1, 1, 1, 0] },
      { ...even, filters: 64 },
      { ...even, channels: 4 },
    ] as const) {
      expect(opsOf(await quantized(firstLayer(shape), rules))).not.toContain('Reshape');
    }
  });

  it('are taken over when the model is quantized again', async () => {
    const model = firstLayer(shapes[0]?.[1] as Shape);
    const folded = await quantized(model, rules);
    const calibrator = calibratorFor(folded, undefined, 2);
    const { model: again } = await runPass('requantize', folded, { calibrator });
    const feeds = onnxFeeds(model, 5);
    expect(sqnrDb(await runOnnx(folded, feeds), await runOnnx(again, feeds))).toBeGreaterThan(40);
    expect(opsOf(await optimizedOnnx(again)).filter((op) => op === 'QLinearConv')).toHaveLength(2);
  });
});
