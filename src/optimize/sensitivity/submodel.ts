import { bodiesOf } from '../../ir/attribute.ts';
import type { QuantizationDetails } from '../../formats/tflite/extra.ts';
import type { Model, Node, Value, ValueId } from '../../ir/model.ts';
import { tensorType } from '../../ir/types.ts';
import { addScaleTensors, capturesOf, indexOf } from '../../ir/walk.ts';
import { factsOf } from '../../passes/support/facts.ts';
import { readsOf } from './cuts.ts';

interface Submodel {
  readonly model: Model;
  readonly nodes: readonly Node[];
  /** Those of the wanted inputs that the part reads. */
  readonly feeds: readonly ValueId[];
  readonly outputs: readonly ValueId[];
}

/**
 * The part of the main graph between some values and others as a model of its own; names stay. With `anyBatch`, the
 * first dimension of its ends is left open (ONNX).
 */
export function submodel(
  model: Model,
  inputs: ReadonlySet<ValueId>,
  outputs: readonly ValueId[],
  anyBatch: boolean,
): Submodel {
  const [graph] = model.graphs;
  const { producer } = indexOf(graph);
  const wanted = new Set<Node>();
  const feeds = new Set<ValueId>();
  const waiting = outputs.filter((id) => !inputs.has(id));
  for (let id = waiting.pop(); id !== undefined; id = waiting.pop()) {
    const maker = producer.get(id);
    if (inputs.has(id) || (maker === undefined && graph.inputs.includes(id))) {
      if (graph.values.get(id)?.constant === undefined || maker !== undefined) feeds.add(id);
    } else if (maker !== undefined && !wanted.has(maker)) {
      wanted.add(maker);
      waiting.push(...readsOf(maker));
    }
  }
  const nodes = graph.nodes.filter((node) => wanted.has(node));
  const ends = outputs.filter((id) => !inputs.has(id));
  const values = valuesOf(model, nodes, { feeds, ends: new Set(ends), anyBatch });
  const part = { ...graph, inputs: [...feeds], outputs: ends, nodes, values };
  const rest = model.graphs.slice(1);
  const made: Model =
    model.dialect === 'tflite'
      ? { ...model, graphs: [part, ...rest], signatures: [], metadata: [] }
      : { ...model, graphs: [part, ...rest] };
  return { model: made, nodes, feeds: [...feeds], outputs: ends };
}

interface Ends {
  readonly feeds: ReadonlySet<ValueId>;
  readonly ends: ReadonlySet<ValueId>;
  readonly anyBatch: boolean;
}

function valuesOf(
  model: Model,
  nodes: readonly Node[],
  { feeds, ends, anyBatch }: Ends,
): Map<ValueId, Value> {
  const [graph] = model.graphs;
  const facts = factsOf(model);
  const used = new Set<ValueId>([...feeds, ...ends]);
  for (const node of nodes) {
    for (const id of [...node.inputs, ...node.outputs, ...(node.intermediates ?? [])])
      if (id !== null) used.add(id);
    for (const body of bodiesOf(node)) for (const id of capturesOf(body)) used.add(id);
  }
  addScaleTensors(graph.values, used);
  const values = new Map<ValueId, Value>();
  for (const id of used) {
    const value = graph.values.get(id) ?? { id, name: id };
    const isEnd = feeds.has(id) || ends.has(id);
    if (model.dialect === 'tflite') values.set(id, isEnd ? { ...value, name: id } : value);
    else if (value.constant !== undefined && !feeds.has(id)) values.set(id, value);
    else if (isEnd) {
      const type = facts.typeOf(id) ?? tensorType('float32');
      // What a runtime finds out by itself may be left open; only inputs need their shape.
      const shape = feeds.has(id) && type.shape !== undefined ? opened(type.shape, anyBatch) : undefined;
      values.set(id, { id, name: value.name, type: tensorType(type.dtype, shape) });
    } else {
      const { type: _declared, ...open } = value;
      values.set(id, open);
    }
  }
  for (const id of [...values.values()].flatMap(scalesOf)) {
    const scales = graph.values.get(id);
    if (scales !== undefined) values.set(id, scales);
  }
  return values;
}

/** Tensors that hold the scales of a blockwise quantization, which no node mentions. */
function scalesOf({ quantization }: Value): readonly ValueId[] {
  const details = quantization?.details as Partial<QuantizationDetails> | undefined;
  return [details?.scales, details?.zeroPoints].filter((id) => id !== undefined);
}

type Shape = NonNullable<ReturnType<typeof tensorType>['shape']>;

function opened(shape: Shape, anyBatch: boolean): Shape {
  return shape.map((dim, axis) => (axis === 0 && anyBatch ? null : typeof dim === 'number' ? dim : null));
}
