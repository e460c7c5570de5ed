import type { TargetRules } from '../../devices/targets/target.ts';
import { operatorRule } from '../../devices/targets/target.ts';
import type { Attribute, Graph, Node, NodeId, OnnxModel, ValueId } from '../../ir/model.ts';
import { attr, floatAttribute } from '../../ir/attribute.ts';
import { GraphEditor } from '../../ir/edit.ts';
import { floatTensor, intTensor, readFloats } from '../../ir/numbers.ts';
import type { Tensor } from '../../ir/tensor.ts';
import { indexOf } from '../../ir/walk.ts';
import type { WeightRole } from '../../ops/operator.ts';
import { readableConstant } from '../support/constants.ts';
import type { Encoding } from '../support/quantization.ts';
import {
  activationEncoding,
  quantizeBias,
  quantizeConstant,
  quantizeWeight,
  rangeOf,
  smallestScales,
} from '../support/quantization.ts';
import { activationType } from './onnxPlan.ts';
import { targetEncoding } from './targetEncoding.ts';
import type { NodePlan, OnCodes, OnnxPlan } from './onnxPlan.ts';

interface Emitter {
  /** The codes of encoded values. */
  readonly codes: Map<ValueId, ValueId>;
  readonly graph: Graph;
  readonly editor: GraphEditor;
  readonly plan: OnnxPlan;
  readonly encodings: ReadonlyMap<ValueId, Encoding>;
  readonly rules: TargetRules;
  readonly perChannel: boolean;
  /** Scales of weights that were rounded to them, by layer. */
  readonly scales: ReadonlyMap<NodeId, Float32Array>;
  /** The state of nodes that were replaced so far. */
  readonly current: Map<NodeId, Node>;
  readonly parameters: Map<ValueId, readonly [ValueId, ValueId]>;
  readonly weights: Map<string, StoredWeight>;
}

interface StoredWeight {
  readonly ids: readonly [ValueId, ValueId, ValueId];
  readonly scales: Float32Array;
}

/** Writes the plan as QuantizeLinear / DequantizeLinear pairs. `encodings` has an entry per root of the plan. */
export function emitOnnx(
  model: OnnxModel,
  plan: OnnxPlan,
  encodings: ReadonlyMap<ValueId, Encoding>,
  rules: TargetRules,
  perChannel: boolean,
  scales: ReadonlyMap<NodeId, Float32Array>,
): Graph {
  const graph = model.graphs[0];
  const emitter: Emitter = {
    graph,
    editor: new GraphEditor(graph, model),
    plan,
    encodings,
    rules,
    perChannel,
    scales,
    codes: new Map(),
    current: new Map(),
    parameters: new Map(),
    weights: new Map(),
  };
  const dequantized = new Map<ValueId, ValueId>();
  let number = 0;
  for (const id of plan.values.keys()) {
    number += 1;
    dequantized.set(id, insertPair(emitter, id, number));
  }
  for (const nodePlan of plan.nodes.values()) rewire(emitter, nodePlan, dequantized);
  return withoutIdlePairs(model, emitter.editor.finish());
}

/** Drops the dequantizations that nobody reads because every reader takes the codes another way. */
function withoutIdlePairs(model: OnnxModel, graph: Graph): Graph {
  const { uses, isOutput } = indexOf(graph);
  const editor = new GraphEditor(graph, model);
  for (const node of graph.nodes) {
    const [output] = node.outputs;
    if (node.op !== 'DequantizeLinear' || output == null || isOutput.has(output)) continue;
    if ((uses.get(output) ?? []).length === 0) editor.removeNode(node.id);
  }
  return editor.finish();
}

function update(emitter: Emitter, node: Node, before: readonly Node[] = []): void {
  emitter.current.set(node.id, node);
  emitter.editor.replaceNode(node.id, [...before, node]);
}

