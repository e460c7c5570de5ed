import { intAttribute, intsAttribute, stringAttribute } from '../../ir/attribute.ts';
import type { Model, Node } from '../../ir/model.ts';
import type { Dim, Shape } from '../../ir/types.ts';
import { elementCount } from '../../ir/types.ts';
import { combine } from '../dims.ts';
import { known, numbersOf } from '../known.ts';
import type { CostContext, Known, OpContext, OpCost, Operator, WeightRole } from '../operator.ts';
import { weightDims } from '../weightDims.ts';
import {
  contribDomain,
  dtypeAt,
  macs,
  nchwcDomain,
  onnx,
  outputCount,
  unknownCost,
  unknownDims,
  outputsText,
  inputsText,
} from './kit.ts';

/** Where a convolution-like operator has its operands. */
interface Operands {
  readonly x: number;
  readonly w: number;
  readonly bias: number;
}

const plain: Operands = { x: 0, w: 1, bias: 2 };
const qlinear: Operands = { x: 0, w: 3, bias: 8 };
const noBias = -1;

/** Geometry of a sliding window, per spatial axis. */
interface Window {
  readonly kernel: readonly Dim[];
  readonly strides: readonly number[];
  readonly dilations: readonly number[];
  /** Begin and end padding, `[begin0, …, end0, …]`. */
  readonly pads: readonly number[];
  readonly autoPad: string;
  readonly ceil: boolean;
}

/** The window of Conv and the pooling operators. */
export function windowOf(node: Node, kernel: readonly Dim[]): Window {
  const rank = kernel.length;
  return {
    kernel,
    strides: intsAttribute(node, 'strides') ?? Array(rank).fill(1),
    dilations: intsAttribute(node, 'dilations') ?? Array(rank).fill(1),
    pads: intsAttribute(node, 'pads') ?? Array(2 * rank).fill(0),
    autoPad: stringAttribute(node, 'auto_pad', 'NOTSET'),
    ceil: intAttribute(node, 'ceil_mode', 0) !== 0,
  };
}

/** Output size of one spatial axis of a convolution or pooling. */
export function slidingDim(size: Dim, window: Window, axis: number): Dim {
  const stride = window.strides[axis] ?? 1;
  const kernel = window.kernel[axis] ?? null;
  if (window.autoPad === 'SAME_UPPER' || window.autoPad === 'SAME_LOWER') {
    return combine(combine(size, '+', stride - 1), '/', stride);
  }
  if (typeof kernel !== 'number') return null;
  const explicit = window.autoPad === 'VALID' ? 0 : paddingOf(window, axis);
  const extent = (window.dilations[axis] ?? 1) * (kernel - 1) + 1;
  const room = combine(size, '+', explicit - extent);
  if (!window.ceil) return atLeastZero(combine(combine(room, '/', stride), '+', 1));
  return ceilDim(size, room, stride, window, axis);
}

function paddingOf(window: Window, axis: number): number {
  return (window.pads[axis] ?? 0) + (window.pads[axis + window.kernel.length] ?? 0);
}

/** With ceil_mode a last window that would start in the end padding is dropped. */
function ceilDim(size: Dim, room: Dim, stride: number, window: Window, axis: number): Dim {
  const out = combine(combine(combine(room, '+', stride - 1), '/', stride), '+', 1);
  if (typeof out !== 'number' || typeof size !== 'number') return out;
  const begin = window.autoPad === 'VALID' ? 0 : (window.pads[axis] ?? 0);
  return atLeastZero((out - 1) * stride >= size + begin ? out - 1 : out);
}

function atLeastZero(dim: Dim): Dim {
  return typeof dim === 'number' ? Math.max(0, dim) : dim;
}

function convShape(context: OpContext, at: Operands): Shape | undefined {
  const x = context.shape(at.x);
  const w = context.shape(at.w);
  if (x === undefined) return w === undefined ? undefined : unknownDims(w.length);
  if (w === undefined) return unknownDims(x.length);
  const kernel = intsAttribute(context.node, 'kernel_shape') ?? w.slice(2);
  const window = windowOf(context.node, kernel);
  return [x[0] ?? null, w[0] ?? null, ...x.slice(2).map((size, axis) => slidingDim(size, window, axis))];
}

function convCost(at: Operands): (context: CostContext) => OpCost {
  return (context) => {
    const outputs = outputCount(context);
    const w = context.shape(at.w);
    const taps = elementCount(w?.slice(1));
    if (outputs === undefined || taps === undefined || w === undefined) return unknownCost;
    return macs(outputs * taps, `${outputsText(context)} × ${w.slice(1).join('·')} taps`);
  };
}

/** Depthwise: every group has a single input channel. Other grouped convolutions keep their input axis, per group. */
function isDepthwise(node: Node, model: Model, weight: number): boolean {
  if (intAttribute(node, 'group', 1) <= 1) return false;
  return weightDims(model, node.inputs[weight])?.[1] === 1;
}

function convWeights(at: Operands): (node: Node, model: Model) => readonly WeightRole[] {
  return (node, model) => {
    const depthwise = isDepthwise(node, model, at.w);
    return [
      {
        input: at.w,
        kind: depthwise ? 'depthwise' : 'conv',
        outputAxis: 0,
        ...(depthwise ? {} : { inputAxis: 1 }),
        ...(at.bias === noBias ? {} : { bias: at.bias }),
        activation: at.x,
      },
    ];
  };
}

