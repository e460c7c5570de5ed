import type { Model } from '../../ir/model.ts';
import { fuse } from '../fuse/fuse.ts';
import type { PassContext } from '../pass.ts';
import { simplify } from '../simplify/simplify.ts';

export interface Prepared<M extends Model> {
  readonly model: M;
  readonly notes: readonly string[];
}

/**
 * Simplifies and fuses, as quantization needs it: weights as constants, batch normalization inside them, activations
 * beside the layer they belong to.
 */
export async function prepared<M extends Model>(model: M, context: PassContext): Promise<Prepared<M>> {
  const quiet: PassContext = { ...context, step: () => context.step(0, 'preparing the graph') };
  const notes: string[] = [];
  const simple = await simplify.run(model, {}, quiet);
  const fused = await fuse.run(simple.model, {}, quiet);
  if (simple.changed.length > 0) notes.push(`simplified first: ${simple.changed.length} layers changed`);
  if (fused.changed.length > 0) notes.push(`fused first: ${fused.changed.length} layers changed`);
  // Both passes keep the dialect.
  return { model: fused.model as M, notes: [...notes, ...fused.notes] };
}