/** Puts the pair behind a value; gives the value that integer readers read. */
function insertPair(emitter: Emitter, id: ValueId, number: number): ValueId {
  const { editor, graph, plan, current } = emitter;
  const valuePlan = plan.values.get(id);
  const maker = indexOf(graph).producer.get(id);
  const [scale, zeroPoint] = parametersOf(emitter, valuePlan?.root ?? id, number);
  // Exporters make long names, and each of these is stored several times, so new ones are numbered.
  const base = `q${number}`;
  const codes = editor.freshValue(base);
  emitter.codes.set(id, codes);
  let source = id;
  let result = id;
  if (valuePlan?.required === true && maker !== undefined) {
    source = editor.freshValue(`${base}_float`);
    const made = current.get(maker.id) ?? maker;
    const type = graph.values.get(id)?.type;
    editor.setValue({ id: source, name: source, ...(type && { type }) });
    const outputs = made.outputs.map((output) => (output === id ? source : output));
    update(emitter, { ...made, outputs });
  } else {
    result = editor.freshValue(`${base}_dq`);
  }
  const pair = [
    qdq(editor, 'QuantizeLinear', [source, scale, zeroPoint], codes, base),
    qdq(editor, 'DequantizeLinear', [codes, scale, zeroPoint], result, base),
  ];
  if (maker === undefined) editor.insertFirst(pair);
  else editor.insertAfter(maker.id, pair);
  return result;
}

function qdq(
  editor: GraphEditor,
  op: string,
  inputs: readonly ValueId[],
  output: ValueId,
  base: string,
  attributes: ReadonlyMap<string, Attribute> = new Map(),
): Node {
  const id = editor.freshNode(`${base}/${op}`);
  return { id, name: id, op, domain: '', inputs, outputs: [output], attributes };
}

/** Replaces one of `inputs` by what an operator makes of its codes; gives the nodes that do it. */
function changedCodes(
  { editor, graph, codes, parameters, plan }: Emitter,
  { node }: NodePlan,
  { input, op, to }: OnCodes,
  inputs: (ValueId | null)[],
): readonly Node[] {
  const id = node.inputs[input] as ValueId;
  const source = codes.get(id) as ValueId;
  const [scale, zeroPoint] = parameters.get(plan.values.get(id)?.root ?? id) as readonly [ValueId, ValueId];
  const changed = editor.freshValue(`${source}_${op.toLowerCase()}`);
  const rank = op === 'Tile' ? 4 : (graph.values.get(node.inputs[1] ?? '')?.constant?.dims.length ?? 4);
  const channels = graph.values.get(node.inputs[1] ?? '')?.constant?.dims[1] ?? to;
  const numbers =
    op === 'Tile'
      ? [1, 1, 1, to]
      : Array.from({ length: 2 * rank }, (_, i) => (i === rank + 1 ? to - channels : 0));
  const amounts = editor.addConstant(`${changed}_by`, intTensor('int64', [numbers.length], numbers));
  const result = editor.freshValue(`${changed}_dq`);
  inputs[input] = result;
  return [
    qdq(editor, op, op === 'Tile' ? [source, amounts] : [source, amounts, zeroPoint], changed, changed),
    qdq(editor, 'DequantizeLinear', [changed, scale, zeroPoint], result, changed),
  ];
}

/**
 * Clip(alpha x + beta, 0, 1) as an addition whose result saturates: alpha goes into a scale under which the same codes
 * are read again. Gives the node and what goes before it.
 */