/** Spatial size of a transposed convolution (ONNX ConvTranspose, output_shape wins over pads). */
function transposedDim(
  size: Dim,
  window: Window,
  axis: number,
  extra: number,
  wanted: number | undefined,
): Dim {
  if (wanted !== undefined) return wanted;
  const stride = window.strides[axis] ?? 1;
  const kernel = window.kernel[axis] ?? null;
  if (window.autoPad === 'SAME_UPPER' || window.autoPad === 'SAME_LOWER') return combine(size, '*', stride);
  if (typeof kernel !== 'number') return null;
  const extent = (window.dilations[axis] ?? 1) * (kernel - 1) + 1;
  const pads = window.autoPad === 'VALID' ? 0 : paddingOf(window, axis);
  return combine(combine(combine(size, '-', 1), '*', stride), '+', extra + extent - pads);
}

function inferConvTranspose(context: OpContext): readonly Known[] {
  const { node } = context;
  const x = context.shape(0);
  const w = context.shape(1);
  const dtype = dtypeAt(context, 0);
  if (x === undefined || w === undefined) return [known(dtype, x && unknownDims(x.length))];
  const kernel = intsAttribute(node, 'kernel_shape') ?? w.slice(2);
  const dynamic = node.op === 'ConvTransposeWithDynamicPads';
  const given = dynamic ? numbersOf(context.input(2)) : undefined;
  if (dynamic && given === undefined) return [known(dtype, unknownDims(x.length))];
  const window = { ...windowOf(node, kernel), ...(given !== undefined && { pads: given }) };
  const extra = intsAttribute(node, 'output_padding') ?? [];
  const wanted = intsAttribute(node, 'output_shape')?.slice(-kernel.length) ?? [];
  const channels = combine(w[1] ?? null, '*', intAttribute(node, 'group', 1));
  const spatial = x
    .slice(2)
    .map((size, axis) => transposedDim(size, window, axis, extra[axis] ?? 0, wanted[axis]));
  return [known(dtype, [x[0] ?? null, channels, ...spatial])];
}

function convTransposeCost(context: CostContext): OpCost {
  const inputs = elementCount(context.shape(0));
  const taps = elementCount(context.shape(1)?.slice(1));
  if (inputs === undefined || taps === undefined) return unknownCost;
  return macs(inputs * taps, `${inputsText(context)} × ${context.shape(1)?.slice(1).join('·')} taps`);
}

const transposeWeights = (node: Node): readonly WeightRole[] => {
  const bias = node.op === 'ConvTranspose' ? 2 : 3;
  return [{ input: 1, kind: 'conv-transpose', outputAxis: 1, inputAxis: 0, bias, activation: 0 }];
};

/** Weights of deformable convolution follow the offsets and come third in the cost, second in the inputs. */
const deform: Operands = { x: 0, w: 1, bias: 3 };

/** Channels last in the activations only. */
function inferChannelsLast(context: OpContext, at: Operands): readonly Known[] {
  const x = context.shape(at.x);
  const w = context.shape(at.w);
  const dtype = dtypeAt(context, 0);
  if (x === undefined || w === undefined) return [known(dtype, x && unknownDims(x.length))];
  const window = windowOf(context.node, intsAttribute(context.node, 'kernel_shape') ?? w.slice(2));
  const spatial = x.slice(1, -1).map((size, axis) => slidingDim(size, window, axis));
  return [known(dtype, [x[0] ?? null, ...spatial, w[0] ?? null])];
}

const conv = (name: string, at: Operands, more: Partial<Operator> = {}): Operator =>
  onnx(name, 'convolution', (context) => [known(dtypeAt(context, at.x), convShape(context, at))], {
    cost: convCost(at),
    weights: convWeights(at),
    ...more,
  });

export const convolutionOperators: readonly Operator[] = [
  conv('Conv', plain),
  conv('FusedConv', plain, { domain: contribDomain }),
  conv('DeformConv', deform),
  conv('QLinearConv', qlinear, {
    infer: (context) => [known(dtypeAt(context, 7) ?? dtypeAt(context, 0), convShape(context, qlinear))],
    settings: [1, 2, 4, 5, 6, 7],
  }),
  conv(
    'ConvInteger',
    { x: 0, w: 1, bias: noBias },
    {
      infer: (context) => [known('int32', convShape(context, plain))],
      settings: [2, 3],
    },
  ),
  ...['NhwcConv', 'NhwcFusedConv'].map((name) =>
    conv(name, plain, { domain: contribDomain, infer: (context) => inferChannelsLast(context, plain) }),
  ),
  conv('QLinearConv', qlinear, {
    domain: contribDomain,
    infer: (context) => {
      if (intAttribute(context.node, 'channels_last', 0) !== 0) return inferChannelsLast(context, qlinear);
      return [known(dtypeAt(context, 7) ?? dtypeAt(context, 0), convShape(context, qlinear))];
    },
    settings: [1, 2, 4, 5, 6, 7],
  }),
  conv('Conv', plain, { domain: nchwcDomain }),
  ...['ConvTranspose', 'ConvTransposeWithDynamicPads'].map((name) =>
    onnx(name, 'convolution', inferConvTranspose, {
      domain: name === 'ConvTranspose' ? '' : contribDomain,
      cost: convTransposeCost,
      weights: transposeWeights,
    }),
  ),
];
