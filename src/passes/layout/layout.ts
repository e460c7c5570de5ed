import { attr } from '../../ir/attribute.ts';
import { GraphEditor } from '../../ir/edit.ts';
import type { Graph, Model, Node, Value, ValueId } from '../../ir/model.ts';
import { withMainGraph } from '../../ir/model.ts';
import { intTensor } from '../../ir/numbers.ts';
import { indexOf } from '../../ir/walk.ts';
import type { OptionValues, Pass, PassContext, PassResult } from '../pass.ts';
import { withoutDeadCode } from '../simplify/deadCode.ts';
import { factsOf } from '../support/facts.ts';
import { changedNodes, opsetOf, resultOf } from '../support/graph.ts';
import { readOptions } from '../support/options.ts';
import type { Surroundings } from './axisRule.ts';
import { freeEnds } from './ends.ts';
import type { Order } from './order.ts';
import { inverse, isIdentity, movesNothing, ordered } from './order.ts';
import type { Region, Regions } from './regions.ts';
import {
  chooseOrders,
  fixedReaders,
  needsOriginal,
  needsSource,
  orderBetween,
  regionsOf,
} from './regions.ts';

/** Moves transposes to where they cancel. */
export const layout: Pass = {
  id: 'layout',
  title: 'Clean up transposes',
  summary: 'Moves transposes through operators that do not care about the order of axes, until they cancel.',
  dialects: ['onnx', 'tflite'],
  exact: true,
  calibration: 'none',
  options: [
    {
      name: 'ends',
      title:
        'Inputs and outputs: keep their order of axes, or free to take the one that the layers beside them have (NHWC, NCHW)',
      type: 'choice',
      default: 'keep',
      choices: ['keep', 'free'],
    },
  ],
  appliesTo: (node) => node.op === 'Transpose' || node.op === 'TRANSPOSE',
  run: runLayout,
};

async function runLayout(model: Model, values: OptionValues, context: PassContext): Promise<PassResult> {
  const options = readOptions(layout.options, values);
  await context.step(0, 'looking for transposes that cancel');
  const before = model.graphs[0];
  let current = model;
  // A transpose that is gone may join two regions into one.
  for (let round = 0; round < 4; round += 1) {
    const next = withFewerTransposes(current, context.layers);
    if (next === current) break;
    current = next;
    await context.step(
      (round + 1) / 4,
      `${transposes(before) - transposes(current.graphs[0])} transposes less`,
    );
  }
  const ends = options.choice('ends') === 'free' ? freeEnds(current) : { model: current, notes: [] };
  current = ends.model;
  const saved = transposes(before) - transposes(current.graphs[0]);
  const notes = current === model ? [] : [`${saved} of ${transposes(before)} transposes gone`, ...ends.notes];
  return resultOf(model, current, changedNodes(before, current.graphs[0]), notes);
}

function transposes(graph: Graph): number {
  return graph.nodes.filter((node) => node.op === 'Transpose' || node.op === 'TRANSPOSE').length;
}

function withFewerTransposes(model: Model, wanted: ReadonlySet<string> | undefined): Model {
  const around = { model, facts: factsOf(model) };
  const regions = regionsOf(around);
  if (regions.turns.length === 0) return model;
  chooseOrders(around, regions, wanted);
  if (regions.all.every((region) => isIdentity(region.order)) && !someCancel(regions)) return model;
  const editor = new GraphEditor(model.graphs[0], model);
  const rewriter = rewriterOf(around, regions, editor);
  for (const region of regions.all) if (!isIdentity(region.order)) rewriter.region(region);
  rewriter.turns();
  rewriter.fixedReads();
  const edited = withMainGraph(model, editor.finish());
  const graph = withoutDeadCode(edited, edited.graphs[0], () => true);
  return withMainGraph(edited, graph);
}

function someCancel(regions: Regions): boolean {
  return regions.turns.some((turn) => isIdentity(orderBetween(turn, regions)));
}

