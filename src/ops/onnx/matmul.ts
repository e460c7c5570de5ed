import { intAttribute, stringAttribute } from '../../ir/attribute.ts';
import type { Dim, Shape } from '../../ir/types.ts';
import { elementCount } from '../../ir/types.ts';
import { broadcast } from '../dims.ts';
import { known } from '../known.ts';
import type { CostContext, Known, OpContext, OpCost, Operator } from '../operator.ts';
import { weightDims } from '../weightDims.ts';
import { contribDomain, dtypeAt, has, macs, onnx, outputCount, unknownCost, outputsText } from './kit.ts';
import { dtypeAttribute } from './shape.ts';

/** NumPy matmul: 1-D operands get a dimension that the result loses again; leading dimensions broadcast. */
function matmulShape(a: Shape | undefined, b: Shape | undefined): Shape | undefined {
  if (a === undefined || b === undefined || a.length === 0 || b.length === 0) return undefined;
  const left: Shape = a.length === 1 ? [1, ...a] : a;
  const right: Shape = b.length === 1 ? [...b, 1] : b;
  const batch = broadcast([left.slice(0, -2), right.slice(0, -2)]);
  const rows = a.length === 1 ? [] : left.slice(-2, -1);
  const columns = b.length === 1 ? [] : right.slice(-1);
  return [...batch, ...rows, ...columns];
}

/** Every output is a dot product along the last axis of `a`. */
function matmulCost(context: CostContext, a: Shape | undefined): OpCost {
  const outputs = outputCount(context);
  const depth = a?.at(-1);
  if (outputs === undefined || typeof depth !== 'number') return unknownCost;
  return macs(outputs * depth, `${outputsText(context)} × ${depth} products`);
}

function swapLast(shape: Shape | undefined, swap: boolean): Shape | undefined {
  if (!swap || shape === undefined || shape.length < 2) return shape;
  return [...shape.slice(0, -2), shape.at(-1) as Dim, shape.at(-2) as Dim];
}

/**
 * The right operand as a weight [… , in, out]. A vector has no output channels, so it is an operand like any other.
 */
function rightWeight(input: number, activation: number, bias?: number): NonNullable<Operator['weights']> {
  return (node, model) => {
    const rank = weightDims(model, node.inputs[input])?.length ?? 2;
    if (rank < 2) return [];
    const axes = { outputAxis: rank - 1, inputAxis: rank - 2 };
    return [{ input, kind: 'matmul', ...axes, activation, ...(bias !== undefined && { bias }) }];
  };
}

function gemmShape(context: OpContext, a: number, b: number): Shape | undefined {
  const left = context.shape(a);
  const right = context.shape(b);
  if (left?.length !== 2 || right?.length !== 2) return [null, null];
  const rows = left[intAttribute(context.node, 'transA', 0) ? 1 : 0] ?? null;
  const columns = right[intAttribute(context.node, 'transB', 0) ? 0 : 1] ?? null;
  return [rows, columns];
}

function gemmCost(context: CostContext): OpCost {
  const outputs = outputCount(context);
  const depth = context.shape(0)?.[intAttribute(context.node, 'transA', 0) ? 0 : 1];
  if (outputs === undefined || typeof depth !== 'number') return unknownCost;
  return macs(outputs * depth, `${outputsText(context)} × ${depth} products`);
}

const gemmWeights: Operator['weights'] = (node) => {
  const transposed = intAttribute(node, 'transB', 0) !== 0;
  const axes = transposed ? { outputAxis: 0, inputAxis: 1 } : { outputAxis: 1, inputAxis: 0 };
  return [{ input: 1, kind: 'matmul', ...axes, bias: 2, activation: 0 }];
};

/** com.microsoft FusedMatMul and TransposeMatMul. */
const fusedLeft = (context: OpContext) =>
  swapLast(context.shape(0), intAttribute(context.node, 'transA', 0) !== 0);
const fusedRight = (context: OpContext) =>
  swapLast(context.shape(1), intAttribute(context.node, 'transB', 0) !== 0);

