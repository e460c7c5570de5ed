import { intAttribute } from '../../ir/attribute.ts';
import type { Model, Node } from '../../ir/model.ts';
import type { Dim, Shape } from '../../ir/types.ts';
import { elementCount } from '../../ir/types.ts';
import { combine } from '../dims.ts';
import type { CostContext, Known, OpContext, OpCost, Operator, WeightRole } from '../operator.ts';
import { has, macsCost, out, shaped, storedShape, tflite, unknownCost } from './kit.ts';

/** Where one direction of a recurrent operator has its weights: `[units, inputs]` matrices each. */
interface Direction {
  readonly input: readonly number[];
  readonly recurrent: readonly number[];
  readonly projection?: number;
}

const range = (from: number, to: number) => Array.from({ length: to - from + 1 }, (_, index) => from + index);

const lstm: Direction = { input: range(1, 4), recurrent: range(5, 8), projection: 16 };
const backward: Direction = { input: range(18, 21), recurrent: range(22, 25), projection: 33 };
const rnn: Direction = { input: [1], recurrent: [2] };
const backwardRnn: Direction = { input: [5], recurrent: [6] };

/** Sigmoids of three gates, two tanh and the products that update the cell, per unit and step. */
const lstmWork = 18;

function matrices({ input, recurrent, projection }: Direction): readonly number[] {
  return projection === undefined ? [...input, ...recurrent] : [...input, ...recurrent, projection];
}

/** Width of a direction's output: the columns of a recurrent matrix. */
function widthOf(context: OpContext, { recurrent }: Direction): Dim {
  const first = recurrent.find((index) => has(context.node, index));
  return first === undefined ? null : (context.shape(first)?.[1] ?? null);
}

/** The input's leading dimensions with another last one. */
function sequenceShape(context: OpContext, last: Dim): Shape | undefined {
  const x = context.shape(0);
  return x && [...x.slice(0, -1), last];
}

/** Every matrix meets every step of every sequence once. */
function matrixCost(context: CostContext, used: readonly number[], unitWork: number, units: number): OpCost {
  const x = context.shape(0);
  const rows = elementCount(x?.slice(0, -1));
  const present = used.filter((index) => has(context.node, index));
  const sizes = present.map((index) => elementCount(context.shape(index)));
  if (rows === undefined || sizes.some((size) => size === undefined)) return unknownCost;
  const weights = (sizes as number[]).reduce((total, size) => total + size, 0);
  const formula = `${rows} steps × ${weights} weights`;
  return macsCost(context, rows * weights, formula, rows * units * unitWork);
}

function cells(context: CostContext, { recurrent }: Direction): number {
  const first = recurrent.find((index) => has(context.node, index)) ?? -1;
  const rows = context.shape(first)?.[0];
  return typeof rows === 'number' ? rows : 0;
}

function roles(directions: readonly Direction[]): (node: Node) => readonly WeightRole[] {
  return (node) =>
    directions
      .flatMap(matrices)
      .filter((input) => has(node, input))
      .map((input) => ({ input, kind: 'recurrent' as const, outputAxis: 0, inputAxis: 1, activation: 0 }));
}

const isBasic = (node: Node) => intAttribute(node, 'kernel_type', 0) === 1;

/** The basic kernel has one matrix for all gates, `[4·units, inputs + units]`, and gives out its state too. */
function inferLstm(context: OpContext): readonly Known[] {
  if (!isBasic(context.node)) return [out(context, sequenceShape(context, widthOf(context, lstm)))];
  const batch = context.shape(0)?.[0] ?? null;
  const units = combine(context.shape(2)?.[0] ?? null, '/', 4);
  const joined = context.shape(2)?.[1] ?? null;
  const widths = [units, units, joined, combine(units, '*', 4)];
  return context.node.outputs.map((_, index) => out(context, [batch, widths[index] ?? null], index));
}

