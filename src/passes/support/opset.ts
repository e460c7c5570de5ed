import type { Attribute, Node, OnnxModel, ValueId } from '../../ir/model.ts';
import {
  attr,
  bodiesOf,
  floatAttribute,
  intAttribute,
  intsAttribute,
  stringAttribute,
} from '../../ir/attribute.ts';
import { GraphEditor } from '../../ir/edit.ts';
import { withMainGraph } from '../../ir/model.ts';
import { floatTensor, intTensor } from '../../ir/numbers.ts';
import { isBuiltin } from './constants.ts';
import type { Facts } from './facts.ts';
import { factsOf } from './facts.ts';
import { opsetOf } from './graph.ts';

/** The version this module raises models to: the first with a per-channel axis in QuantizeLinear. */
export const raisedOpset = 13;

/** The first version with int4 and blocks of weights in DequantizeLinear. */
export const blockedOpset = 21;

/** The first version with int2 in DequantizeLinear. */
export const twoBitOpset = 25;

/** The model under a later opset, or the reason in one line why it stays where it is. */
type Raised = { readonly model: OnnxModel } | { readonly refusal: string };

interface Context {
  readonly editor: GraphEditor;
  readonly facts: Facts;
  readonly from: number;
}

/** A node under the rules of the later opset, or the reason why it cannot be said there. */
type Rewrite = (node: Node, context: Context) => Node | string;

/**
 * Raises the default domain to opset 13, or on to 21 or 25; a model already there is returned as it is
 * (onnx/docs/Changelog.md).
 */
export function raiseOpset(
  model: OnnxModel,
  to: typeof raisedOpset | typeof blockedOpset | typeof twoBitOpset = raisedOpset,
): Raised {
  const from = opsetOf(model);
  if (from >= to) return { model };
  if (from < 7) return { refusal: `opset ${from} is older than 7, where broadcasting worked differently` };
  const first = from < raisedOpset ? rewritten(model, rewrites, raisedOpset) : { model };
  if ('refusal' in first || to === raisedOpset) return first;
  return rewritten(first.model, laterRewrites, to);
}

function rewritten(model: OnnxModel, table: Rewrites, to: number): Raised {
  const from = opsetOf(model);
  const graph = model.graphs[0];
  const editor = new GraphEditor(graph, model);
  const context: Context = { editor, facts: factsOf(model), from };
  const rewriteOf = (node: Node): Rewrite | undefined => {
    const entry = table[node.op];
    return entry !== undefined && from < entry.since ? entry.rewrite : undefined;
  };
  for (const node of graph.nodes) {
    if (!isBuiltin(node)) continue;
    const inner = bodiesOf(node).flatMap((body) => body.nodes);
    const trapped = inner.find((each) => bodiesOf(each).length > 0 || rewriteOf(each) !== undefined);
    if (trapped !== undefined)
      return { refusal: `${trapped.op} inside ${node.op} changed after opset ${from}` };
    const next = rewriteOf(node)?.(node, context) ?? node;
    if (typeof next === 'string') return { refusal: `${node.op} (${node.id}): ${next}` };
    if (next !== node) editor.replaceNode(node.id, [next]);
  }
  const opsets = new Map(model.opsets);
  opsets.set(opsets.has('ai.onnx') && !opsets.has('') ? 'ai.onnx' : '', to);
  const irVersion = Math.max(model.irVersion, oldestIrVersion[to] ?? 0);
  return { model: { ...withMainGraph(model, editor.finish()), opsets, irVersion } };
}

/** IR version that came with an opset (onnx/docs/Versioning.md). */
const oldestIrVersion: Readonly<Record<number, number>> = {
  [raisedOpset]: 7,
  [blockedOpset]: 10,
  [twoBitOpset]: 13,
};

/** Moves the integer attribute `name` to input `index`; an absent attribute stays an absent input. */
function axesToInput(name: string, index: number): Rewrite {
  return (node, { editor }) => {
    const values = intsAttribute(node, name);
    if (values === undefined || node.inputs.length > index) return node;
    return withInput(node, index, intConstant(editor, node, name, values), [name]);
  };
}