/** Weights packed in blocks: the shape is in the attributes N and K, or in a third input (MatMulFpQ4). */
function inferNBits(context: OpContext): readonly Known[] {
  const a = context.shape(0);
  const listed = context.node.op === 'MatMulFpQ4' ? (context.input(2).content?.[1] ?? null) : undefined;
  const columns = listed === undefined ? intAttribute(context.node, 'N', 0) : listed;
  return [known(dtypeAt(context, 0), a && [...a.slice(0, -1), columns])];
}

interface Equation {
  /** Labels of each operand, one per axis. */
  readonly inputs: readonly (readonly string[])[];
  readonly output: readonly string[];
}

/**
 * The labels of an Einsum equation. An ellipsis stands for the axes a term does not name, which broadcast from the
 * right: they are labelled ~0, ~1, … from there. Without "->" the output has the ellipsis and the labels that occur once.
 */
function equationOf(context: OpContext): Equation | undefined {
  const [left = '', right] = stringAttribute(context.node, 'equation', '').replaceAll(' ', '').split('->');
  const terms = left.split(',');
  let broadcasts = 0;
  const inputs = terms.map((term, index) => {
    const hidden = (context.shape(index)?.length ?? Number.NaN) - term.replace('...', '').length;
    if (term.includes('.')) broadcasts = Math.max(broadcasts, hidden);
    return labelsOf(term, hidden);
  });
  if (Number.isNaN(broadcasts)) return undefined;
  if (right !== undefined) return { inputs, output: labelsOf(right, broadcasts) };
  const letters = terms.join('').replaceAll('.', '');
  const once = [...letters].sort().filter((label) => letters.indexOf(label) === letters.lastIndexOf(label));
  return { inputs, output: [...labelsOf('...', broadcasts), ...once] };
}

function labelsOf(term: string, hidden: number): readonly string[] {
  const at = term.indexOf('...');
  if (at < 0) return [...term];
  const count = Math.max(0, hidden || 0);
  const named = Array.from({ length: count }, (_, index) => `~${count - 1 - index}`);
  return [...term.slice(0, at), ...named, ...term.slice(at + 3)];
}

function labelSizes(context: OpContext, equation: Equation): ReadonlyMap<string, Dim> {
  const sizes = new Map<string, Dim>();
  equation.inputs.forEach((labels, index) => {
    context.shape(index)?.forEach((dim, axis) => {
      const label = labels[axis];
      const former = label === undefined ? undefined : sizes.get(label);
      if (label !== undefined && (typeof former !== 'number' || former === 1)) sizes.set(label, dim);
    });
  });
  return sizes;
}

function inferEinsum(context: OpContext): readonly Known[] {
  const equation = equationOf(context);
  if (equation === undefined) return [known(dtypeAt(context, 0), undefined)];
  const sizes = labelSizes(context, equation);
  return [
    known(
      dtypeAt(context, 0),
      equation.output.map((label) => sizes.get(label) ?? null),
    ),
  ];
}

/** One product per combination of all labels, as a single loop nest. */
function einsumCost(context: CostContext): OpCost {
  const equation = equationOf(context);
  const sizes = equation && [...labelSizes(context, equation).values()];
  const count = elementCount(sizes);
  if (equation === undefined || count === undefined) return unknownCost;
  if (equation.inputs.length === 1) return { macs: 0, otherOps: count, formula: `${count} additions` };
  const terms = equation.inputs.length - 1;
  return macs(count * terms, `${sizes?.join('·')} index combinations × ${terms}`);
}

