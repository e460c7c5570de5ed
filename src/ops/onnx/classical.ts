import type { Attribute, Node } from '../../ir/model.ts';
import { intAttribute, stringAttribute } from '../../ir/attribute.ts';
import type { DType } from '../../ir/dtype.ts';
import type { Dim, Shape } from '../../ir/types.ts';
import { combine, productOf } from '../dims.ts';
import { known, tensorTypeOf } from '../known.ts';
import type { CostContext, Known, OpContext, OpCost, Operator, OpFamily } from '../operator.ts';
import { dtypeAt, inputCount, inputsText, onnx, perInput, unknownCost } from './kit.ts';

/** Operators of classical machine learning: linear models, support vectors, tree ensembles, encoders. */
const classicalDomain = 'ai.onnx.ml';

/** Elements of a list attribute, of whichever kind; 0 when it is absent. */
function lengthOf(node: Node, name: string): number {
  const attribute = node.attributes.get(name);
  return attribute !== undefined && isList(attribute) ? attribute.value.length : 0;
}

function isList(
  attribute: Attribute,
): attribute is Extract<Attribute, { kind: 'ints' | 'floats' | 'strings' }> {
  return attribute.kind === 'ints' || attribute.kind === 'floats' || attribute.kind === 'strings';
}

/** Rows of [N, F]; a single row may be given without its first axis. */
function rowsOf(shape: Shape | undefined): Dim {
  if (shape?.length === 1) return 1;
  return shape?.[0] ?? null;
}

/** One label per row, and a score per row and class. */
function classified(context: OpContext, classes: Dim): readonly Known[] {
  const text = ['classlabels_strings', 'classlabels_string'].some((name) => lengthOf(context.node, name) > 0);
  const rows = rowsOf(context.shape(0));
  return [known(text ? 'string' : 'int64', [rows]), known('float32', [rows, classes])];
}

function labelCount(node: Node): number {
  const names = ['classlabels_strings', 'classlabels_ints', 'classlabels_int64s'];
  return Math.max(...names.map((name) => lengthOf(node, name)));
}

/** A binary classifier may store one set of weights for two labels. */
function linearClasses(node: Node): number {
  const intercepts = lengthOf(node, 'intercepts');
  return intercepts <= 1 && labelCount(node) === 2 ? 2 : intercepts || labelCount(node);
}

function linearCost(context: CostContext): OpCost {
  const rows = rowsOf(context.shape(0));
  const coefficients = lengthOf(context.node, 'coefficients');
  if (typeof rows !== 'number' || coefficients === 0) return unknownCost;
  return {
    macs: rows * coefficients,
    otherOps: 0,
    formula: `${rows} rows × ${coefficients} coefficients`,
  };
}

/** Every row meets every support vector, in its kernel function. */
function supportCost(context: CostContext): OpCost {
  const rows = rowsOf(context.shape(0));
  const vectors = lengthOf(context.node, 'support_vectors');
  if (vectors === 0) return linearCost(context);
  if (typeof rows !== 'number') return unknownCost;
  return { macs: rows * vectors, otherOps: 0, formula: `${rows} rows × ${vectors} support vector elements` };
}

/** Each tree compares once per level, which depends on the row. */
const treeCost = (): OpCost => ({
  macs: 0,
  otherOps: undefined,
  formula: 'unknown: the paths through the trees depend on the data',
});

function targets(context: OpContext): Dim {
  const count = intAttribute(context.node, 'n_targets', 0);
  return count > 0 ? count : null;
}

function regressed(context: OpContext, dtype: DType | undefined, width: Dim): readonly Known[] {
  return [known(dtype, context.shape(0) && [rowsOf(context.shape(0)), width])];
}

/** The maximum number of classes a tree ensemble's leaves vote for. */
function treeClasses(node: Node): Dim {
  return labelCount(node) || null;
}

const valueTypes: readonly (readonly [name: string, dtype: DType])[] = [
  ['values_strings', 'string'],
  ['values_int64s', 'int64'],
  ['values_floats', 'float32'],
];

/** Version 1 mapped between the strings it lists and their positions, either way. */
function inferLabels(context: OpContext): readonly Known[] {
  const { node } = context;
  const tensor = node.attributes.get('values_tensor');
  const listed = valueTypes.find(([name]) => lengthOf(node, name) > 0)?.[1];
  const other: DType | undefined =
    dtypeAt(context, 0) === undefined ? undefined : dtypeAt(context, 0) === 'string' ? 'int64' : 'string';
  const dtype = tensor?.kind === 'tensor' ? tensor.value.dtype : (listed ?? other);
  return [known(dtype, context.shape(0))];
}

function inferCategories(context: OpContext): readonly Known[] {
  const dtype = dtypeAt(context, 0);
  return [known(dtype === undefined ? undefined : dtype === 'string' ? 'int64' : 'string', context.shape(0))];
}

/** Picks the columns that the second input lists. */
function inferExtract(context: OpContext): readonly Known[] {
  const x = context.shape(0);
  const indices = context.shape(1);
  const count = indices === undefined ? null : productOf(indices);
  const rows = x === undefined ? undefined : x.length === 1 ? [1] : x.slice(0, -1);
  return [known(dtypeAt(context, 0), rows && [...rows, count])];
}