function intConstant(editor: GraphEditor, node: Node, name: string, values: readonly number[]): ValueId {
  // 2^63-1 means "to the end" in old Slice attributes; as a number it would round up and wrap.
  const safe = values.map((value) => Math.max(-(2 ** 31), Math.min(2 ** 31 - 1, value)));
  return editor.addConstant(
    `${node.outputs[0] ?? node.id}_${name}`,
    intTensor('int64', [values.length], safe),
  );
}

function withInput(node: Node, index: number, id: ValueId, dropped: readonly string[]): Node {
  const inputs = [...node.inputs];
  while (inputs.length < index) inputs.push(null);
  inputs[index] = id;
  const attributes = new Map(node.attributes);
  for (const name of dropped) attributes.delete(name);
  return { ...node, inputs, attributes };
}

function clip(node: Node, { editor }: Context): Node {
  const low = floatAttribute(node, 'min', Number.NEGATIVE_INFINITY);
  const high = floatAttribute(node, 'max', Number.POSITIVE_INFINITY);
  const bound = (name: string, value: number) =>
    editor.addConstant(`${node.outputs[0]}_${name}`, floatTensor([], Float32Array.of(value)));
  let next = node;
  if (low > -3.4e38) next = withInput(next, 1, bound('min', low), []);
  if (high < 3.4e38) next = withInput(next, 2, bound('max', high), []);
  return { ...next, attributes: without(node.attributes, 'min', 'max') };
}

function pad(node: Node, { editor }: Context): Node {
  const pads = intsAttribute(node, 'pads') ?? [];
  const fill = floatAttribute(node, 'value', 0);
  const padded = withInput(node, 1, intConstant(editor, node, 'pads', pads), ['pads', 'value']);
  if (fill === 0) return padded;
  const value = editor.addConstant(`${node.outputs[0]}_value`, floatTensor([], Float32Array.of(fill)));
  return withInput(padded, 2, value, []);
}

function slice(node: Node, { editor }: Context): Node {
  const starts = intsAttribute(node, 'starts') ?? [];
  const ends = intsAttribute(node, 'ends') ?? [];
  const axes = intsAttribute(node, 'axes') ?? starts.map((_, i) => i);
  let next = withInput(node, 1, intConstant(editor, node, 'starts', starts), ['starts', 'ends', 'axes']);
  next = withInput(next, 2, intConstant(editor, node, 'ends', ends), []);
  return withInput(next, 3, intConstant(editor, node, 'axes', axes), []);
}

/** Before opset 13 everything from `axis` on was one row; that is the same when nothing but ones follows the axis. */
function softmax(node: Node, { facts }: Context): Node | string {
  const shape = facts.typeOf(node.inputs[0])?.shape;
  if (shape === undefined) return 'its input has an unknown rank';
  const axis = intAttribute(node, 'axis', 1);
  const at = axis < 0 ? axis + shape.length : axis;
  if (shape.slice(at + 1).some((dim) => dim !== 1)) return `axis ${axis} flattened several dimensions`;
  return { ...node, attributes: new Map(node.attributes).set('axis', attr.int(at)) };
}

/** Upsample and the first Resize sampled at `floor(x / scale)` (onnx/docs/Changelog.md, Resize-10). */
function resize(node: Node, { editor, from }: Context): Node | string {
  let scales = node.inputs[1];
  if (scales == null) {
    const attribute = node.attributes.get('scales');
    if (attribute?.kind !== 'floats') return 'its scales are unknown';
    const tensor = floatTensor([attribute.value.length], Float32Array.from(attribute.value));
    scales = editor.addConstant(`${node.outputs[0]}_scales`, tensor);
  }
  if (node.op === 'Resize' && from >= 11) return node;
  const attributes = new Map(without(node.attributes, 'scales', 'mode'));
  attributes.set('mode', attr.string(stringAttribute(node, 'mode', 'nearest')));
  attributes.set('coordinate_transformation_mode', attr.string('asymmetric'));
  attributes.set('nearest_mode', attr.string('floor'));
  return { ...node, op: 'Resize', inputs: [node.inputs[0] ?? null, null, scales], attributes };
}

/** Since opset 12 the ratio is an input; at inference it does not matter. */
function dropout(node: Node): Node {
  return { ...node, attributes: without(node.attributes, 'ratio') };
}

