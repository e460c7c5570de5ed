import { attr } from '../../ir/attribute.ts';
import { GraphEditor } from '../../ir/edit.ts';
import type { Graph, Node, NodeId, Quantization, TfliteModel, Value, ValueId } from '../../ir/model.ts';
import { intTensor, readFloats, readIntegers } from '../../ir/numbers.ts';
import type { Tensor } from '../../ir/tensor.ts';
import { tensorType } from '../../ir/types.ts';
import { indexOf } from '../../ir/walk.ts';
import type { WeightRole } from '../../ops/operator.ts';
import { readableConstant } from '../support/constants.ts';
import type { Encoding } from '../support/quantization.ts';
import {
  quantizeBias,
  quantizeWideBias,
  quantizeConstant,
  quantizeWeight,
  smallestScales,
} from '../support/quantization.ts';
import { perTensor, plainNode, symmetric } from '../support/tflite.ts';
import { encodeCell } from './cellEmit.ts';
import type { Group, TfliteNodePlan, TflitePlan } from './tflitePlan.ts';
import { groupRoot, storedScales } from './tflitePlan.ts';

interface TfliteEmission {
  readonly plan: TflitePlan;
  readonly encodingOf: (group: Group) => Encoding;
  /** Type of the activations. */
  readonly dtype: 'int8' | 'int16';
  /** True keeps float inputs and outputs of the model. */
  readonly floatBorder: boolean;
  readonly perChannel: boolean;
  readonly perChannelDense: boolean;
  /** Whether a layer's codes are stored as int4, if they fit. */
  readonly packed: (node: Node) => boolean;
  /** Scales of weights that were rounded to them, by layer. */
  readonly scales: ReadonlyMap<NodeId, Float32Array>;
}

interface Emitter extends TfliteEmission {
  readonly graph: Graph;
  readonly editor: GraphEditor;
  /** Codes of a value: the value itself, or what a QUANTIZE makes of it. */
  readonly codes: Map<ValueId, ValueId>;
  /** Floats of a value that is made as codes. */
  readonly floats: Map<ValueId, ValueId>;
  readonly requantized: Map<string, ValueId>;
}

/** Writes the plan: encoded values change their type, QUANTIZE and DEQUANTIZE stand at the borders to float. */
export function emitTflite(model: TfliteModel, emission: TfliteEmission): Graph {
  const graph = model.graphs[0];
  const emitter: Emitter = {
    ...emission,
    graph,
    editor: new GraphEditor(graph, model),
    codes: new Map(),
    floats: new Map(),
    requantized: new Map(),
  };
  for (const id of emission.plan.groups.keys()) encodeValue(emitter, id);
  for (const node of graph.nodes) {
    const plan = emission.plan.nodes.get(node.id);
    if (plan !== undefined) emitInteger(emitter, plan);
    else emitFloat(emitter, node);
  }
  return emitter.editor.finish();
}

/** Chooses which of the two forms of a value keeps its name, and makes the other where somebody reads it. */
function encodeValue(emitter: Emitter, id: ValueId): void {
  const { editor, graph, plan, floatBorder, encodingOf, dtype } = emitter;
  const group = plan.groups.get(id) as Group;
  const { scale, zeroPoint } = encodingOf(groupRoot(group));
  const quantization = perTensor(scale, zeroPoint);
  const value = graph.values.get(id) as Value;
  const { producer, isOutput, uses } = indexOf(graph);
  const maker = producer.get(id);
  const isFeed = maker === undefined;
  const readers = (uses.get(id) ?? []).map(
    (use) => plan.nodes.get(use.node.id)?.inputs.has(use.index) ?? false,
  );
  const madeAsCodes =
    plan.made.has(id) || (isFeed && !floatBorder && !readers.includes(false) && !isOutput.has(id));
  if (!madeAsCodes) {
    const codes = addTyped(editor, `${id}_quantized`, dtype, value, quantization);
    const node = plainNode(editor, 'QUANTIZE', [id], codes, id);
    if (maker === undefined) editor.insertFirst([node]);
    else editor.insertAfter(maker.id, [node]);
    emitter.codes.set(id, codes);
    return;
  }
  const keepsFloat = isOutput.has(id) && floatBorder;
  if (!keepsFloat) {
    editor.setValue({ ...value, type: retyped(value, dtype), quantization });
    emitter.codes.set(id, id);
  } else {
    emitter.codes.set(id, addTyped(editor, `${id}_quantized`, dtype, value, quantization));
    emitter.floats.set(id, id);
  }
  if (maker !== undefined && (keepsFloat || readers.includes(false))) {
    const floats = keepsFloat ? id : addTyped(editor, `${id}_float`, 'float32', value);
    emitter.floats.set(id, floats);
    const node = plainNode(editor, 'DEQUANTIZE', [emitter.codes.get(id) as ValueId], floats, id);
    editor.insertAfter(maker.id, [node]);
  }
}

function retyped(value: Value, dtype: 'int8' | 'int16' | 'float32') {
  const shape = value.type?.kind === 'tensor' ? value.type.shape : undefined;
  return tensorType(dtype, shape);
}

function addTyped(
  editor: GraphEditor,
  base: string,
  dtype: 'int8' | 'int16' | 'float32',
  like: Value,
  quantization?: Quantization,
): ValueId {
  return editor.addValue(base, {
    type: retyped(like, dtype),
    ...(quantization && { quantization }),
    ...(like.signature && { signature: like.signature }),
  });
}

/** A float operator reads floats: of values that are made as codes, what DEQUANTIZE gives. */
function emitFloat({ editor, floats, codes }: Emitter, node: Node): void {
  const inputs = node.inputs.map((id) => (id !== null && codes.get(id) === id ? (floats.get(id) ?? id) : id));
  if (inputs.some((id, i) => id !== node.inputs[i])) editor.replaceNode(node.id, [{ ...node, inputs }]);
}

