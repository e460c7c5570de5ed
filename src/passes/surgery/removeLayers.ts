import { GraphEditor } from '../../ir/edit.ts';
import { KerfError } from '../../ir/errors.ts';
import type { Model, Node, OnnxModel, TfliteModel, ValueId } from '../../ir/model.ts';
import { withMainGraph } from '../../ir/model.ts';
import { formatShape } from '../../ir/types.ts';
import { indexOf } from '../../ir/walk.ts';
import type { OptionValues, Pass, PassContext, PassResult } from '../pass.ts';
import { withoutDeadCode } from '../simplify/deadCode.ts';
import type { Facts } from '../support/facts.ts';
import { factsOf } from '../support/facts.ts';
import { changedNodes, resultOf } from '../support/graph.ts';

/** Takes layers out of the graph: their readers get what they read, or the model ends before them. */
export const removeLayers: Pass = {
  id: 'remove-layers',
  title: 'Remove or bypass layers',
  summary:
    'Connects what a layer reads with what reads it when the shapes agree; a layer at the end is cut off.',
  dialects: ['onnx', 'tflite'],
  exact: false,
  calibration: 'none',
  options: [],
  appliesTo: (node, model) => planFor(model, node, factsOf(model)) !== undefined,
  run: runRemove,
};

async function runRemove(model: Model, _options: OptionValues, context: PassContext): Promise<PassResult> {
  const { layers } = context;
  if (layers === undefined || layers.size === 0)
    throw new KerfError('bad-option', 'remove-layers: say which layers');
  let current = model;
  const notes: string[] = [];
  // From the end, so that a tail of several layers comes off one by one.
  for (const node of model.graphs[0].nodes.toReversed()) {
    if (!layers.has(node.id)) continue;
    const plan = planFor(current, node, factsOf(current));
    if (plan === undefined)
      throw new KerfError('unsupported', reasonAgainst(current, node), { place: `layer '${node.id}'` });
    current =
      plan.kind === 'bypass' ? bypassed(current, node, plan.source) : cutOff(current, node, plan.outputs);
    notes.push(
      plan.kind === 'bypass'
        ? `${node.id}: bypassed, ${plan.source} goes on`
        : `${node.id}: cut off, the model now gives ${plan.outputs.join(', ')}`,
    );
  }
  const graph = withoutDeadCode(current, current.graphs[0], () => true);
  const after = withMainGraph(current, graph);
  return resultOf(model, after, changedNodes(model.graphs[0], after.graphs[0]), notes);
}

type Plan =
  | { readonly kind: 'bypass'; readonly source: ValueId }
  | { readonly kind: 'cut'; readonly outputs: readonly ValueId[] };

function planFor(model: Model, node: Node, facts: Facts): Plan | undefined {
  const graph = model.graphs[0];
  const { uses, isOutput } = indexOf(graph);
  const outputs = node.outputs.filter((id) => id !== null);
  const read = outputs.filter((id) => (uses.get(id) ?? []).length > 0 || isOutput.has(id));
  const flowing = node.inputs.filter(
    (id): id is ValueId => id !== null && graph.values.get(id)?.constant === undefined,
  );
  const [only] = read;
  const source = flowing.find((id) => only !== undefined && sameType(model, facts, id, only));
  if (read.length <= 1 && source !== undefined) return { kind: 'bypass', source };
  const atEnd = outputs.every((id) => (uses.get(id) ?? []).length === 0) && read.length > 0;
  return atEnd && flowing.length > 0 ? { kind: 'cut', outputs: [...new Set(flowing)] } : undefined;
}

/** Codes stand for the same numbers only if their scales agree, too. */
function sameType(model: Model, facts: Facts, a: ValueId, b: ValueId): boolean {
  const [left, right] = [facts.typeOf(a), facts.typeOf(b)];
  if (left?.shape === undefined || right?.shape === undefined || left.dtype !== right.dtype) return false;
  const { values } = model.graphs[0];
  const codes = (id: ValueId) => {
    const quantization = values.get(id)?.quantization;
    return quantization === undefined ? '' : `${quantization.scale.join()} ${quantization.zeroPoint.join()}`;
  };
  return formatShape(left.shape) === formatShape(right.shape) && codes(a) === codes(b);
}

function reasonAgainst(model: Model, node: Node): string {
  const facts = factsOf(model);
  const shape = (id: ValueId | null | undefined) => formatShape(facts.typeOf(id)?.shape);
  return (
    `it changes shape, type or scale (${shape(node.inputs[0])} to ${shape(node.outputs[0])}) and other layers ` +
    'read the result, so nothing can take its place; cut the graph there with extract instead'
  );
}

function bypassed(model: Model, node: Node, source: ValueId): Model {
  const graph = model.graphs[0];
  const { isOutput, uses, producer } = indexOf(graph);
  const editor = new GraphEditor(graph, model);
  editor.removeNode(node.id);
  const output = node.outputs.find((id) => id !== null && (uses.has(id) || isOutput.has(id)));
  if (output == null) return withMainGraph(model, editor.finish());
  const maker = producer.get(source);
  // The name of a model's output is part of its interface: the operator before takes it over.
  if (isOutput.has(output) && maker !== undefined && !isOutput.has(source)) {
    const outputs = maker.outputs.map((id) => (id === source ? output : id));
    editor.replaceNode(maker.id, [{ ...maker, outputs }]);
    editor.replaceUses(source, output);
  } else editor.replaceUses(output, source);
  return withMainGraph(model, editor.finish());
}

function cutOff(model: Model, node: Node, ends: readonly ValueId[]): Model {
  const graph = model.graphs[0];
  const editor = new GraphEditor(graph, model);
  editor.removeNode(node.id);
  const gone = new Set(node.outputs);
  const at = graph.outputs.findIndex((id) => gone.has(id));
  const kept = graph.outputs.filter((id) => !gone.has(id));
  const fresh = ends.filter((id) => !kept.includes(id));
  editor.setOutputs([...kept.slice(0, at), ...fresh, ...kept.slice(at)]);
  const facts = factsOf(model);
  for (const id of fresh) {
    const value = graph.values.get(id) ?? { id, name: id };
    const type = value.type ?? facts.typeOf(id);
    if (type !== undefined) editor.setValue({ ...value, type });
  }
  const after = withMainGraph(model, editor.finish());
  return after.dialect === 'tflite' ? withoutSignatureOutputs(after, gone) : after;
}

/** A signature cannot name an output that is gone; what replaces it gets no name that nobody chose. */
function withoutSignatureOutputs(
  model: TfliteModel,
  gone: ReadonlySet<ValueId | null>,
): Exclude<Model, OnnxModel> {
  const signatures = model.signatures.map((each) =>
    each.graph === 0 ? { ...each, outputs: each.outputs.filter(([, id]) => !gone.has(id)) } : each,
  );
  return { ...model, signatures };
}
