import type { Attribute } from '../../ir/attribute.ts';
import {
  attr,
  bodiesOf,
  floatAttribute,
  intAttribute,
  intsAttribute,
  stringAttribute,
} from '../../ir/attribute.ts';
import { GraphEditor } from '../../ir/edit.ts';
import type { Node, OnnxModel, ValueId } from '../../ir/model.ts';
import { withMainGraph } from '../../ir/model.ts';
import { floatTensor, intTensor } from '../../ir/numbers.ts';
import { isBuiltin } from './constants.ts';
import type { Facts } from './facts.ts';
import { factsOf } from './facts.ts';
import { opsetOf } from './graph.ts';

/** The version this module raises models to: the first with a per-channel axis in QuantizeLinear. */
export const raisedOpset = 13;

/** The model under opset 13, or the reason in one line why it stays where it is. */
export type Raised = { readonly model: OnnxModel } | { readonly refusal: string };

interface Context {
  readonly editor: GraphEditor;
  readonly facts: Facts;
  readonly from: number;
}

/** A node under the rules of opset 13, or the reason why it cannot be said there. */
type Rewrite = (node: Node, context: Context) => Node | string;

/** Raises the default domain to opset 13; a model already there is returned as it is (onnx/docs/Changelog.md). */
export function raiseOpset(model: OnnxModel): Raised {
  const from = opsetOf(model);
  if (from >= raisedOpset) return { model };
  if (from < 7) return { refusal: `opset ${from} is older than 7, where broadcasting worked differently` };
  const graph = model.graphs[0];
  const editor = new GraphEditor(graph, model);
  const context: Context = { editor, facts: factsOf(model), from };
  for (const node of graph.nodes) {
    if (!isBuiltin(node)) continue;
    const inner = bodiesOf(node).flatMap((body) => body.nodes);
    const trapped = inner.find((each) => bodiesOf(each).length > 0 || rewriteOf(each, from) !== undefined);
    if (trapped !== undefined)
      return { refusal: `${trapped.op} inside ${node.op} changed after opset ${from}` };
    const rewrite = rewriteOf(node, from);
    if (rewrite === undefined) continue;
    const next = rewrite(node, context);
    if (typeof next === 'string') return { refusal: `${node.op} (${node.id}): ${next}` };
    if (next !== node) editor.replaceNode(node.id, [next]);
  }
  const opsets = new Map(model.opsets);
  opsets.set(opsets.has('ai.onnx') && !opsets.has('') ? 'ai.onnx' : '', raisedOpset);
  return {
    model: { ...withMainGraph(model, editor.finish()), opsets, irVersion: Math.max(model.irVersion, 7) },
  };
}

function rewriteOf(node: Node, from: number): Rewrite | undefined {
  const entry = rewrites[node.op];
  return entry !== undefined && from < entry.since ? entry.rewrite : undefined;
}

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

const unsupported: Rewrite = () => 'there is no rewrite to opset 13';

/** Operators whose form changed at `since`; all others mean the same from opset 7 to 13. */
const rewrites: Readonly<Record<string, { readonly since: number; readonly rewrite: Rewrite }>> = {
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
