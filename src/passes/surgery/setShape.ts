import { attr, intAttribute } from '../../ir/attribute.ts';
import { GraphEditor } from '../../ir/edit.ts';
import { KerfError } from '../../ir/errors.ts';
import type { Graph, Model, Node, Value, ValueId } from '../../ir/model.ts';
import { withMainGraph } from '../../ir/model.ts';
import { intTensor, readIntegers } from '../../ir/numbers.ts';
import type { Dim } from '../../ir/types.ts';
import { elementCount, formatShape, isStatic } from '../../ir/types.ts';
import { indexOf } from '../../ir/walk.ts';
import type { OptionValues, Pass, PassResult } from '../pass.ts';
import { isBuiltin, readableConstant } from '../support/constants.ts';
import type { Facts } from '../support/facts.ts';
import { factsOf } from '../support/facts.ts';
import { changedNodes, resultOf } from '../support/graph.ts';
import { readOptions } from '../support/options.ts';
import { fedInputs, pairsOf } from './names.ts';

/** Binds or frees dimensions of the inputs and lets every shape behind them follow. */
export const setShape: Pass = {
  id: 'set-shape',
  title: 'Bind or free dimensions, change the batch',
  summary: 'Changes the size of inputs; shapes behind them and reshapes that spell out the batch follow.',
  dialects: ['onnx', 'tflite'],
  exact: false,
  calibration: 'none',
  options: [
    {
      name: 'batch',
      title: 'Batch of all inputs: a number, or a name to leave it open (ONNX); empty to keep it',
      type: 'text',
      default: '',
      example: '8 or N',
    },
    {
      name: 'dims',
      title: 'Single dimensions: a symbol, or input[axis], and what it becomes',
      type: 'text',
      default: '',
      example: 'height=320, image[3]=320',
    },
  ],
  run: runSetShape,
};

async function runSetShape(model: Model, given: OptionValues): Promise<PassResult> {
  const options = readOptions(setShape.options, given);
  const wanted = new Map(pairsOf('dims', options.text('dims')));
  const batch = options.text('batch');
  if (batch === '' && wanted.size === 0) throw new KerfError('bad-option', 'set-shape: give batch or dims');
  const graph = model.graphs[0];
  const used = new Set<string>();
  const notes: string[] = [];
  const values = new Map(graph.values);
  const oldBatches = new Map<ValueId, Dim>();
  for (const id of fedInputs(graph)) {
    const value = graph.values.get(id) as Value;
    if (value.type?.kind !== 'tensor' || value.type.shape === undefined) continue;
    const { shape } = value.type;
    if (batch !== '' && shape.length > 0) oldBatches.set(id, shape[0] as Dim);
    const next = shape.map((dim, axis) => {
      const names = [`${id}[${axis}]`, ...(typeof dim === 'string' ? [dim] : [])];
      const name = names.find((each) => wanted.has(each));
      if (name !== undefined) used.add(name);
      const text = name === undefined ? (axis === 0 ? batch : '') : (wanted.get(name) as string);
      return text === '' ? dim : dimOf(model, text);
    });
    notes.push(`${id}: ${shape.join('×')} to ${next.join('×')}`);
    values.set(id, resizedValue(value, next));
  }
  for (const name of wanted.keys())
    if (!used.has(name)) throw new KerfError('bad-option', `dims: no input has a dimension '${name}'`);
  const inner = withoutInnerShapes(model, values, batch === '' ? undefined : dimOf(model, batch));
  const resized = withMainGraph(model, { ...graph, values: inner });
  const freed = batch === '' ? resized : withFollowingReshapes(model, resized, oldBatches);
  const after = withInferredShapes(model, freed);
  const { uses } = indexOf(graph);
  const readers = fedInputs(graph).flatMap((id) => (uses.get(id) ?? []).map((use) => use.node.id));
  return resultOf(model, after, [...readers, ...changedNodes(graph, after.graphs[0])], notes);
}

function dimOf(model: Model, text: string): Dim {
  if (/^\d+$/.test(text) && Number(text) > 0) return Number(text);
  if (model.dialect === 'onnx' && /^[A-Za-z_][\w.]*$/.test(text)) return text;
  const form = model.dialect === 'onnx' ? 'a positive number or a name' : 'a positive number';
  throw new KerfError('bad-option', `'${text}' is no dimension: ${form} is needed`);
}

function resizedValue(value: Value, shape: readonly Dim[]): Value {
  const { signature: _resizable, ...rest } = value;
  const type = value.type?.kind === 'tensor' ? { ...value.type, shape } : value.type;
  return type === undefined ? rest : { ...rest, type };
}

