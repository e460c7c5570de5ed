import { intAttribute, intsAttribute } from '../../ir/attribute.ts';
import type { Shape } from '../../ir/types.ts';
import { combine } from '../dims.ts';
import { known } from '../known.ts';
import type { CostContext, Known, OpContext, OpCost, Operator } from '../operator.ts';
import { slidingDim, windowOf } from './convolution.ts';
import {
  contribDomain,
  dtypeAt,
  inputCount,
  nchwcDomain,
  onnx,
  outputCount,
  unknownCost,
  unknownDims,
  outputsText,
  inputsText,
} from './kit.ts';

function poolShape(context: OpContext): Shape | undefined {
  const x = context.shape(0);
  if (x === undefined) return undefined;
  const kernel = intsAttribute(context.node, 'kernel_shape');
  if (kernel === undefined) return unknownDims(x.length);
  const window = windowOf(context.node, kernel);
  const channelsLast = intAttribute(context.node, 'channels_last', 0) !== 0;
  const first = channelsLast ? 1 : 2;
  const spatial = x.slice(first, first + kernel.length).map((size, axis) => slidingDim(size, window, axis));
  return [...x.slice(0, first), ...spatial, ...x.slice(first + kernel.length)];
}

/** Second output of MaxPool: the flat indices of the maxima. */
function inferPool(context: OpContext): readonly Known[] {
  const shape = poolShape(context);
  return [known(dtypeAt(context, 0), shape), known('int64', shape)];
}

/** One comparison or addition per tap of the window. */
function poolCost(context: CostContext): OpCost {
  const outputs = outputCount(context);
  const kernel = intsAttribute(context.node, 'kernel_shape');
  if (outputs === undefined || kernel === undefined) return unknownCost;
  const taps = kernel.reduce((product, size) => product * size, 1);
  return { macs: 0, otherOps: outputs * taps, formula: `${outputsText(context)} × ${kernel.join('·')} taps` };
}

/** Channels last whether or not an attribute says so. */
function inferNhwcPool(context: OpContext): readonly Known[] {
  const x = context.shape(0);
  const kernel = intsAttribute(context.node, 'kernel_shape');
  if (x === undefined || kernel === undefined)
    return [known(dtypeAt(context, 0), x && unknownDims(x.length))];
  const window = windowOf(context.node, kernel);
  const spatial = x.slice(1, -1).map((size, axis) => slidingDim(size, window, axis));
  return [known(dtypeAt(context, 0), [x[0] ?? null, ...spatial, x.at(-1) ?? null])];
}

function inferGlobalPool(context: OpContext): readonly Known[] {
  const x = context.shape(0);
  const last = intAttribute(context.node, 'channels_last', 0) !== 0;
  const keep = (axis: number) => axis === 0 || axis === (last ? (x?.length ?? 0) - 1 : 1);
  return [
    known(
      dtypeAt(context, 0),
      x?.map((dim, axis) => (keep(axis) ? dim : 1)),
    ),
  ];
}

function globalCost(context: CostContext): OpCost {
  const inputs = inputCount(context);
  if (inputs === undefined) return unknownCost;
  return { macs: 0, otherOps: inputs, formula: `${inputsText(context)} × 1` };
}

function inferUnpool(context: OpContext): readonly Known[] {
  const { node } = context;
  const dtype = dtypeAt(context, 0);
  const wanted = context.input(2).content;
  if (wanted !== undefined) return [known(dtype, wanted)];
  const x = context.shape(0);
  const kernel = intsAttribute(node, 'kernel_shape');
  if (x === undefined || kernel === undefined) return [known(dtype, x && unknownDims(x.length))];
  const strides = intsAttribute(node, 'strides') ?? kernel.map(() => 1);
  const pads = intsAttribute(node, 'pads') ?? [];
  const spatial = x.slice(2).map((size, axis) => {
    const grow = (kernel[axis] ?? 1) - (pads[axis] ?? 0) - (pads[axis + kernel.length] ?? 0);
    return combine(combine(combine(size, '-', 1), '*', strides[axis] ?? 1), '+', grow);
  });
  return [known(dtype, [...x.slice(0, 2), ...spatial])];
}

function inferRoiPool(context: OpContext, size: readonly number[]): readonly Known[] {
  const x = context.shape(0);
  const rois = context.shape(1);
  return [known(dtypeAt(context, 0), x && [rois?.[0] ?? null, x[1] ?? null, ...size])];
}

/** RoiAlign averages `sampling_ratio²` bilinear samples per output; a ratio of 0 depends on the boxes. */
function roiAlignCost(context: CostContext): OpCost {
  const outputs = outputCount(context);
  const ratio = intAttribute(context.node, 'sampling_ratio', 0);
  if (outputs === undefined || ratio === 0) {
    return { ...unknownCost, macs: 0, formula: 'unknown: the number of samples depends on the boxes' };
  }
  const work = 8 * ratio * ratio;
  return { macs: 0, otherOps: outputs * work, formula: `${outputsText(context)} × ${ratio}² samples × 8` };
}

/** Quantized pooling: x, its scale and zero point, the result's. */
const quantizedSettings = { settings: [1, 2, 3, 4] };

const pool = (name: string, domain = ''): Operator =>
  onnx(name, 'pooling', inferPool, {
    cost: poolCost,
    domain,
    ...(domain === contribDomain && quantizedSettings),
  });
const globalPool = (name: string, domain = ''): Operator =>
  onnx(name, 'pooling', inferGlobalPool, {
    cost: globalCost,
    domain,
    ...(domain === contribDomain && quantizedSettings),
  });

export const poolingOperators: readonly Operator[] = [
  pool('MaxPool'),
  pool('AveragePool'),
  pool('LpPool'),
  pool('QLinearAveragePool', contribDomain),
  globalPool('GlobalAveragePool'),
  globalPool('GlobalMaxPool'),
  globalPool('GlobalLpPool'),
  globalPool('QLinearGlobalAveragePool', contribDomain),
  ...['MaxPool', 'AveragePool'].map((name) => pool(name, nchwcDomain)),
  ...['GlobalAveragePool', 'GlobalMaxPool'].map((name) => globalPool(name, nchwcDomain)),
  onnx('NhwcMaxPool', 'pooling', inferNhwcPool, { domain: contribDomain, cost: poolCost }),
  onnx('MaxUnpool', 'pooling', inferUnpool),
  onnx('MaxRoiPool', 'pooling', (context) =>
    inferRoiPool(context, intsAttribute(context.node, 'pooled_shape') ?? []),
  ),
  onnx(
    'RoiAlign',
    'pooling',
    (context) =>
      inferRoiPool(context, [
        intAttribute(context.node, 'output_height', 1),
        intAttribute(context.node, 'output_width', 1),
      ]),
    { cost: roiAlignCost },
  ),
];