function emitInteger(emitter: Emitter, { node, weight, reach, inputs: groups }: TfliteNodePlan): void {
  const { editor, graph, plan, codes, encodingOf } = emitter;
  const inputs = [...node.inputs];
  const before: Node[] = [];
  for (const [index, group] of groups) {
    inputs[index] = codesFor(emitter, node.inputs[index] as ValueId, group, before);
  }
  if (weight !== undefined) encodeWeight(emitter, node, weight, groups, inputs);
  const outputs = node.outputs.map((id) => (id !== null && plan.made.has(id) ? (codes.get(id) ?? id) : id));
  const attributes = emitter.dtype === 'int16' ? withAnyScale(node) : node.attributes;
  const encodingAt = (group: Group | undefined) => encodingOf(groupRoot(group as Group));
  const cell =
    reach !== undefined &&
    encodeCell(
      {
        editor,
        graph,
        node,
        input: encodingAt(groups.get(0)),
        output: encodingAt(plan.groups.get(node.outputs[0] as ValueId)),
        reach,
      },
      inputs,
    );
  editor.replaceNode(node.id, [...before, { ...node, inputs, outputs, attributes, ...cell }]);
}

/** Sums of 16-bit numbers are taken to have scales that are powers of two unless they say otherwise. */
function withAnyScale(node: Node): Node['attributes'] {
  if (node.op !== 'ADD' && node.op !== 'SUB') return node.attributes;
  return new Map(node.attributes).set('pot_scale_int16', attr.bool(false));
}

/** The codes of an input in the encoding of `group`. */
function codesFor(emitter: Emitter, id: ValueId, group: Group, before: Node[]): ValueId {
  const { editor, graph, plan, encodingOf } = emitter;
  const encoding = encodingOf(groupRoot(group));
  const constant = readableConstant(graph, id);
  const key = `${id}|${encoding.scale}|${encoding.zeroPoint}`;
  const quantization = perTensor(encoding.scale, encoding.zeroPoint);
  const known = emitter.requantized.get(key);
  if (known !== undefined) return known;
  if (constant !== undefined) {
    const added = editor.addConstant(`${id}_quantized`, quantizeConstant(constant, encoding), quantization);
    emitter.requantized.set(key, added);
    return added;
  }
  const own = encodingOf(groupRoot(plan.groups.get(id) as Group));
  const codes = emitter.codes.get(id) as ValueId;
  if (own.scale === encoding.scale && own.zeroPoint === encoding.zeroPoint) return codes;
  const value = graph.values.get(id) as Value;
  const added = addTyped(editor, `${id}_requantized`, emitter.dtype, value, quantization);
  before.push(plainNode(editor, 'QUANTIZE', [codes], added, id));
  emitter.requantized.set(key, added);
  return added;
}

function encodeWeight(
  emitter: Emitter,
  node: Node,
  role: WeightRole,
  groups: ReadonlyMap<number, Group>,
  inputs: (ValueId | null)[],
): void {
  const { editor, graph, encodingOf } = emitter;
  const inputScale = encodingOf(groupRoot(groups.get(role.activation) as Group)).scale;
  const biasId = role.bias === undefined ? null : (node.inputs[role.bias] ?? null);
  const bias = biasId === null ? undefined : readFloats(readableConstant(graph, biasId) as Tensor);
  const stored =
    storedScales(graph, node, role) ?? storeWeight(emitter, node, role, bias, inputScale, inputs);
  if (bias === undefined || role.bias === undefined) return;
  const wide = emitter.dtype === 'int16';
  const quantized = wide
    ? quantizeWideBias(bias, inputScale, stored)
    : quantizeBias(bias, inputScale, stored);
  // Every runtime wants axis 0 for a bias, although the specification says 3 for depthwise convolutions.
  inputs[role.bias] = editor.addConstant(
    `${biasId}_${quantized.tensor.dtype}`,
    quantized.tensor,
    symmetric(quantized.scales, 0),
  );
}

/** The same codes in four bits each; `undefined` when one needs more. */
function asInt4(tensor: Tensor): Tensor | undefined {
  const codes = readIntegers(tensor);
  return codes.every((code) => code >= -8 && code <= 7) ? intTensor('int4', tensor.dims, codes) : undefined;
}

/** Puts the int8 weight among `inputs` and gives its scales; layers that share a weight share the codes. */
function storeWeight(
  emitter: Emitter,
  node: Node,
  role: WeightRole,
  bias: Float32Array | undefined,
  inputScale: number,
  inputs: (ValueId | null)[],
): Float32Array {
  const { editor, graph } = emitter;
  const id = node.inputs[role.input] as ValueId;
  const perChannel = role.kind === 'matmul' ? emitter.perChannelDense : emitter.perChannel;
  const tensor = readableConstant(graph, id) as Tensor;
  const least = emitter.dtype === 'int16' ? undefined : bias && smallestScales(bias, inputScale);
  const floor = perChannel || least === undefined ? least : [Math.max(0, ...least)];
  const { tensor: codes, scales } = quantizeWeight(
    tensor,
    perChannel ? role.outputAxis : undefined,
    floor,
    127,
    emitter.scales.get(node.id),
  );
  const kept = (emitter.packed(node) ? asInt4(codes) : undefined) ?? codes;
  const key = `${id}|${kept.dtype}|${scales.join()}`;
  let stored = emitter.requantized.get(key);
  if (stored === undefined) {
    stored = editor.addConstant(`${id}_${kept.dtype}`, kept, symmetric(scales, role.outputAxis));
    emitter.requantized.set(key, stored);
  }
  inputs[role.input] = stored;
  return scales;
}
