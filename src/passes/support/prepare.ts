import type { Graph, Model, NodeId } from '../../ir/model.ts';
import { indexOf } from '../../ir/walk.ts';
import { fuse } from '../fuse/fuse.ts';
import type { PassContext } from '../pass.ts';
import { simplify } from '../simplify/simplify.ts';
import { constantOf } from './constants.ts';

interface Prepared<M extends Model> {
  readonly model: M;
  readonly notes: readonly string[];
}

/**
 * Simplifies and fuses, as quantization needs it: weights as constants, batch normalization inside them, activations
 * beside the layer they belong to.
 */
export async function prepared<M extends Model>(model: M, context: PassContext): Promise<Prepared<M>> {
  const { layers } = context;
  const wider = layers === undefined ? {} : { layers: withConstantMakers(model.graphs[0], layers) };
  const quiet: PassContext = { ...context, ...wider, step: () => context.step(0, 'preparing the graph') };
  const notes: string[] = [];
  const simple = await simplify.run(model, {}, quiet);
  const fused = await fuse.run(simple.model, {}, quiet);
  if (simple.changed.length > 0) notes.push(`simplified first: ${simple.changed.length} layers changed`);
  if (fused.changed.length > 0) notes.push(`fused first: ${fused.changed.length} layers changed`);
  // Both passes keep the dialect.
  return { model: fused.model as M, notes: [...notes, ...fused.notes] };
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