function inferOneHot(context: OpContext): readonly Known[] {
  const x = context.shape(0);
  const width = Math.max(lengthOf(context.node, 'cats_int64s'), lengthOf(context.node, 'cats_strings'));
  return [known('float32', x && [...x, width])];
}

/** Features of all inputs side by side. */
function inferVectorizer(context: OpContext): readonly Known[] {
  const sizes = intListOf(context.node, 'inputdimensions');
  const width =
    sizes?.reduce((sum, size) => sum + size, 0) ??
    context.node.inputs
      .map((_, index) => context.shape(index)?.[1] ?? null)
      .reduce<Dim>((sum, size) => combine(sum, '+', size), 0);
  return [known('float32', [rowsOf(context.shape(0)), width])];
}

function intListOf(node: Node, name: string): readonly number[] | undefined {
  const attribute = node.attributes.get(name);
  return attribute?.kind === 'ints' ? attribute.value.map(Number) : undefined;
}

const castTargets: Readonly<Record<string, DType>> = {
  TO_FLOAT: 'float32',
  TO_INT64: 'int64',
  TO_STRING: 'string',
};

/** A dense map becomes as many elements as it has, a sparse one as many as `max_map` says. */
function inferCastMap(context: OpContext): readonly Known[] {
  const sparse = stringAttribute(context.node, 'map_form', 'DENSE') === 'SPARSE';
  const width = sparse ? intAttribute(context.node, 'max_map', 1) : null;
  return [known(castTargets[stringAttribute(context.node, 'cast_to', 'TO_FLOAT')], [1, width])];
}

/** One column per word of the dictionary. */
function inferDictionary(context: OpContext): readonly Known[] {
  const { type } = context.input(0);
  const value = type?.kind === 'map' ? tensorTypeOf({ type: type.value })?.dtype : undefined;
  const width = Math.max(
    lengthOf(context.node, 'string_vocabulary'),
    lengthOf(context.node, 'int64_vocabulary'),
  );
  return [known(value, [1, width])];
}

function inferZipMap(context: OpContext): readonly Known[] {
  const key: DType = lengthOf(context.node, 'classlabels_strings') > 0 ? 'string' : 'int64';
  const value = { kind: 'tensor', dtype: 'float32', shape: [] } as const;
  return [{ type: { kind: 'sequence', element: { kind: 'map', key, value } } }];
}

const floatLikeFirst = (context: OpContext): readonly Known[] => [known('float32', context.shape(0))];
const likeFirst = (context: OpContext): readonly Known[] => [known(dtypeAt(context, 0), context.shape(0))];

const ml = (name: string, family: OpFamily, infer: Operator['infer'], cost?: Operator['cost']): Operator =>
  onnx(name, family, infer, { domain: classicalDomain, ...(cost !== undefined && { cost }) });

/** A look-up in a table of keys: one probe per element. */
const lookUpCost = (context: CostContext): OpCost => {
  const count = inputCount(context);
  return count === undefined
    ? unknownCost
    : { macs: 0, otherOps: count, formula: `${inputsText(context)} × 1 (table look-up)` };
};

export const classicalOperators: readonly Operator[] = [
  ml('ArrayFeatureExtractor', 'movement', inferExtract),
  ml('Binarizer', 'elementwise', likeFirst, perInput(1)),
  ml('CastMap', 'movement', inferCastMap),
  ml('CategoryMapper', 'movement', inferCategories, lookUpCost),
  ml('DictVectorizer', 'movement', inferDictionary),
  ml('FeatureVectorizer', 'movement', inferVectorizer),
  ml('Imputer', 'elementwise', likeFirst, perInput(1)),
  ml('LabelEncoder', 'movement', inferLabels, lookUpCost),
  ml('LinearClassifier', 'matmul', (context) => classified(context, linearClasses(context.node)), linearCost),
  ml(
    'LinearRegressor',
    'matmul',
    (context) => regressed(context, 'float32', intAttribute(context.node, 'targets', 1)),
    linearCost,
  ),
  ml('Normalizer', 'normalization', floatLikeFirst, perInput(3)),
  ml('OneHotEncoder', 'movement', inferOneHot),
  ml('Scaler', 'elementwise', floatLikeFirst, perInput(2)),
  ml(
    'SVMClassifier',
    'matmul',
    (context) => classified(context, labelCount(context.node) || null),
    supportCost,
  ),
  ml('SVMRegressor', 'matmul', (context) => regressed(context, 'float32', 1), supportCost),
  ml(
    'TreeEnsemble',
    'other',
    (context) => regressed(context, dtypeAt(context, 0), targets(context)),
    treeCost,
  ),
  ml(
    'TreeEnsembleClassifier',
    'other',
    (context) => classified(context, treeClasses(context.node)),
    treeCost,
  ),
  ml(
    'TreeEnsembleRegressor',
    'other',
    (context) => regressed(context, 'float32', targets(context)),
    treeCost,
  ),
  ml('ZipMap', 'control', inferZipMap),
];
