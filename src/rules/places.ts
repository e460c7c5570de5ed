import type { Graph, Model, Node, NodeId, ValueId } from '../ir/model.ts';
import type { Tensor } from '../ir/tensor.ts';
import type { TensorType } from '../ir/types.ts';
import { graphsOf, indexOf } from '../ir/walk.ts';
import { operatorOf } from '../ops/registry.ts';
import type { WeightRole } from '../ops/operator.ts';
import { constantOf } from '../passes/support/constants.ts';
import { factsOf } from '../passes/support/facts.ts';
import type { View } from '../passes/simplify/identities.ts';
import type { RuleContext } from './rule.ts';

/** A node with the graph that holds it. */
interface Place {
  readonly node: Node;
  readonly graph: Graph;
}

/** Every node of a model, bodies and functions included. */
export function* placesOf(model: Model): Generator<Place> {
  for (const graph of graphsOf(model)) for (const node of graph.nodes) yield { node, graph };
}

/** Ids of the nodes that a test holds for, in stored order. */
export function layersWhere(model: Model, holds: (place: Place) => boolean): readonly NodeId[] {
  const layers: NodeId[] = [];
  for (const place of placesOf(model)) if (holds(place)) layers.push(place.node.id);
  return layers;
}

/** The inferred type of a value, or the declared one; `undefined` for anything but tensors. */
export function typeIn(
  { analysis }: Pick<RuleContext, 'analysis'>,
  graph: Graph,
  id: ValueId | null | undefined,
): TensorType | undefined {
  if (id === null || id === undefined) return undefined;
  const value = graph.values.get(id);
  if (value?.constant !== undefined)
    return { kind: 'tensor', dtype: value.constant.dtype, shape: value.constant.dims };
  const type = analysis.types.get(graph)?.get(id) ?? value?.type;
  return type?.kind === 'tensor' ? type : undefined;
}

/** What the matchers of `simplify` and `fuse` look at. */
export function viewOf(model: Model): View {
  return { model, graph: model.graphs[0], facts: factsOf(model) };
}

/** A weight that a layer reads, behind the dequantization that sits on it in ONNX models. */
export interface PlacedWeight extends Place {
  readonly tensor: Tensor;
  readonly role: WeightRole;
  /** The value that holds the constant. */
  readonly value: ValueId;
  /** The DequantizeLinear between the constant and the layer, when there is one. */
  readonly dequantize?: Node;
}

/** The constant weights of convolutions and products, with their roles; missing ones included. */
export function* weightsOf(model: Model): Generator<PlacedWeight> {
  for (const { node, graph } of placesOf(model)) {
    for (const role of operatorOf(model, node)?.weights?.(node, model) ?? []) {
      if (role.kind === 'recurrent' || role.kind === 'embedding') continue;
      const found = constantBehind(graph, node.inputs[role.input]);
      if (found !== undefined) yield { node, graph, role, ...found };
    }
  }
}

type Behind = Pick<PlacedWeight, 'tensor' | 'value' | 'dequantize'>;

function constantBehind(graph: Graph, id: ValueId | null | undefined): Behind | undefined {
  if (id === null || id === undefined) return undefined;
  const tensor = constantOf(graph, id);
  if (tensor !== undefined) return { tensor, value: id };
  const producer = indexOf(graph).producer.get(id);
  const [source] = producer?.inputs ?? [];
  if (producer?.op !== 'DequantizeLinear' || source === null || source === undefined) return undefined;
  const stored = constantOf(graph, source);
  return stored === undefined ? undefined : { tensor: stored, value: source, dequantize: producer };
}
