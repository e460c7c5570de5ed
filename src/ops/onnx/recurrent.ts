import { intAttribute, stringAttribute } from '../../ir/attribute.ts';
import { combine } from '../dims.ts';
import { known } from '../known.ts';
import type { CostContext, Known, OpContext, OpCost, Operator, WeightRole } from '../operator.ts';
import { dtypeAt, macs, onnx, unknownCost } from './kit.ts';

function directions(context: OpContext): number {
  return stringAttribute(context.node, 'direction', 'forward') === 'bidirectional' ? 2 : 1;
}

/** The attribute, else the recurrent weight's last dimension ([directions, gates·H, H]). */
function hiddenSize(context: OpContext): number | string | null {
  const attribute = intAttribute(context.node, 'hidden_size', 0);
  return attribute > 0 ? attribute : (context.shape(2)?.[2] ?? null);
}

/** X is [T, N, I], or [N, T, I] with layout 1. Y: [T, D, N, H] or [N, T, D, H]; states [D, N, H] or [N, D, H]. */
function inferRecurrent(context: OpContext): readonly Known[] {
  const dtype = dtypeAt(context, 0);
  const x = context.shape(0);
  const hidden = hiddenSize(context);
  const d = directions(context);
  const batchFirst = intAttribute(context.node, 'layout', 0) === 1;
  const time = x?.[batchFirst ? 1 : 0] ?? null;
  const batch = x?.[batchFirst ? 0 : 1] ?? null;
  const all = batchFirst ? [batch, time, d, hidden] : [time, d, batch, hidden];
  const last = batchFirst ? [batch, d, hidden] : [d, batch, hidden];
  return [known(dtype, all), known(dtype, last), known(dtype, last)];
}

/** Gate products only: T·N·D·gates·H·(I + H). The gates' own arithmetic is a few operations per hidden unit. */
function recurrentCost(gates: number, gateOps: number): (context: CostContext) => OpCost {
  return (context) => {
    const x = context.shape(0);
    const hidden = hiddenSize(context);
    const steps = x && combine(x[0] ?? null, '*', x[1] ?? null);
    const input = x?.[2];
    if (typeof steps !== 'number' || typeof hidden !== 'number' || typeof input !== 'number')
      return unknownCost;
    const d = directions(context);
    const work = steps * d * hidden;
    return macs(
      work * gates * (input + hidden),
      `${steps} steps × ${d} directions × ${gates}·${hidden} gates × (${input} + ${hidden})`,
      work * gateOps,
    );
  };
}

const weights = (): readonly WeightRole[] => [
  { input: 1, kind: 'recurrent', outputAxis: 1, inputAxis: 2, bias: 3, activation: 0 },
  { input: 2, kind: 'recurrent', outputAxis: 1, inputAxis: 2, bias: 3, activation: 5 },
];

/** com.microsoft DynamicQuantizeLSTM keeps ONNX's shapes; its weights are transposed. */
const transposed = (): readonly WeightRole[] => [
  { input: 1, kind: 'recurrent', outputAxis: 2, inputAxis: 1, bias: 3, activation: 0 },
  { input: 2, kind: 'recurrent', outputAxis: 2, inputAxis: 1, bias: 3, activation: 5 },
];

export const recurrentOperators: readonly Operator[] = [
  onnx('LSTM', 'recurrent', inferRecurrent, { cost: recurrentCost(4, 21), weights }),
  onnx('GRU', 'recurrent', inferRecurrent, { cost: recurrentCost(3, 16), weights }),
  onnx('RNN', 'recurrent', inferRecurrent, { cost: recurrentCost(1, 3), weights }),
  onnx('DynamicQuantizeLSTM', 'recurrent', inferRecurrent, {
    domain: 'com.microsoft',
    cost: recurrentCost(4, 21),
    weights: transposed,
    settings: [8, 9, 10, 11],
  }),
];
