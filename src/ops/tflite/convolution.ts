import { intAttribute } from '../../ir/attribute.ts';
import type { Dim, Shape } from '../../ir/types.ts';
import { elementCount } from '../../ir/types.ts';
import { combine } from '../dims.ts';
import type { CostContext, OpContext, OpCost, Operator, WeightRole } from '../operator.ts';
import { contentAt, macsCost, outputCount, shaped, tflite, unknownCost, unknownDims } from './kit.ts';

/** One spatial axis: its letter in the option names. */
type Letter = 'd' | 'h' | 'w';

/** Output size of one axis: SAME divides by the stride and rounds up, VALID uses whole windows only. */
export function slidingDim(context: OpContext, size: Dim, kernel: Dim, letter: Letter): Dim {
  const stride = Math.max(1, intAttribute(context.node, `stride_${letter}`, 1));
  if (intAttribute(context.node, 'padding', 0) === 0)
    return combine(combine(size, '+', stride - 1), '/', stride);
  if (typeof kernel !== 'number') return null;
  const dilation = Math.max(1, intAttribute(context.node, `dilation_${letter}_factor`, 1));
  const room = combine(size, '-', dilation * (kernel - 1) + 1);
  const dim = combine(combine(room, '/', stride), '+', 1);
  return typeof dim === 'number' ? Math.max(0, dim) : dim;
}

/** Channels last: batch, spatial axes, channels. */
function convShape(letters: readonly Letter[], kernelFrom: number, outputAxis: number) {
  return (context: OpContext): Shape | undefined => {
    const x = context.shape(0);
    const w = context.shape(1);
    if (x === undefined || w === undefined) return x && unknownDims(x.length);
    const spatial = letters.map((letter, index) =>
      slidingDim(context, x[index + 1] ?? null, w[kernelFrom + index] ?? null, letter),
    );
    return [x[0] ?? null, ...spatial, w[outputAxis] ?? null];
  };
}

/** Every output element sums all taps of its filter. */
function convCost(outputAxis: number): (context: CostContext) => OpCost {
  return (context) => {
    const taps = context.shape(1)?.filter((_, axis) => axis !== outputAxis);
    const outputs = outputCount(context);
    const perOutput = elementCount(taps);
    if (taps === undefined || outputs === undefined || perOutput === undefined) return unknownCost;
    return macsCost(context, outputs * perOutput, `${outputs} outputs × ${taps.join('·')} taps`);
  };
}

/** Every input element goes into all taps of all filters (operands: output shape, weights, input, bias). */
function transposedCost(inputAxis: number): (context: CostContext) => OpCost {
  return (context) => {
    const w = context.shape(1);
    const taps = elementCount(w?.filter((_, axis) => axis !== inputAxis));
    const inputs = elementCount(context.shape(2));
    if (w === undefined || taps === undefined || inputs === undefined) return unknownCost;
    const text = w.filter((_, axis) => axis !== inputAxis).join('·');
    return macsCost(context, inputs * taps, `${inputs} inputs × ${text} taps`);
  };
}

/** The result's shape is an operand; without it SAME multiplies by the stride and VALID adds the overhang. */
function transposedShape(letters: readonly Letter[], kernelFrom: number, outputAxis: number) {
  return (context: OpContext): Shape | undefined => {
    const given = contentAt(context, 0);
    const x = context.shape(2);
    const w = context.shape(1);
    const channels = w?.[outputAxis] ?? null;
    if (given?.length === letters.length + 2)
      return [x?.[0] ?? given[0] ?? null, ...given.slice(1, -1), given.at(-1) ?? channels];
    if (x === undefined) return undefined;
    const spatial = letters.map((letter, index) => {
      const stride = intAttribute(context.node, `stride_${letter}`, 1);
      const kernel = w?.[kernelFrom + index] ?? null;
      const whole = combine(x[index + 1] ?? null, '*', stride);
      if (intAttribute(context.node, 'padding', 0) === 0) return whole;
      return typeof kernel === 'number' ? combine(whole, '+', Math.max(0, kernel - stride)) : null;
    });
    return [x[0] ?? null, ...spatial, channels];
  };
}

const weights =
  (role: WeightRole): (() => readonly WeightRole[]) =>
  () => [role];

const plane: readonly Letter[] = ['h', 'w'];
const volume: readonly Letter[] = ['d', 'h', 'w'];

/** Filters: CONV_2D OHWI, DEPTHWISE_CONV_2D 1HWC, TRANSPOSE_CONV OHWI, CONV_3D DHWIO, CONV_3D_TRANSPOSE DHWOI. */
export const convolutionOperators: readonly Operator[] = [
  tflite('CONV_2D', 'convolution', shaped(convShape(plane, 1, 0)), {
    cost: convCost(0),
    weights: weights({ input: 1, kind: 'conv', outputAxis: 0, inputAxis: 3, bias: 2, activation: 0 }),
  }),
  tflite('DEPTHWISE_CONV_2D', 'convolution', shaped(convShape(plane, 1, 3)), {
    cost: convCost(3),
    weights: weights({ input: 1, kind: 'depthwise', outputAxis: 3, bias: 2, activation: 0 }),
  }),
  tflite('TRANSPOSE_CONV', 'convolution', shaped(transposedShape(plane, 1, 0)), {
    cost: transposedCost(3),
    weights: weights({
      input: 1,
      kind: 'conv-transpose',
      outputAxis: 0,
      inputAxis: 3,
      bias: 3,
      activation: 2,
    }),
    settings: [0],
  }),
  tflite('CONV_3D', 'convolution', shaped(convShape(volume, 0, 4)), {
    cost: convCost(4),
    weights: weights({ input: 1, kind: 'conv', outputAxis: 4, inputAxis: 3, bias: 2, activation: 0 }),
  }),
  tflite('CONV_3D_TRANSPOSE', 'convolution', shaped(transposedShape(volume, 0, 3)), {
    cost: transposedCost(4),
    weights: weights({
      input: 1,
      kind: 'conv-transpose',
      outputAxis: 3,
      inputAxis: 4,
      bias: 3,
      activation: 2,
    }),
    settings: [0],
  }),
];
