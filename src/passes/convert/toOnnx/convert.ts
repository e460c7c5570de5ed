import { analyse } from '../../../analysis/analyse.ts';
import { KerfError } from '../../../ir/errors.ts';
import type { Graph, Node, OnnxModel, TfliteModel, Value, ValueId } from '../../../ir/model.ts';
import { feedsOf } from '../../../ir/model.ts';
import { OnnxBuilder } from './builder.ts';
import type { Conversion, Rule } from './emission.ts';
import { activated, activatedCodes } from './activation.ts';
import { Emission } from './emission.ts';
import { declared, quantizationOf } from './values.ts';
import { withKnownConstants } from './narrow.ts';
import { convolutionRules } from './rules/convolution.ts';
import { controlRules } from './rules/control.ts';
import { detectionRules } from './rules/detection.ts';
import { indexingRules } from './rules/indexing.ts';
import { landmarkRules } from './rules/landmarks.ts';
import { mediapipeRules, refusals } from './rules/mediapipe.ts';
import { pointwiseRules } from './rules/pointwise.ts';
import { recurrentRules } from './rules/recurrent.ts';
import { reductionRules } from './rules/reduction.ts';
import { rescaleRules } from './rules/rescale.ts';
import { resizeRules } from './rules/resize.ts';
import { shapeRules } from './rules/shape.ts';
import { sumRules } from './rules/sums.ts';
import { chosenGraph, subgraphsOf } from './signatures.ts';
import { storageOf } from './storage.ts';

const rules: Readonly<Record<string, Rule>> = {
  ...controlRules,
  ...convolutionRules,
  ...indexingRules,
  ...pointwiseRules,
  ...recurrentRules,
  ...reductionRules,
  ...rescaleRules,
  ...resizeRules,
  ...shapeRules,
  ...sumRules,
};

const customRules: Readonly<Record<string, Rule>> = {
  ...detectionRules,
  ...landmarkRules,
  ...mediapipeRules,
};

function ruleOf(node: Node): Rule | undefined {
  return node.domain === 'custom' ? customRules[node.op] : rules[node.op];
}

/**
 * A TFLite model as ONNX. Axis order, names, and integer inputs and outputs stay; a quantized tensor becomes a
 * QuantizeLinear / DequantizeLinear pair; states become inputs and outputs. Convolutions stand between transposes, which
 * the pass `layout` takes away. Throws `KerfError('unsupported')` naming the layer and the reason.
 */
