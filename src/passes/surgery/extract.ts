import { KerfError } from '../../ir/errors.ts';
import type { Graph, Model, Node, NodeId, ValueId } from '../../ir/model.ts';
import { withMainGraph } from '../../ir/model.ts';
import { bodiesOf } from '../../ir/attribute.ts';
import { addScaleTensors, capturesOf, indexOf } from '../../ir/walk.ts';
import type { OptionValues, Pass, PassContext, PassResult } from '../pass.ts';
import { factsOf } from '../support/facts.ts';
import { changedNodes, resultOf } from '../support/graph.ts';
import { readOptions } from '../support/options.ts';
import { fedInputs, findValue, listOf } from './names.ts';

/** Cuts a part out as a model of its own: given layers, or all between the named tensors. */
export const extract: Pass = {
  id: 'extract',
  title: 'Cut out a part',
  summary: 'Keeps only the given layers, or what lies between the named tensors, as a model of its own.',
  dialects: ['onnx', 'tflite'],
  exact: false,
  calibration: 'none',
  options: [
    {
      name: 'inputs',
      title: 'Tensors where the part begins; empty for the inputs of the model',
      type: 'text',
      default: '',
      example: 'features, mask',
    },
    {
      name: 'outputs',
      title: 'Tensors where the part ends; empty for the outputs of the model',
      type: 'text',
      default: '',
      example: 'embedding',
    },
  ],
  run: runExtract,
};

async function runExtract(model: Model, given: OptionValues, context: PassContext): Promise<PassResult> {
  const options = readOptions(extract.options, given);
  const graph = model.graphs[0];
  const named = {
    inputs: listOf(options.text('inputs')).map((name) => findValue(model, 'inputs', name)),
    outputs: listOf(options.text('outputs')).map((name) => findValue(model, 'outputs', name)),
  };
  const border = context.layers === undefined ? named : borderOf(graph, context.layers);
  if (border.inputs.length + border.outputs.length === 0)
    throw new KerfError('bad-option', 'extract: name layers, or tensors in inputs or outputs');
  const outputs = border.outputs.length === 0 ? graph.outputs : border.outputs;
  const { nodes, inputs } = partBetween(graph, new Set(border.inputs), outputs);
  const after = withMainGraph(model, partOf(model, nodes, inputs, outputs));
  const part = withoutOldSignatures(after);
  const kept = `${nodes.length} of ${graph.nodes.length} layers kept`;
  const ends = `inputs: ${inputs.join(', ') || 'none'}; outputs: ${outputs.join(', ')}`;
  return resultOf(model, part, changedNodes(graph, part.graphs[0]), [kept, ends]);
}

/** What flows into a set of layers and out of it. */
function borderOf(graph: Graph, layers: ReadonlySet<NodeId>) {
  const { uses, isOutput } = indexOf(graph);
  const inside = graph.nodes.filter((node) => layers.has(node.id));
  const made = new Set(inside.flatMap((node) => node.outputs));
  const inputs = new Set<ValueId>();
  const outputs = new Set<ValueId>();
  for (const node of inside) {
    for (const id of readsOf(node))
      if (!made.has(id) && graph.values.get(id)?.constant === undefined) inputs.add(id);
    for (const id of node.outputs) {
      if (id === null) continue;
      const leaves = (uses.get(id) ?? []).some((use) => !layers.has(use.node.id));
      if (leaves || isOutput.has(id)) outputs.add(id);
    }
  }
  return { inputs: [...inputs], outputs: [...outputs] };
}

function readsOf(node: Node): readonly ValueId[] {
  const captured = bodiesOf(node).flatMap((body) => [...capturesOf(body)]);
  return [...node.inputs.filter((id) => id !== null), ...captured];
}

/** Layers that the outputs need, back to the named inputs; the model's own inputs where those do not cut a path. */
function partBetween(graph: Graph, cut: ReadonlySet<ValueId>, outputs: readonly ValueId[]) {
  const { producer } = indexOf(graph);
  const fed = new Set(fedInputs(graph));
  const needed = new Set<NodeId>();
  const reached = new Set<ValueId>();
  const waiting = outputs.filter((id) => !cut.has(id) || producer.has(id));
  const seen = new Set<ValueId>(waiting);
  for (let id = waiting.pop(); id !== undefined; id = waiting.pop()) {
    const maker = producer.get(id);
    if ((cut.has(id) && !outputs.includes(id)) || fed.has(id)) {
      reached.add(id);
      continue;
    }
    if (maker === undefined || needed.has(maker.id)) continue;
    needed.add(maker.id);
    for (const read of readsOf(maker)) {
      if (seen.has(read)) continue;
      seen.add(read);
      waiting.push(read);
    }
  }
  const missed = [...cut].filter((id) => !reached.has(id));
  if (missed.length > 0)
    throw new KerfError('bad-option', `inputs: the outputs do not depend on ${missed.join(', ')}`);
  const order = [...graph.inputs, ...cut].filter((id, i, all) => reached.has(id) && all.indexOf(id) === i);
  return { nodes: graph.nodes.filter((node) => needed.has(node.id)), inputs: order };
}

/** New ends say their type, as far as it is known: runtimes want that. */
function partOf(
  model: Model,
  nodes: readonly Node[],
  inputs: readonly ValueId[],
  outputs: readonly ValueId[],
): Graph {
  const graph = model.graphs[0];
  const facts = factsOf(model);
  const mentioned = new Set<ValueId>([...inputs, ...outputs]);
  for (const node of nodes)
    for (const id of [...readsOf(node), ...node.outputs, ...(node.intermediates ?? [])])
      if (id !== null) mentioned.add(id);
  addScaleTensors(graph.values, mentioned);
  const values = new Map([...graph.values].filter(([id]) => mentioned.has(id)));
  for (const id of [...inputs, ...outputs]) {
    const value = values.get(id) ?? { id, name: id };
    const type = value.type ?? facts.typeOf(id);
    if (type === undefined)
      throw new KerfError('unsupported', 'its type is unknown, so it cannot become an end of a model', {
        place: `tensor '${id}'`,
      });
    values.set(id, { ...value, type });
  }
  return { ...graph, nodes, inputs, outputs, values };
}

/** Signatures name the ends of the whole graph. */
function withoutOldSignatures(model: Model): Model {
  return model.dialect === 'tflite'
    ? { ...model, signatures: model.signatures.filter((each) => each.graph !== 0) }
    : model;
}