function rewriterOf(around: Surroundings, regions: Regions, editor: GraphEditor) {
  const { model, facts } = around;
  const graph = model.graphs[0];
  const { producer, isOutput } = indexOf(graph);
  /** Where a value is in the order of its region. */
  const stored = new Map<ValueId, ValueId>();
  /** What a reader has to read that wants the value as it is now. */
  const original = new Map<ValueId, ValueId>();
  const place = (id: ValueId) => stored.get(id) ?? id;

  const turned = (from: ValueId, to: ValueId, order: Order, dims: Dims): Node =>
    movesNothing(dims, order) && isReshapable(model, dims)
      ? reshapeNode(model, editor, from, to, ordered(dims, order))
      : transposeNode(model, editor, from, to, order);

  const typed = (base: ValueId, order: Order, name: string): ValueId => {
    const value = reorderedValue(
      graph.values.get(base) ?? { id: base, name: base },
      facts.typeOf(base)?.shape,
      order,
    );
    const { id: _id, name: _name, extra: _extra, ...rest } = value;
    return editor.addValue(name, rest);
  };

  function value(id: ValueId, order: Order): void {
    const dims = facts.typeOf(id)?.shape ?? [];
    const maker = producer.get(id);
    if (needsSource(around, regions, id)) {
      const fresh = typed(id, order, `${id}_${order.join('')}`);
      const node = turned(id, fresh, order, dims);
      if (maker === undefined) editor.insertFirst([node]);
      else editor.insertAfter(maker.id, [node]);
      stored.set(id, fresh);
      return;
    }
    if (!needsOriginal(around, regions, id)) {
      editor.setValue(reorderedValue(graph.values.get(id) ?? { id, name: id }, dims, order));
      return;
    }
    // An output keeps its name and its order.
    const keepsName = isOutput.has(id);
    const fresh = typed(
      id,
      keepsName ? order : order.map((_, i) => i),
      `${id}_${keepsName ? order.join('') : 'as_before'}`,
    );
    const [inOrder, asBefore] = keepsName ? [fresh, id] : [id, fresh];
    stored.set(id, inOrder);
    original.set(id, asBefore);
    if (!keepsName) editor.setValue(reorderedValue(graph.values.get(id) ?? { id, name: id }, dims, order));
    editor.insertAfter((maker as Node).id, [turned(inOrder, asBefore, inverse(order), ordered(dims, order))]);
  }

  const moved = (node: Node, ids: ReadonlySet<ValueId>): Node => ({
    ...node,
    inputs: node.inputs.map((id) => (id !== null && ids.has(id) ? place(id) : id)),
    outputs: node.outputs.map((id) => (id !== null && ids.has(id) ? place(id) : id)),
  });

  return {
    region({ values, nodes, order }: Region): void {
      for (const id of values) value(id, order);
      for (const { node, rule } of nodes) {
        const next = rule.reordered(order, editor);
        editor.replaceNode(node.id, [moved(next, new Set(rule.values))]);
      }
    },
    turns(): void {
      for (const turn of regions.turns) {
        const order = orderBetween(turn, regions);
        const [from, to] = [place(turn.from), place(turn.to)];
        const unchanged = order === turn.order && from === turn.from && to === turn.to;
        if (isIdentity(order) && !isOutput.has(to)) {
          editor.removeNode(turn.node.id);
          editor.replaceUses(to, from);
        } else if (!unchanged) {
          const dims = facts.typeOf(turn.from)?.shape ?? [];
          const seen = regions.regionOf(turn.from)?.order;
          const now = seen === undefined ? dims : ordered(dims, seen);
          const made = turned(from, to, order, now);
          editor.replaceNode(turn.node.id, [{ ...made, id: turn.node.id, name: turn.node.name }]);
        }
      }
    },
    /** Readers that do not follow get the value in the order that they know. */
    fixedReads(): void {
      const readers = new Map<Node, Map<ValueId, ValueId>>();
      for (const [id, asBefore] of original) {
        for (const node of fixedReaders(graph, regions, id)) {
          const list = readers.get(node) ?? new Map<ValueId, ValueId>();
          readers.set(node, list.set(id, asBefore));
        }
      }
      for (const [node, renamed] of readers) {
        const inputs = node.inputs.map((id) => (id === null ? null : (renamed.get(id) ?? id)));
        editor.replaceNode(node.id, [{ ...node, inputs }]);
      }
    },
  };
}

type Dims = readonly (number | string | null)[];

function reorderedValue(value: Value, shape: Dims | undefined, order: Order): Value {
  const { signature, type, ...rest } = value;
  if (type?.kind !== 'tensor') return value;
  const dims = type.shape ?? shape;
  return {
    ...rest,
    type: dims === undefined ? type : { ...type, shape: ordered(dims, order) },
    ...(signature && { signature: ordered(signature, order) }),
  };
}

function transposeNode(model: Model, editor: GraphEditor, from: ValueId, to: ValueId, order: Order): Node {
  const id = editor.freshNode(`${to}/transpose`);
  const base = { id, domain: '', outputs: [to] };
  if (model.dialect === 'onnx')
    return {
      ...base,
      name: id,
      op: 'Transpose',
      inputs: [from],
      attributes: new Map([['perm', attr.ints(order)]]),
    };
  const axes = editor.addConstant(`${to}_order`, intTensor('int32', [order.length], order));
  return { ...base, name: '', op: 'TRANSPOSE', inputs: [from, axes], attributes: new Map() };
}

/** ONNX may leave one free dimension to Reshape, TFLite none. */
function isReshapable(model: Model, dims: Dims): boolean {
  const free = dims.filter((dim) => typeof dim !== 'number').length;
  return model.dialect === 'onnx' ? opsetOf(model) >= 5 && free <= 1 : free === 0;
}

function reshapeNode(model: Model, editor: GraphEditor, from: ValueId, to: ValueId, dims: Dims): Node {
  const id = editor.freshNode(`${to}/reshape`);
  const numbers = dims.map((dim) => (typeof dim === 'number' ? dim : -1));
  const dtype = model.dialect === 'onnx' ? 'int64' : 'int32';
  const shape = editor.addConstant(`${to}_shape`, intTensor(dtype, [numbers.length], numbers));
  const base = { id, domain: '', inputs: [from, shape], outputs: [to] };
  return model.dialect === 'onnx'
    ? { ...base, name: id, op: 'Reshape', attributes: new Map() }
    : { ...base, name: '', op: 'RESHAPE', attributes: new Map([['new_shape', attr.ints(numbers)]]) };
}