/** What the file says of inner shapes was true for the old size; state that TFLite keeps grows with the batch. */
function withoutInnerShapes(
  model: Model,
  values: ReadonlyMap<ValueId, Value>,
  batch: Dim | undefined,
): Map<ValueId, Value> {
  const fed = new Set(fedInputs(model.graphs[0]));
  return new Map(
    [...values].map(([id, value]) => {
      if (fed.has(id) || value.constant !== undefined || value.type?.kind !== 'tensor') return [id, value];
      const { signature: _resizable, ...rest } = value;
      const { dtype, shape = [] } = value.type;
      if (value.variable === true)
        return [id, batch === undefined ? value : resizedValue(value, [batch, ...shape.slice(1)])];
      return [id, { ...rest, type: { kind: 'tensor', dtype } }];
    }),
  );
}

/** Reshapes to a constant shape that begins with the old batch take the new one over. */
function withFollowingReshapes(before: Model, model: Model, old: ReadonlyMap<ValueId, Dim>): Model {
  const [batch] = [...old.values()];
  if (typeof batch !== 'number') return model;
  const graph = model.graphs[0];
  const facts = factsOf(before);
  const editor = new GraphEditor(graph, model);
  for (const node of graph.nodes) {
    const leads = isBuiltin(node) && facts.typeOf(node.inputs[0])?.shape?.[0] === batch;
    if (!leads || !['Reshape', 'RESHAPE'].includes(node.op)) continue;
    const shape = reshapeTarget(graph, node);
    if (shape?.[0] !== batch) continue;
    editor.replaceNode(node.id, [withTarget(editor, model, node, shape.slice(1))]);
  }
  return withMainGraph(model, editor.finish());
}

function reshapeTarget(graph: Graph, node: Node): readonly number[] | undefined {
  const constant = readableConstant(graph, node.inputs[1]);
  return constant === undefined ? undefined : readIntegers(constant);
}

/** ONNX copies a dimension for 0; TFLite fills one for -1, which serves when no other is left to be filled. */
function withTarget(editor: GraphEditor, model: Model, node: Node, rest: readonly number[]): Node {
  const [data, target] = node.inputs as readonly [ValueId, ValueId];
  if (model.dialect === 'onnx') {
    const shape = editor.addConstant(`${target}_batch`, intTensor('int64', [rest.length + 1], [0, ...rest]));
    const attributes = new Map(node.attributes);
    if (intAttribute(node, 'allowzero', 0) === 1) attributes.set('allowzero', attr.int(0));
    return { ...node, inputs: [data, shape], attributes };
  }
  if (rest.includes(-1))
    throw new KerfError('unsupported', 'its target shape has -1 already, so the batch cannot follow', {
      place: `layer '${node.id}'`,
    });
  const shape = editor.addConstant(`${target}_batch`, intTensor('int32', [rest.length + 1], [-1, ...rest]));
  const attributes = new Map(node.attributes);
  if (attributes.has('new_shape')) attributes.set('new_shape', attr.ints([-1, ...rest]));
  return { ...node, inputs: [data, shape], attributes };
}

/**
 * Writes inferred shapes back: TFLite stores one for every tensor, and callers of ONNX models look at the outputs'.
 * Throws `KerfError('unsupported')` naming the first tensor whose shape cannot follow.
 */
function withInferredShapes(before: Model, model: Model): Model {
  const graph = model.graphs[0];
  const facts = factsOf(model);
  const old = factsOf(before);
  graph.nodes.forEach((node) => refuseFixed(facts, node));
  const isEnd = new Set(graph.outputs);
  const { producer } = indexOf(graph);
  const values = new Map(graph.values);
  for (const [id, value] of graph.values) {
    if (!producer.has(id) || value.type?.kind !== 'tensor') continue;
    const shape = facts.typeOf(id)?.shape;
    const lost = model.dialect === 'tflite' ? !isStatic(shape) : isEnd.has(id) && shape === undefined;
    if (lost && old.typeOf(id)?.shape !== undefined)
      throw new KerfError('unsupported', 'its shape cannot be worked out for the new size', {
        place: `tensor '${id}' of layer '${producer.get(id)?.id ?? ''}'`,
      });
    if (shape !== undefined) values.set(id, { ...value, type: { ...value.type, shape } });
  }
  return withMainGraph(model, { ...graph, values });
}

/** A reshape to a constant shape holds one number of elements only. */
function refuseFixed(facts: Facts, node: Node): void {
  if (!isBuiltin(node) || !['Reshape', 'RESHAPE'].includes(node.op)) return;
  const from = elementCount(facts.typeOf(node.inputs[0])?.shape);
  const shape = facts.typeOf(node.outputs[0])?.shape;
  const to = elementCount(shape);
  if (from === undefined || to === undefined || from === to) return;
  throw new KerfError('unsupported', `it is fixed to ${formatShape(shape)}, ${to} elements of ${from}`, {
    place: `layer '${node.id}'`,
  });
}