export const matmulOperators: readonly Operator[] = [
  onnx(
    'MatMul',
    'matmul',
    (context) => [known(dtypeAt(context, 0), matmulShape(context.shape(0), context.shape(1)))],
    { cost: (context) => matmulCost(context, context.shape(0)), weights: rightWeight(1, 0) },
  ),
  onnx(
    'MatMulInteger',
    'matmul',
    (context) => [known('int32', matmulShape(context.shape(0), context.shape(1)))],
    {
      cost: (context) => matmulCost(context, context.shape(0)),
      weights: rightWeight(1, 0),
      settings: [2, 3],
    },
  ),
  ...['MatMulIntegerToFloat', 'DynamicQuantizeMatMul'].map((name) => {
    const dynamic = name === 'DynamicQuantizeMatMul';
    return onnx(
      name,
      'matmul',
      (context) => [known('float32', matmulShape(context.shape(0), context.shape(1)))],
      {
        domain: contribDomain,
        cost: (context) => matmulCost(context, context.shape(0)),
        weights: rightWeight(1, 0, dynamic ? 4 : 6),
        settings: dynamic ? [2, 3] : [2, 3, 4, 5],
      },
    );
  }),
  onnx(
    'QLinearMatMul',
    'matmul',
    (context) => [
      known(dtypeAt(context, 7) ?? dtypeAt(context, 0), matmulShape(context.shape(0), context.shape(3))),
    ],
    {
      cost: (context) => matmulCost(context, context.shape(0)),
      weights: rightWeight(3, 0),
      settings: [1, 2, 4, 5, 6, 7],
    },
  ),
  onnx('Gemm', 'matmul', (context) => [known(dtypeAt(context, 0), gemmShape(context, 0, 1))], {
    cost: gemmCost,
    weights: gemmWeights,
  }),
  onnx('FusedGemm', 'matmul', (context) => [known(dtypeAt(context, 0), gemmShape(context, 0, 1))], {
    domain: contribDomain,
    cost: gemmCost,
    weights: gemmWeights,
  }),
  onnx(
    'QGemm',
    'matmul',
    (context) => [known(has(context.node, 7) ? dtypeAt(context, 0) : 'float32', gemmShape(context, 0, 3))],
    {
      domain: contribDomain,
      cost: gemmCost,
      weights: (node) => {
        const transposed = intAttribute(node, 'transB', 0) !== 0;
        const axes = transposed ? { outputAxis: 0, inputAxis: 1 } : { outputAxis: 1, inputAxis: 0 };
        return [{ input: 3, kind: 'matmul', ...axes, bias: 6, activation: 0 }];
      },
      settings: [1, 2, 4, 5, 7, 8],
    },
  ),
  ...['FusedMatMul', 'FusedMatMulActivation', 'TransposeMatMul'].map((name) =>
    onnx(
      name,
      'matmul',
      (context) => [known(dtypeAt(context, 0), matmulShape(fusedLeft(context), fusedRight(context)))],
      {
        domain: contribDomain,
        cost: (context) => matmulCost(context, fusedLeft(context)),
        weights: (node) => {
          const transposed = intAttribute(node, 'transB', 0) !== 0;
          const axes = transposed ? { outputAxis: 0, inputAxis: 1 } : { outputAxis: 1, inputAxis: 0 };
          return [{ input: 1, kind: 'matmul', ...axes, activation: 0 }];
        },
      },
    ),
  ),
  ...['MatMulNBits', 'MatMulBnb4', 'MatMulFpQ4'].map((name) =>
    onnx(name, 'matmul', inferNBits, {
      domain: contribDomain,
      cost: (context) => matmulCost(context, context.shape(0)),
      weights: () => [
        {
          input: 1,
          kind: 'matmul',
          outputAxis: 0,
          inputAxis: 1,
          activation: 0,
          ...(name === 'MatMulNBits' && { bias: 5 }),
        },
      ],
      settings: [2, 3, 4],
    }),
  ),
  onnx(
    'MatMulInteger16',
    'matmul',
    (context) => [known('int32', matmulShape(context.shape(0), context.shape(1)))],
    {
      domain: contribDomain,
      cost: (context) => matmulCost(context, context.shape(0)),
      weights: rightWeight(1, 0),
    },
  ),
  onnx(
    'GemmFastGelu',
    'matmul',
    (context) => [known(dtypeAt(context, 0), matmulShape(context.shape(0), context.shape(1)))],
    {
      domain: contribDomain,
      cost: (context) => matmulCost(context, context.shape(0)),
      weights: rightWeight(1, 0, 2),
    },
  ),
  onnx(
    'GemmFloat8',
    'matmul',
    (context) => [known(dtypeAttribute(context, 'dtype', 'float32'), gemmShape(context, 0, 1))],
    { domain: contribDomain, cost: gemmCost, weights: gemmWeights, settings: [3, 4, 5] },
  ),
  onnx('Einsum', 'matmul', inferEinsum, { cost: einsumCost }),
];