function hardSigmoid(emitter: Emitter, node: Node): readonly [Node, readonly Node[]] {
  const { editor, codes, encodings, plan } = emitter;
  const id = emitter.graph.nodes.find((each) => each.id === node.id)?.inputs[0] as ValueId;
  const encoding = encodings.get(plan.values.get(id)?.root ?? id) as Encoding;
  const alpha = floatAttribute(node, 'alpha', 0.2);
  const beta = floatTensor([], Float32Array.of(floatAttribute(node, 'beta', 0.5)));
  const base = `${codes.get(id)}_scaled`;
  const scaled = storeEncoding(editor, base, { ...encoding, scale: encoding.scale * alpha });
  const offset = activationEncoding(rangeOf(beta), encoding.dtype);
  const offsetIds = storeEncoding(editor, `${base}_offset`, offset);
  const offsetCodes = editor.addConstant(`${base}_offset`, quantizeConstant(beta, offset));
  const [left, right] = [editor.freshValue(`${base}_dq`), editor.freshValue(`${base}_offset_dq`)];
  const sum: Node = { ...node, op: 'Add', inputs: [left, right], attributes: new Map() };
  return [
    sum,
    [
      qdq(editor, 'DequantizeLinear', [codes.get(id) as ValueId, ...scaled], left, base),
      qdq(editor, 'DequantizeLinear', [offsetCodes, ...offsetIds], right, `${base}_offset`),
    ],
  ];
}

/** Scale and zero point of a root, stored once. */
function parametersOf(emitter: Emitter, root: ValueId, number: number): readonly [ValueId, ValueId] {
  let stored = emitter.parameters.get(root);
  if (stored === undefined) {
    const encoding = emitter.encodings.get(root) as Encoding;
    stored = storeEncoding(emitter.editor, `q${number}`, encoding);
    emitter.parameters.set(root, stored);
  }
  return stored;
}

function storeEncoding(editor: GraphEditor, base: ValueId, encoding: Encoding): readonly [ValueId, ValueId] {
  return [
    editor.addConstant(`${base}_scale`, floatTensor([], Float32Array.of(encoding.scale))),
    editor.addConstant(`${base}_zero`, intTensor(encoding.dtype, [], [encoding.zeroPoint])),
  ];
}

function rewire(emitter: Emitter, plan: NodePlan, dequantized: ReadonlyMap<ValueId, ValueId>): void {
  const { node, weight, activations, constants, onCodes } = plan;
  const { editor, graph } = emitter;
  const now = emitter.current.get(node.id) ?? node;
  const inputs = [...now.inputs];
  const before: Node[] = [];
  for (const index of activations) {
    const id = node.inputs[index] as ValueId;
    inputs[index] = dequantized.get(id) ?? id;
  }
  if (onCodes !== undefined) before.push(...changedCodes(emitter, plan, onCodes, inputs));
  if (
    operatorRule(emitter.rules, now.op, activationType(emitter.rules))?.kind === 'known' &&
    now.op === 'HardSigmoid'
  ) {
    update(emitter, ...hardSigmoid(emitter, now));
    return;
  }
  for (const index of constants) {
    const id = node.inputs[index] as ValueId;
    const tensor = readableConstant(graph, id) as Tensor;
    const encoding = targetEncoding(rangeOf(tensor), emitter.rules);
    const [scale, zeroPoint] = storeEncoding(editor, id, encoding);
    const codes = editor.addConstant(`${id}_quantized`, quantizeConstant(tensor, encoding));
    const result = editor.freshValue(`${id}_dq`);
    before.push(qdq(editor, 'DequantizeLinear', [codes, scale, zeroPoint], result, id));
    inputs[index] = result;
  }
  if (weight !== undefined) before.push(...weightNodes(emitter, plan, weight, inputs));
  update(emitter, { ...now, inputs }, before);
}

