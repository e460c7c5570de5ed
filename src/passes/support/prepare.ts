import type { Graph, Model, Node, NodeId } from '../../ir/model.ts';
import { indexOf } from '../../ir/walk.ts';
import { fuse } from '../fuse/fuse.ts';
import type { PassContext } from '../pass.ts';
import { simplify } from '../simplify/simplify.ts';
import { constantOf } from './constants.ts';
import { withWideWeights } from './widened.ts';

interface Prepared<M extends Model> {
  readonly model: M;
  readonly notes: readonly string[];
}

/**
 * Simplifies and fuses, as quantization needs it: weights as constants, batch normalization inside them, activations
 * beside the layer they belong to. Weights that `widens` layers store in 16 bits are float32 afterwards.
 */
export async function prepared<M extends Model>(
  narrow: M,
  context: PassContext,
  widens: (node: Node) => boolean = () => true,
): Promise<Prepared<M>> {
  const { layers } = context;
  const { model, widened } = withWideWeights(
    narrow,
    (node) => (layers === undefined || layers.has(node.id)) && widens(node),
  );
  const wider = layers === undefined ? {} : { layers: withConstantMakers(model.graphs[0], layers) };
  const quiet: PassContext = { ...context, ...wider, step: () => context.step(0, 'preparing the graph') };
  const notes = wideNotes(widened);
  const simple = await simplify.run(model, {}, quiet);
  const fused = await fuse.run(simple.model, {}, quiet);
  if (simple.changed.length > 0) notes.push(`simplified first: ${simple.changed.length} layers changed`);
  if (fused.changed.length > 0) notes.push(`fused first: ${fused.changed.length} layers changed`);
  // Both passes keep the dialect.
  return { model: fused.model as M, notes: [...notes, ...fused.notes] };
}

/** What the reader is told of weights that were widened. */
export function wideNotes(widened: number): string[] {
  return widened === 0 ? [] : [`${widened} constants of 16 bits taken as float32 first`];
}

/** Operators that exporters put between a stored weight and its layer. */
const makers = new Set(['Constant', 'Identity', 'Transpose', 'Reshape', 'Squeeze', 'Unsqueeze']);

/**
 * The layers with the operators that only prepare their constants: a layer's weight is not within reach before those
 * are folded.
 */
export function withConstantMakers(graph: Graph, layers: ReadonlySet<NodeId>): ReadonlySet<NodeId> {
  const { producer, node } = indexOf(graph);
  const wider = new Set(layers);
  for (const id of layers) {
    const waiting = [...(node.get(id)?.inputs ?? [])];
    for (let input = waiting.pop(); input !== undefined; input = waiting.pop()) {
      const maker = input === null ? undefined : producer.get(input);
      if (maker === undefined || !makers.has(maker.op) || wider.has(maker.id)) continue;
      if (maker.op !== 'Constant' && constantOf(graph, maker.inputs[0]) === undefined) continue;
      wider.add(maker.id);
      waiting.push(...maker.inputs);
    }
  }
  return wider;
}
