import { analyse } from '../../../analysis/analyse.ts';
import { stringAttribute } from '../../../ir/attribute.ts';
import type { DType } from '../../../ir/dtype.ts';
import { KerfError } from '../../../ir/errors.ts';
import type { Graph, Node, OnnxModel, Quantization, TfliteModel, Value, ValueId } from '../../../ir/model.ts';
import { feedsOf } from '../../../ir/model.ts';
import { OnnxBuilder } from './builder.ts';
import type { Conversion, Rule } from './emission.ts';
import { codesOf, declared, Emission, quantizationOf } from './emission.ts';
import { convolutionRules } from './rules/convolution.ts';
import { customRules } from './rules/detection.ts';
import { indexingRules } from './rules/indexing.ts';
import { pointwiseRules } from './rules/pointwise.ts';
import { clipped } from './rules/pointwise.ts';
import { recurrentRules } from './rules/recurrent.ts';
import { reductionRules } from './rules/reduction.ts';
import { resizeRules } from './rules/resize.ts';
import { shapeRules } from './rules/shape.ts';

const rules: Readonly<Record<string, Rule>> = {
  ...convolutionRules,
  ...indexingRules,
  ...pointwiseRules,
  ...recurrentRules,
  ...reductionRules,
  ...resizeRules,
  ...shapeRules,
};

/** TFLite operators that the converter covers. */
export const convertibleToOnnx: readonly string[] = [...Object.keys(rules), ...Object.keys(customRules)];

function ruleOf(node: Node): Rule | undefined {
  return node.domain === 'custom' ? customRules[node.op] : rules[node.op];
}

/**
 * A TFLite model as ONNX. Axis order, names, and integer inputs and outputs stay; a quantized tensor becomes a
 * QuantizeLinear / DequantizeLinear pair; states become inputs and outputs. Convolutions stand between transposes, which
 * the pass `layout` takes away. Throws `KerfError('unsupported')` naming the layer and the reason.
 */
export function tfliteToOnnx(model: TfliteModel): { model: OnnxModel; notes: readonly string[] } {
  const graph = model.graphs[0];
  refuseUncovered(model, graph);
  const builder = new OnnxBuilder();
  const conversion: Conversion = {
    builder,
    graph,
    placed: new Map(),
    states: new Map(),
    notes: new Set(),
  };
  for (const id of [...graph.inputs, ...graph.outputs]) builder.reserve(id);
  for (const node of graph.nodes)
    for (const id of node.inputs)
      if (id !== null && graph.values.get(id)?.variable === true) builder.reserve(id);
  const inputs = feedsOf(graph).map((value) => placeInput(conversion, value));
  const stored = new Map<ValueId, ValueId>();
  for (const node of graph.nodes) {
    const emission = new Emission(node, conversion);
    const made = (ruleOf(node) as Rule)(emission);
    for (const [index, value] of (typeof made === 'string' ? [made] : made).entries())
      if (node.outputs[index] != null) finishValue(conversion, emission, index, value, stored);
  }
  // Exporters declare scalars where a custom operator decides.
  const inferred = analyse(model).types.get(graph);
  const resolved = (value: Value): Value => {
    const type = inferred?.get(value.id);
    return type === undefined ? value : { ...value, type };
  };
  const outputs = graph.outputs.map((id, place) => {
    // ONNX has one name for one end: an input that comes out again, or an output that comes twice, gets another.
    const name =
      graph.inputs.includes(id) || graph.outputs.indexOf(id) < place ? builder.free(`${id}_out`) : id;
    const { dtype, shape } = declared(resolved(graph.values.get(id) as Value));
    const value = graph.inputs.includes(id) ? id : (stored.get(id) ?? conversion.placed.get(id));
    if (value === undefined) throw new KerfError('unsupported', `output '${id}' is not computed`);
    if (name !== id) conversion.notes.add(`output '${id}' is named '${name}'`);
    return builder.output(value, name, dtype, shape);
  });
  for (const [id, { input, next }] of conversion.states) {
    const { shape } = declared(graph.values.get(id) as Value);
    inputs.push(input);
    outputs.push(builder.output(next ?? input, `${id}_next`, 'float32', shape));
  }
  return { model: builder.finish(graph.name || 'main', inputs, outputs), notes: [...conversion.notes] };
}

function placeInput({ builder, placed }: Conversion, value: Value): ValueId {
  const { dtype, shape } = declared(value);
  const input = builder.declare(value.id, dtype, shape);
  const quantization = quantizationOf(value);
  const real = quantization === undefined ? input : builder.dequantize(input, value.id, dtype, quantization);
  placed.set(value.id, real);
  return input;
}

/** Fused activation, then the tensor's own quantization. */
function finishValue(
  { builder, placed }: Conversion,
  emission: Emission,
  index: number,
  made: ValueId,
  stored: Map<ValueId, ValueId>,
): void {
  const output = emission.output(index);
  const quantization = quantizationOf(output);
  const { dtype } = declared(output);
  const activated = activate(emission, made, dtype, quantization);
  if (quantization === undefined) {
    placed.set(output.id, activated);
    return;
  }
  const integers = builder.quantize(activated, output.id, dtype, quantization);
  stored.set(output.id, integers);
  placed.set(output.id, builder.dequantize(integers, output.id, dtype, quantization));
}

/** A bound that the output's integer range already enforces needs no operator. */
function activate(
  emission: Emission,
  value: ValueId,
  dtype: DType,
  quantization: Quantization | undefined,
): ValueId {
  const kind = stringAttribute(emission.node, 'fused_activation_function', 'NONE');
  // Inside of recurrent operators it belongs to the cell.
  if (kind === 'NONE' || emission.node.op.endsWith('LSTM')) return value;
  const holds = (bound: number) => reached(bound, dtype, quantization);
  switch (kind) {
    case 'RELU':
      return holds(0) === 'lowest' ? value : emission.emit('Relu', [value]);
    case 'RELU6':
      return holds(0) === 'lowest' && holds(6) === 'highest' ? value : clipped(emission, value, 0, 6);
    case 'RELU_N1_TO_1':
      return clipped(emission, value, -1, 1);
    case 'TANH':
      return emission.emit('Tanh', [value]);
    default:
      return emission.refuse(`fused activation ${kind} is not covered`);
  }
}

/** Whether the code of a bound is the end of what the type can hold, or beyond it (LiteRT, kernel_util.cc). */
function reached(
  bound: number,
  dtype: DType,
  quantization: Quantization | undefined,
): 'lowest' | 'highest' | undefined {
  const codes = codesOf(dtype);
  if (quantization === undefined || codes === undefined) return undefined;
  const code = (quantization.zeroPoint[0] ?? 0) + Math.round(bound / (quantization.scale[0] as number));
  if (code <= codes[0]) return 'lowest';
  return code >= codes[1] ? 'highest' : undefined;
}

function refuseUncovered(model: TfliteModel, graph: Graph): void {
  const uncovered = new Set(graph.nodes.filter((node) => ruleOf(node) === undefined).map((node) => node.op));
  if (uncovered.size > 0)
    throw new KerfError(
      'unsupported',
      `the conversion to ONNX does not cover: ${[...uncovered].sort().join(', ')}`,
    );
  if (model.graphs.length > 1)
    throw new KerfError('unsupported', 'the conversion to ONNX does not cover models with several subgraphs');
}