function batchNormalization(node: Node): Node | string {
  if (intAttribute(node, 'spatial', 1) !== 1) return 'statistics per position are gone since opset 9';
  return { ...node, attributes: without(node.attributes, 'spatial') };
}

function without(
  attributes: ReadonlyMap<string, Attribute>,
  ...names: readonly string[]
): Map<string, Attribute> {
  return new Map([...attributes].filter(([name]) => !names.includes(name)));
}

/** Since opset 18, equal parts must be asked for. */
function split(node: Node): Node {
  if (node.inputs[1] != null || node.attributes.has('num_outputs')) return node;
  const attributes = new Map(node.attributes).set('num_outputs', attr.int(node.outputs.length));
  return { ...node, attributes };
}

/** Since opset 16, pixels lie half a step off unless this is said. */
function roiAlign(node: Node): Node {
  const mode = attr.string('output_half_pixel');
  return { ...node, attributes: new Map(node.attributes).set('coordinate_transformation_mode', mode) };
}

/** Opset 20 gave the modes other names. */
function gridSample(node: Node): Node {
  const mode = stringAttribute(node, 'mode', 'bilinear');
  const name = mode === 'bilinear' ? 'linear' : mode === 'bicubic' ? 'cubic' : mode;
  return { ...node, attributes: new Map(node.attributes).set('mode', attr.string(name)) };
}

/** Until opset 13, further outputs were the statistics of training. */
function inferenceOnly(node: Node): Node | string {
  return node.outputs.slice(1).some((id) => id !== null) ? 'it gives the statistics of training' : node;
}

const unsupported: Rewrite = () => 'there is no rewrite to a later opset';

type Rewrites = Readonly<Record<string, { readonly since: number; readonly rewrite: Rewrite }>>;

/** Operators whose form changed at `since`; all others mean the same from opset 13 to 25. */
const laterRewrites: Rewrites = {
  ReduceMean: { since: 18, rewrite: axesToInput('axes', 1) },
  ReduceMax: { since: 18, rewrite: axesToInput('axes', 1) },
  ReduceMin: { since: 18, rewrite: axesToInput('axes', 1) },
  ReduceProd: { since: 18, rewrite: axesToInput('axes', 1) },
  ReduceL1: { since: 18, rewrite: axesToInput('axes', 1) },
  ReduceL2: { since: 18, rewrite: axesToInput('axes', 1) },
  ReduceLogSum: { since: 18, rewrite: axesToInput('axes', 1) },
  ReduceLogSumExp: { since: 18, rewrite: axesToInput('axes', 1) },
  ReduceSumSquare: { since: 18, rewrite: axesToInput('axes', 1) },
  Split: { since: 18, rewrite: split },
  RoiAlign: { since: 16, rewrite: roiAlign },
  GridSample: { since: 20, rewrite: gridSample },
  BatchNormalization: { since: 14, rewrite: inferenceOnly },
  DFT: { since: 20, rewrite: unsupported },
  GroupNormalization: { since: 21, rewrite: unsupported },
};

/** Operators whose form changed at `since`; all others mean the same from opset 7 to 13. */
const rewrites: Rewrites = {
  Squeeze: { since: 13, rewrite: axesToInput('axes', 1) },
  Unsqueeze: { since: 13, rewrite: axesToInput('axes', 1) },
  ReduceSum: { since: 13, rewrite: axesToInput('axes', 1) },
  Split: { since: 13, rewrite: axesToInput('split', 1) },
  Softmax: { since: 13, rewrite: softmax },
  LogSoftmax: { since: 13, rewrite: softmax },
  Hardmax: { since: 13, rewrite: softmax },
  Clip: { since: 11, rewrite: clip },
  Pad: { since: 11, rewrite: pad },
  Slice: { since: 10, rewrite: slice },
  Dropout: { since: 12, rewrite: dropout },
  Upsample: { since: 13, rewrite: resize },
  Resize: { since: 11, rewrite: resize },
  BatchNormalization: { since: 9, rewrite: batchNormalization },
  TopK: { since: 11, rewrite: unsupported },
  OneHot: { since: 11, rewrite: unsupported },
  Scan: { since: 9, rewrite: unsupported },
  NonMaxSuppression: { since: 11, rewrite: unsupported },
};
