import { KerfError } from '../../../ir/errors.ts';
import type { Graph, OnnxModel, TfliteModel, ValueId } from '../../../ir/model.ts';
import { feedsOf } from '../../../ir/model.ts';
import type { ValueType } from '../../../ir/types.ts';
import { isStatic } from '../../../ir/types.ts';
import type { Analysis } from '../../../analysis/report.ts';
import { convolutionRules } from './convolutions.ts';
import type { Emission, EmitRule } from './emission.ts';
import { constantOf } from './emission.ts';
import { otherRules } from './others.ts';
import type { Placed } from './builder.ts';
import { TfliteBuilder } from './builder.ts';

const rules: Readonly<Record<string, EmitRule>> = { ...convolutionRules, ...otherRules };

/** ONNX operators that the converter covers. */
export const convertibleToTflite: readonly string[] = Object.keys(rules);

/**
 * A float ONNX model as TFLite. Convolutions run in NHWC; inputs and outputs keep their names and their ONNX layout, so
 * the same data feeds both. The model must be simplified (no Constant nodes, static shapes) and in float32.
 * Throws `KerfError('unsupported')` naming the layer and the reason.
 */
export function onnxToTflite(
  model: OnnxModel,
  analysis: Analysis,
): { model: TfliteModel; notes: readonly string[] } {
  const graph = model.graphs[0];
  refuseUncovered(graph);
  const types = analysis.types.get(graph);
  const shape = (id: ValueId | null | undefined) => staticShape(graph, types, id);
  const builder = new TfliteBuilder();
  const placed = new Map<ValueId, Placed>();
  const inputs = feedsOf(graph).map((value) => {
    requireFloat(types?.get(value.id) ?? value.type, value.id);
    const input = builder.input(value.id, shape(value.id));
    placed.set(value.id, input);
    return input;
  });
  const version = model.opsets.get('') ?? 0;
  for (const node of graph.nodes) {
    const output = node.outputs[0] as ValueId;
    const emission: Emission = {
      node,
      builder,
      version,
      shape,
      name: output,
      output: shape(output),
      has: (index) => node.inputs[index] != null,
      constant: (index) => constantOf(graph, node.inputs[index]),
      input: (index) => operand(placed, node.inputs[index], node.id),
    };
    placed.set(output, (rules[node.op] as EmitRule)(emission));
  }
  const outputs = graph.outputs.map((id) => builder.inLayout(operand(placed, id, 'output'), 'onnx'));
  const description = `Converted from ONNX (${model.producerName} ${model.producerVersion})`.replace(
    ' )',
    ')',
  );
  const notes = inputs.some((each) => each.shape.length === 4)
    ? ['inputs and outputs keep the ONNX layout (NCHW); the converter adds what moves them to NHWC inside']
    : [];
  return { model: builder.finish(graph.name, inputs, outputs, description), notes };
}

function refuseUncovered(graph: Graph): void {
  const uncovered = new Set(
    graph.nodes.filter((node) => node.domain !== '' || rules[node.op] === undefined).map((node) => node.op),
  );
  if (uncovered.size === 0) return;
  throw new KerfError(
    'unsupported',
    `not covered yet by the conversion to TFLite: ${[...uncovered].sort().join(', ')}`,
  );
}

function requireFloat(type: ValueType | undefined, id: ValueId): void {
  if (type?.kind === 'tensor' && type.dtype === 'float32') return;
  throw new KerfError('unsupported', 'only float32 inputs are covered yet by the conversion to TFLite', {
    place: `input '${id}'`,
  });
}

function staticShape(
  graph: Graph,
  types: ReadonlyMap<ValueId, ValueType> | undefined,
  id: ValueId | null | undefined,
): readonly number[] {
  const type = id == null ? undefined : (types?.get(id) ?? graph.values.get(id)?.type);
  const shape = type?.kind === 'tensor' ? type.shape : undefined;
  if (isStatic(shape)) return shape;
  throw new KerfError(
    'unsupported',
    'its shape is not known before running; bind the free dimensions first',
    { place: `value '${id}'` },
  );
}

function operand(
  placed: ReadonlyMap<ValueId, Placed>,
  id: ValueId | null | undefined,
  reader: string,
): Placed {
  const value = id == null ? undefined : placed.get(id);
  if (value !== undefined) return value;
  throw new KerfError('unsupported', `'${id}' is a constant where the conversion expects a computed value`, {
    place: `layer '${reader}'`,
  });
}
