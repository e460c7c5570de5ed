import { intAttribute } from '../../ir/attribute.ts';
import type { Dim, Shape } from '../../ir/types.ts';
import { elementCount, isStatic } from '../../ir/types.ts';
import { takeAlong } from '../content.ts';
import { axisOf, combine, productOf } from '../dims.ts';
import { fitsContent, known, numbersOf, scalarOf } from '../known.ts';
import type { Known, OpContext, Operator } from '../operator.ts';
import { contribDomain, dtypeAt, onnx, perOutput } from './kit.ts';
import { smallContent } from './shape.ts';

function inferGather(context: OpContext): readonly Known[] {
  const x = context.shape(0);
  const indices = context.shape(1);
  const dtype = dtypeAt(context, 0);
  const axis = x && axisOf(intAttribute(context.node, 'axis', 0), x.length);
  if (x === undefined || indices === undefined || axis === undefined) return [known(dtype, undefined)];
  const shape = [...x.slice(0, axis), ...indices, ...x.slice(axis + 1)];
  const small = dtype !== undefined && fitsContent(dtype, elementCount(shape));
  return [known(dtype, shape, small ? gathered(context, x, axis) : undefined)];
}

function gathered(context: OpContext, x: Shape, axis: number): readonly Dim[] | undefined {
  const content = isStatic(x) ? smallContent(context, 0) : undefined;
  const picks = content && smallContent(context, 1) && numbersOf(context.input(1));
  if (content === undefined || picks === undefined || !isStatic(x)) return undefined;
  const size = x[axis] ?? 0;
  return takeAlong(
    content,
    x,
    axis,
    picks.map((index) => (index < 0 ? index + size : index)),
  );
}

/** One element for each index. */
const likeIndices = (context: OpContext): readonly Known[] => [known(dtypeAt(context, 0), context.shape(1))];

/** The last dimension of the indices addresses that many axes after the batch dimensions. */
function inferGatherND(context: OpContext): readonly Known[] {
  const x = context.shape(0);
  const indices = context.shape(1);
  const depth = indices?.at(-1);
  const dtype = dtypeAt(context, 0);
  if (x === undefined || indices === undefined || typeof depth !== 'number') return [known(dtype, undefined)];
  const batch = intAttribute(context.node, 'batch_dims', 0);
  return [known(dtype, [...indices.slice(0, -1), ...x.slice(batch + depth)])];
}

const sameAsData = (context: OpContext): readonly Known[] => [known(dtypeAt(context, 0), context.shape(0))];

/** Depth is a scalar input; the new axis is last by default. */
function inferOneHot(context: OpContext): readonly Known[] {
  const indices = context.shape(0);
  const dtype = dtypeAt(context, 2);
  if (indices === undefined) return [known(dtype, undefined)];
  const rank = indices.length + 1;
  const axis = axisOf(intAttribute(context.node, 'axis', -1), rank) ?? rank - 1;
  const depth = scalarOf(context.input(1)) ?? context.input(1).content?.[0] ?? null;
  return [known(dtype, [...indices.slice(0, axis), depth, ...indices.slice(axis)])];
}

/** How many elements are not zero depends on the data. */
const inferNonZero = (context: OpContext): readonly Known[] => {
  const x = context.shape(0);
  return [known('int64', [x === undefined ? null : Math.max(1, x.length), null])];
};

/** As many as the condition selects, where that is known; flattened without an axis. */
function inferCompress(context: OpContext): readonly Known[] {
  const condition = smallContent(context, 1) && numbersOf(context.input(1));
  return selected(context, condition === undefined ? null : condition.filter((value) => value !== 0).length);
}

function selected(context: OpContext, count: Dim): readonly Known[] {
  const x = context.shape(0);
  const axis = context.node.attributes.get('axis');
  if (axis?.kind !== 'int') return [known(dtypeAt(context, 0), [count])];
  const at = x && axisOf(Number(axis.value), x.length);
  return [
    known(
      dtypeAt(context, 0),
      x?.map((dim, index) => (index === at ? count : dim)),
    ),
  ];
}

function inferUnique(context: OpContext): readonly Known[] {
  const [values = {}] = selected(context, null);
  const counts = known('int64', [null]);
  const x = context.shape(0);
  const axis = context.node.attributes.get('axis');
  const at = axis?.kind === 'int' && x !== undefined ? axisOf(Number(axis.value), x.length) : undefined;
  // Where each element went has a place for every element, or slice along the axis.
  const places =
    x === undefined ? null : axis === undefined ? productOf(x) : at === undefined ? null : (x[at] ?? null);
  return [values, counts, known('int64', [places]), counts];
}

/** com.microsoft Unique: distinct values, where each element went, and how often each occurs. */
function inferContribUnique(context: OpContext): readonly Known[] {
  const [values = {}, , places = {}, counts = {}] = inferUnique(context);
  return [values, places, counts];
}

/** Rows (batch, class, box); how many survive depends on the scores. */
const inferSuppression = (): readonly Known[] => [known('int64', [null, 3])];

/** TensorScatter (a key-value cache update) and the scatter operators keep the data's shape. */
const scatter = ['Scatter', 'ScatterElements', 'ScatterND', 'TensorScatter'];

function embeddingShape(x: Shape | undefined, width: Dim): Shape | undefined {
  return x && [...x, width];
}

/** com.microsoft GatherBlockQuantized looks up rows of a packed table; `bits` values share one uint8. */
function inferBlockGather(context: OpContext): readonly Known[] {
  const table = context.shape(0);
  const packed = dtypeAt(context, 0) === 'uint8' ? 8 / intAttribute(context.node, 'bits', 4) : 1;
  const width = combine(table?.at(-1) ?? null, '*', packed);
  return [known(dtypeAt(context, 2), embeddingShape(context.shape(1), width))];
}

export const indexingOperators: readonly Operator[] = [
  onnx('Gather', 'movement', inferGather, {
    weights: (node) => [
      {
        input: 0,
        kind: 'embedding',
        outputAxis: intAttribute(node, 'axis', 0),
        activation: 1,
      },
    ],
  }),
  onnx('GatherElements', 'movement', likeIndices),
  onnx('GatherND', 'movement', inferGatherND),
  ...scatter.map((name) => onnx(name, 'movement', sameAsData)),
  onnx('OneHot', 'movement', inferOneHot, { settings: [2] }),
  onnx('NonZero', 'reduction', inferNonZero, { cost: perOutput(1) }),
  onnx('Compress', 'movement', inferCompress),
  onnx('Unique', 'reduction', inferUnique, { cost: perOutput(1) }),
  onnx('NonMaxSuppression', 'reduction', inferSuppression, {
    settings: [2, 3, 4],
    cost: () => ({
      macs: 0,
      otherOps: undefined,
      formula: 'unknown: the work depends on the scores',
    }),
  }),
  onnx('Unique', 'reduction', inferContribUnique, { domain: contribDomain, cost: perOutput(1) }),
  onnx('GatherND', 'movement', inferGatherND, { domain: contribDomain }),
  onnx('GatherBlockQuantized', 'movement', inferBlockGather, {
    domain: contribDomain,
    settings: [2, 3],
    weights: () => [{ input: 0, kind: 'embedding', outputAxis: 0, activation: 1 }],
  }),
];
