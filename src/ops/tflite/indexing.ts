import { intAttribute } from '../../ir/attribute.ts';
import type { Model, Node } from '../../ir/model.ts';
import type { Shape } from '../../ir/types.ts';
import { axisOf } from '../dims.ts';
import { dtypeOf, scalarOf } from '../known.ts';
import type { CostContext, Known, OpContext, OpCost, Operator, WeightRole } from '../operator.ts';
import {
  asDeclared,
  contentAt,
  out,
  outputCount,
  sameAsFirst,
  shaped,
  storedShape,
  tflite,
  work,
} from './kit.ts';

/** The indices' shape takes the place of the gathered axis; leading batch axes are common to both. */
function inferGather(context: OpContext): readonly Known[] {
  const x = context.shape(0);
  const at = context.shape(1);
  const axis = x && axisOf(intAttribute(context.node, 'axis', 0), x.length);
  if (x === undefined || at === undefined || axis === undefined) return [out(context, undefined)];
  const batch = intAttribute(context.node, 'batch_dims', 0);
  const shape = [
    ...x.slice(0, axis),
    ...at.slice(batch < 0 ? batch + at.length : batch),
    ...x.slice(axis + 1),
  ];
  const values = x.length === 1 ? contentAt(context, 0) : undefined;
  const indices = values && contentAt(context, 1);
  const content = indices?.map((index) => (typeof index === 'number' ? (values?.[index] ?? null) : null));
  return [out(context, shape, 0, { content })];
}

/** A table of constants that is looked up row by row is an embedding. */
function table(input: number, indices: number) {
  return (node: Node, model: Model): readonly WeightRole[] => {
    const stored = storedShape(node, input, model);
    if (stored?.constant !== true || stored.shape.length < 2) return [];
    return [{ input, kind: 'embedding', outputAxis: 0, inputAxis: 1, activation: indices }];
  };
}

function gatherNdShape(context: OpContext): Shape | undefined {
  const x = context.shape(0);
  const at = context.shape(1);
  const depth = at?.at(-1);
  return x && at && typeof depth === 'number' ? [...at.slice(0, -1), ...x.slice(depth)] : undefined;
}

/** Looks up rows of input 1 by the ids of input 0. */
function embeddingShape(context: OpContext): Shape | undefined {
  const ids = context.shape(0);
  const rows = context.shape(1);
  return ids && rows && [...ids, ...rows.slice(1)];
}

/** Indices, updates, shape. */
function inferScatterNd(context: OpContext): readonly Known[] {
  return [out(context, contentAt(context, 2), 0, { dtype: dtypeOf(context.input(1)) })];
}

/** Indices, depth, the two values. */
function inferOneHot(context: OpContext): readonly Known[] {
  const x = context.shape(0);
  const dtype = dtypeOf(context.input(2));
  if (x === undefined) return [out(context, undefined, 0, { dtype })];
  const given = intAttribute(context.node, 'axis', -1);
  const axis = given === -1 ? x.length : given;
  const depth = scalarOf(context.input(1)) ?? null;
  return [out(context, [...x.slice(0, axis), depth, ...x.slice(axis)], 0, { dtype })];
}

function matrixDiagShape(context: OpContext): Shape | undefined {
  const x = context.shape(0);
  return x && [...x, x.at(-1) ?? null];
}

/** No multiply-accumulates, and comparisons whose number follows from the data. */
const dataDependent = (): OpCost => ({
  macs: 0,
  otherOps: undefined,
  formula: 'unknown: the comparisons depend on data',
});

/** A binary search among the boundaries. */
function bucketizeCost(context: CostContext): OpCost {
  const boundaries = context.node.attributes.get('boundaries');
  const count = boundaries?.kind === 'floats' ? boundaries.value.length : 0;
  const steps = Math.ceil(Math.log2(count + 1));
  return work(context, outputCount(context), steps, 'outputs', `search among ${count} boundaries`);
}

const declared = (name: string, family: Operator['family'] = 'other') => tflite(name, family, asDeclared);

export const indexingOperators: readonly Operator[] = [
  tflite('GATHER', 'movement', inferGather, { weights: table(0, 1) }),
  tflite('GATHER_ND', 'movement', shaped(gatherNdShape)),
  tflite('EMBEDDING_LOOKUP', 'movement', shaped(embeddingShape), { weights: table(1, 0) }),
  declared('EMBEDDING_LOOKUP_SPARSE', 'movement'),
  tflite('SCATTER_ND', 'movement', inferScatterNd, { settings: [2] }),
  tflite('ONE_HOT', 'movement', inferOneHot, { settings: [1, 2, 3] }),
  tflite(
    'SPARSE_TO_DENSE',
    'movement',
    shaped((context) => contentAt(context, 1)),
    { settings: [1] },
  ),
  tflite('MATRIX_DIAG', 'movement', shaped(matrixDiagShape)),
  tflite('MATRIX_SET_DIAG', 'movement', sameAsFirst),
  declared('WHERE'),
  tflite('UNIQUE', 'other', asDeclared, { cost: dataDependent }),
  tflite('NON_MAX_SUPPRESSION_V4', 'other', asDeclared, { cost: dataDependent, settings: [2, 3, 4] }),
  tflite('NON_MAX_SUPPRESSION_V5', 'other', asDeclared, { cost: dataDependent, settings: [2, 3, 4, 5] }),
  declared('HASHTABLE'),
  declared('HASHTABLE_FIND'),
  declared('HASHTABLE_IMPORT'),
  declared('HASHTABLE_SIZE'),
  declared('HASHTABLE_LOOKUP'),
  tflite('BUCKETIZE', 'other', sameAsFirst, { cost: bucketizeCost }),
];