function lstmCost(context: CostContext): OpCost {
  if (!isBasic(context.node)) return matrixCost(context, matrices(lstm), lstmWork, cells(context, lstm));
  const rows = context.shape(2)?.[0];
  return matrixCost(context, [2], lstmWork, typeof rows === 'number' ? rows / 4 : 0);
}

function lstmWeights(node: Node): readonly WeightRole[] {
  if (!isBasic(node)) return roles([lstm])(node);
  return [{ input: 2, kind: 'recurrent', outputAxis: 0, inputAxis: 1, bias: 3, activation: 0 }];
}

function inferBidirectional(forward: Direction, back: Direction) {
  return (context: OpContext): readonly Known[] => {
    const [a, b] = [widthOf(context, forward), widthOf(context, back)];
    if (intAttribute(context.node, 'merge_outputs', 0) !== 0)
      return [out(context, sequenceShape(context, combine(a, '+', b)))];
    return [out(context, sequenceShape(context, a)), out(context, sequenceShape(context, b), 1)];
  };
}

const bidirectionalLstmCost = (context: CostContext): OpCost => {
  const units = cells(context, lstm) + cells(context, backward);
  return matrixCost(context, [...matrices(lstm), ...matrices(backward), ...range(40, 47)], lstmWork, units);
};

const bidirectionalRnnCost = (context: CostContext): OpCost =>
  matrixCost(context, [1, 2, 5, 6, 10, 11], 1, cells(context, rnn) + cells(context, backwardRnn));

function rnnShape(context: OpContext): Shape | undefined {
  return sequenceShape(context, context.shape(1)?.[0] ?? null);
}

/**
 * SVDF keeps the last `memory` results of each feature filter and weighs them in time
 * (Nakkiran et al., "Compressing Deep Neural Networks using a Rank-Constrained Topology", 2015).
 */
function svdfShape(context: OpContext): Shape | undefined {
  const rank = Math.max(1, intAttribute(context.node, 'rank', 1));
  return [context.shape(0)?.[0] ?? null, combine(context.shape(1)?.[0] ?? null, '/', rank)];
}

const svdfWeights = (node: Node, model: Model): readonly WeightRole[] => {
  const bias = storedShape(node, 3, model) === undefined ? {} : { bias: 3 };
  return [
    { input: 1, kind: 'recurrent', outputAxis: 0, inputAxis: 1, ...bias, activation: 0 },
    { input: 2, kind: 'recurrent', outputAxis: 0, activation: 0 },
  ];
};

const rnnOperator = (name: string): Operator =>
  tflite(name, 'recurrent', shaped(rnnShape), {
    cost: (context) => matrixCost(context, [1, 2], 1, cells(context, rnn)),
    weights: roles([rnn]),
  });

export const recurrentOperators: readonly Operator[] = [
  tflite('LSTM', 'recurrent', inferLstm, { cost: lstmCost, weights: lstmWeights }),
  tflite(
    'UNIDIRECTIONAL_SEQUENCE_LSTM',
    'recurrent',
    shaped((context) => sequenceShape(context, widthOf(context, lstm))),
    {
      cost: (context) => matrixCost(context, matrices(lstm), lstmWork, cells(context, lstm)),
      weights: roles([lstm]),
    },
  ),
  tflite('BIDIRECTIONAL_SEQUENCE_LSTM', 'recurrent', inferBidirectional(lstm, backward), {
    cost: bidirectionalLstmCost,
    weights: roles([lstm, backward]),
  }),
  rnnOperator('RNN'),
  rnnOperator('UNIDIRECTIONAL_SEQUENCE_RNN'),
  tflite('BIDIRECTIONAL_SEQUENCE_RNN', 'recurrent', inferBidirectional(rnn, backwardRnn), {
    cost: bidirectionalRnnCost,
    weights: roles([rnn, backwardRnn]),
  }),
  tflite('SVDF', 'recurrent', shaped(svdfShape), {
    cost: (context) => matrixCost(context, [1, 2], 0, 0),
    weights: svdfWeights,
  }),
];