/** Replaces weight and bias among `inputs` by dequantized constants; gives the nodes that do it. */
function weightNodes(
  emitter: Emitter,
  { node, onCodes }: NodePlan,
  role: WeightRole,
  inputs: (ValueId | null)[],
): readonly Node[] {
  const { editor, graph, encodings, plan } = emitter;
  const id = node.inputs[role.input] as ValueId;
  const activation = node.inputs[role.activation] as ValueId;
  const inputScale = (encodings.get(plan.values.get(activation)?.root ?? activation) as Encoding).scale;
  const biasId = role.bias === undefined ? null : (node.inputs[role.bias] ?? null);
  const bias = biasId === null ? undefined : readFloats(readableConstant(graph, biasId) as Tensor);
  const channels = onCodes?.op === 'Pad' ? onCodes.to : undefined;
  const stored = storeWeight(emitter, node, role, bias && smallestScales(bias, inputScale), channels);
  const result = editor.freshValue(`${id}_dq`);
  const axis = stored.scales.length > 1 ? new Map([['axis', attr.int(role.outputAxis)]]) : undefined;
  const nodes = [qdq(editor, 'DequantizeLinear', stored.ids, result, id, axis)];
  inputs[role.input] = result;
  if (bias === undefined || biasId === null || role.bias === undefined) return nodes;
  const quantized = quantizeBias(bias, inputScale, stored.scales);
  const perChannel = quantized.scales.length > 1;
  const codes = editor.addConstant(`${biasId}_int32`, quantized.tensor);
  const scale = editor.addConstant(
    `${biasId}_scale`,
    floatTensor(perChannel ? [quantized.scales.length] : [], quantized.scales),
  );
  const output = editor.freshValue(`${biasId}_dq`);
  const along = perChannel ? new Map([['axis', attr.int(0)]]) : undefined;
  nodes.push(qdq(editor, 'DequantizeLinear', [codes, scale], output, biasId, along));
  inputs[role.bias] = output;
  return nodes;
}

/** A weight read by several layers is stored once, unless a bias needs larger scales than its codes have. */
function storeWeight(
  emitter: Emitter,
  node: Node,
  role: WeightRole,
  atLeast: Float64Array | undefined,
  channels?: number,
): StoredWeight {
  const { editor, graph, weights, rules } = emitter;
  const id = node.inputs[role.input] as ValueId;
  const perChannel = emitter.perChannel && rules.weights.perChannel.includes(node.op);
  const largest = 2 ** ((rules.weights.bits ?? 8) - 1) - 1;
  const key = `${id}|${perChannel ? role.outputAxis : ''}|${channels}`;
  const known = weights.get(key);
  if (known !== undefined && !(atLeast?.some((least, c) => least > scaleOf(known, c)) ?? false)) return known;
  const own = readableConstant(graph, id) as Tensor;
  const tensor = channels === undefined ? own : withChannels(own, channels);
  const floor = perChannel || atLeast === undefined ? atLeast : [Math.max(...atLeast)];
  const { tensor: codes, scales } = quantizeWeight(
    tensor,
    perChannel ? role.outputAxis : undefined,
    floor,
    largest,
    emitter.scales.get(node.id),
  );
  const dims = perChannel ? [scales.length] : [];
  const zeros = Array.from({ length: scales.length }, () => 0);
  const stored: StoredWeight = {
    ids: [
      editor.addConstant(`${id}_int8`, codes),
      editor.addConstant(`${id}_scale`, floatTensor(dims, scales)),
      editor.addConstant(`${id}_zero`, intTensor('int8', dims, zeros)),
    ],
    scales,
  };
  weights.set(key, stored);
  return stored;
}

/** A convolution's weight with zeros for further input channels. */
function withChannels(tensor: Tensor, channels: number): Tensor {
  const [outputs = 0, inputs = 0, ...window] = tensor.dims;
  const size = window.reduce((product, dim) => product * dim, 1);
  const values = readFloats(tensor);
  const padded = new Float32Array(outputs * channels * size);
  for (let o = 0; o < outputs; o += 1) {
    padded.set(values.subarray(o * inputs * size, (o + 1) * inputs * size), o * channels * size);
  }
  return floatTensor([outputs, channels, ...window], padded);
}

function scaleOf({ scales }: StoredWeight, channel: number): number {
  return scales[scales.length === 1 ? 0 : channel] as number;
}