export function tfliteToOnnx(
  source: TfliteModel,
  options: { readonly signature?: string } = {},
): { model: OnnxModel; notes: readonly string[] } {
  const model = withKnownConstants(source);
  const { graph, notes } = chosenGraph(model, options.signature);
  refuseUncovered(model, graph);
  const builder = new OnnxBuilder();
  const conversion = conversionOf(model, graph, { builder, states: new Map(), notes: new Set(notes) });
  for (const id of [...graph.inputs, ...graph.outputs]) builder.reserve(id);
  for (const node of graph.nodes)
    for (const id of node.inputs)
      if (id !== null && graph.values.get(id)?.variable === true) builder.reserve(id);
  const inputs = feedsOf(graph).map((value) => placeInput(conversion, value));
  convertNodes(conversion);
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
    const end = graph.values.get(id) as Value;
    const { dtype, shape } = declared(resolved(end));
    const value = graph.inputs.includes(id) ? id : leaving(conversion, end);
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

function conversionOf(
  model: TfliteModel,
  graph: Graph,
  whole: Pick<Conversion, 'builder' | 'states' | 'notes'>,
): Conversion {
  return {
    ...whole,
    graph,
    placed: new Map(),
    codes: new Map(),
    rounded: new Set(),
    inline: (index, given) => {
      const inner = model.graphs[index];
      if (inner === undefined) throw new KerfError('unsupported', `there is no subgraph ${index}`);
      const conversion = conversionOf(model, inner, whole);
      inner.inputs.forEach((id, place) => conversion.placed.set(id, given[place] as ValueId));
      convertNodes(conversion);
      return inner.outputs.map((id) => madeBy(conversion, id));
    },
  };
}

/** An output of a subgraph: computed, passed through or constant. */
function madeBy(conversion: Conversion, id: ValueId): ValueId {
  const reader = {
    id,
    name: '',
    op: 'output',
    domain: '',
    inputs: [id],
    outputs: [id],
    attributes: new Map(),
  };
  return conversion.placed.get(id) ?? new Emission(reader, conversion).operand(0);
}

function convertNodes(conversion: Conversion): void {
  for (const node of conversion.graph.nodes) {
    const emission = new Emission(node, conversion);
    const made = (ruleOf(node) as Rule)(emission);
    for (const [index, value] of (typeof made === 'string' ? [made] : made).entries())
      if (node.outputs[index] != null) finishValue(conversion, emission, index, value);
  }
}

/** Layers that read codes through scales of their own; what stands at an input has to say what its codes mean. */
const rereading = new Set(['ADD', 'SUB', 'AVERAGE_POOL_2D', 'RESIZE_BILINEAR', 'QUANTIZE', 'LEAKY_RELU']);

function placeInput({ builder, placed, codes, graph }: Conversion, value: Value): ValueId {
  const { dtype, shape } = declared(value);
  const input = builder.declare(value.id, dtype, shape);
  const quantization = quantizationOf(value);
  const real = quantization === undefined ? input : builder.dequantize(input, value.id, dtype, quantization);
  placed.set(value.id, real);
  if (quantization === undefined) return input;
  const storage = storageOf(dtype, quantization);
  const reread = graph.nodes.some((node) => rereading.has(node.op) && node.inputs.includes(value.id));
  if (storage.dtype === dtype && !reread) {
    codes.set(value.id, input);
    return input;
  }
  const stored = builder.quantize(real, value.id, storage.dtype, storage.quantization);
  codes.set(value.id, stored);
  placed.set(value.id, builder.dequantize(stored, value.id, storage.dtype, storage.quantization));
  return input;
}

/** What an output of the model is: the file's own codes, or what was computed. */
function leaving({ builder, placed, codes, rounded }: Conversion, end: Value): ValueId {
  const real = placed.get(end.id);
  if (real === undefined) throw new KerfError('unsupported', `output '${end.id}' is not computed`);
  const stored = codes.get(end.id);
  const quantization = quantizationOf(end);
  if (stored === undefined || quantization === undefined) return real;
  const { dtype } = declared(end);
  return storageOf(dtype, quantization).dtype === dtype && !rounded.has(end.id)
    ? stored
    : builder.quantize(real, end.id, dtype, quantization);
}

/** Fused activation and the tensor's own quantization. */
function finishValue(
  { builder, placed, codes }: Conversion,
  emission: Emission,
  index: number,
  made: ValueId,
): void {
  const output = emission.output(index);
  const storage = emission.storage(index);
  if (storage === undefined) {
    placed.set(output.id, activated(emission, made));
    return;
  }
  const { dtype, quantization } = storage;
  // ONNX Runtime has no Clip of 16 bits.
  const bounded = dtype === 'uint8' ? made : activated(emission, made);
  const rounded = codes.get(output.id) ?? builder.quantize(bounded, output.id, dtype, quantization);
  const stored = dtype === 'uint8' ? activatedCodes(emission, rounded, storage) : rounded;
  codes.set(output.id, stored);
  placed.set(output.id, builder.dequantize(stored, output.id, dtype, quantization));
}

function refuseUncovered(model: TfliteModel, graph: Graph): void {
  const { inside, uncovered } = reached(model, graph);
  if (uncovered.size > 0)
    throw new KerfError(
      'unsupported',
      `the conversion to ONNX does not cover: ${[...uncovered].sort().join(', ')}${reasons(uncovered)}`,
    );
  const holdsState = [...inside].find((each) =>
    [...each.values.values()].some(({ variable }) => variable === true),
  );
  if (holdsState !== undefined)
    throw new KerfError(
      'unsupported',
      `the conversion to ONNX does not cover states inside of branches and loops (subgraph '${holdsState.name}')`,
    );
}

function reasons(uncovered: ReadonlySet<string>): string {
  const known = [...new Set([...uncovered].flatMap((op) => refusals[op] ?? []))];
  return known.length === 0 ? '' : ` (${known.join('; ')})`;
}

/** Subgraphs that a graph runs, and operators in any of them that no rule covers. */
function reached(
  model: TfliteModel,
  graph: Graph,
): { inside: ReadonlySet<Graph>; uncovered: ReadonlySet<string> } {
  const inside = subgraphsOf(model, graph);
  const nodes = [graph, ...inside].flatMap((each) => each.nodes);
  const uncovered = new Set(nodes.filter((node) => ruleOf(node) === undefined).map((node) => node.op));
  return { inside, uncovered };
}
