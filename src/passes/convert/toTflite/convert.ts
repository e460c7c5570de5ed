import type { Analysis } from '../../../analysis/report.ts';
import type { DType } from '../../../ir/dtype.ts';
import { KerfError } from '../../../ir/errors.ts';
import type { Graph, Node, OnnxModel, TfliteModel, ValueId } from '../../../ir/model.ts';
import { feedsOf } from '../../../ir/model.ts';
import type { TensorType } from '../../../ir/types.ts';
import { isStatic } from '../../../ir/types.ts';
import type { Placed } from './builder.ts';
import { TfliteBuilder } from './builder.ts';
import type { Conversion, Rule, StoredCodes } from './emission.ts';
import { Emission } from './emission.ts';
import { convolutionRules } from './rules/convolution.ts';
import { pointwiseRules } from './rules/pointwise.ts';
import { productRules } from './rules/products.ts';
import { recurrentRules } from './rules/recurrent.ts';
import { reductionRules } from './rules/reduction.ts';
import { shapeRules } from './rules/shape.ts';

const rules: Readonly<Record<string, Rule>> = {
  ...convolutionRules,
  ...pointwiseRules,
  ...productRules,
  ...recurrentRules,
  ...reductionRules,
  ...shapeRules,
};

/**
 * A float ONNX model as TFLite. Names and axis order stay, so the same data feeds both; convolutions stand between
 * transposes, which the pass `layout` takes away. The model must be simplified (no Constant nodes). `codes` are weights
 * that stay integers. Throws `KerfError('unsupported')` naming the layer and the reason.
 */
export function onnxToTflite(
  model: OnnxModel,
  analysis: Analysis,
  codes: ReadonlyMap<ValueId, StoredCodes> = new Map(),
): { model: TfliteModel; notes: readonly string[] } {
  const graph = model.graphs[0];
  refuseUncovered(graph);
  const types = analysis.types.get(graph);
  const typeOf = (id: ValueId) => knownType(types?.get(id) ?? graph.values.get(id)?.type, id);
  const builder = new TfliteBuilder();
  const conversion: Conversion = {
    graph,
    builder,
    version: model.opsets.get('') ?? 0,
    placed: new Map(),
    codes,
    shape: (id) => typeOf(id).shape as readonly number[],
    dtype: (id) => typeOf(id).dtype,
  };
  const inputs = feedsOf(graph).map((value) => placeInput(conversion, value.id));
  for (const node of graph.nodes) emitNode(conversion, node);
  const ends = new Set(inputs.map((each) => each.id));
  const outputs = graph.outputs.map((id) => ({ value: placeOutput(conversion, id, ends), name: id }));
  const producer = `${model.producerName} ${model.producerVersion}`.trim();
  const description = producer === '' ? 'Converted from ONNX' : `Converted from ONNX (${producer})`;
  const notes = inputs.some((each) => each.shape.length === 4)
    ? ['inputs and outputs keep the order of axes that they have in ONNX (batch, channels, height, width)']
    : [];
  return { model: builder.finish(graph.name, inputs, outputs, description), notes };
}

function emitNode(conversion: Conversion, node: Node): void {
  const made = (rules[node.op] as Rule)(new Emission(node, conversion));
  const all = Array.isArray(made) ? (made as readonly Placed[]) : [made as Placed];
  for (const [index, id] of node.outputs.entries()) {
    const value = all[index];
    if (id !== null && value !== undefined) conversion.placed.set(id, value);
  }
}

const kept: readonly DType[] = ['float32', 'int32', 'bool'];

/** Integers are 32 bits wide inside. */
function placeInput({ builder, placed, shape, dtype }: Conversion, id: ValueId): Placed {
  const type = dtype(id);
  if (!kept.includes(type) && type !== 'int64')
    throw new KerfError('unsupported', `inputs of type ${type} are not covered by the conversion to TFLite`, {
      place: `input '${id}'`,
    });
  const input = builder.input(id, shape(id), type);
  placed.set(id, type === 'int64' ? builder.cast(input, 'int32', `${id}_int32`) : input);
  return input;
}

/** Outputs keep their type; what is an input or another output already is copied. */
function placeOutput({ builder, placed, dtype }: Conversion, id: ValueId, taken: Set<ValueId>): Placed {
  const value = placed.get(id);
  if (value === undefined)
    throw new KerfError('unsupported', 'it is not computed by any layer', { place: `output '${id}'` });
  const typed = dtype(id) === 'int64' ? builder.cast(value, 'int64', `${id}_int64`) : value;
  const own = taken.has(typed.id) ? builder.reshape(typed, typed.shape, `${id}_copy`) : typed;
  taken.add(own.id);
  return own;
}

function refuseUncovered(graph: Graph): void {
  const uncovered = new Set(
    graph.nodes
      .filter((node) => (node.domain !== '' && node.domain !== 'ai.onnx') || rules[node.op] === undefined)
      .map((node) => node.op),
  );
  if (uncovered.size === 0) return;
  throw new KerfError(
    'unsupported',
    `the conversion to TFLite does not cover: ${[...uncovered].sort().join(', ')}`,
  );
}

function knownType(type: unknown, id: ValueId): TensorType {
  const known = type as TensorType | undefined;
  if (known?.kind === 'tensor' && isStatic(known.shape)) return known;
  throw new KerfError(
    'unsupported',
    'its shape is not known before running; bind the free dimensions first (set-shape)',
    { place: `value '${id}'` },
  );
}
