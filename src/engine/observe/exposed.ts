import type { Model, ValueId } from '../../ir/model.ts';
import { withMainGraph } from '../../ir/model.ts';
import { tensorType } from '../../ir/types.ts';
import { factsOf } from '../../passes/support/facts.ts';
import { withOutputs } from '../../runtime/litert/tfliteModel.ts';

/** Values that leave the runtime whole: one session shows at most this many bytes. */
const bytesPerSession = 64 * 2 ** 20;
/** What a free dimension is taken for: mostly it is the batch, of which a session takes no more at once. */
const freeDimension = 16;

/** Values in groups that are small enough to leave the runtime together; none for no values. */
export function chunksOf(model: Model, values: readonly ValueId[]): readonly (readonly ValueId[])[] {
  const facts = factsOf(model);
  const chunks: ValueId[][] = [];
  let bytes = bytesPerSession;
  for (const id of values) {
    const shape = facts.typeOf(id)?.shape ?? [];
    const size = shape.reduce<number>(
      (product, dim) => product * (typeof dim === 'number' ? dim : freeDimension),
      4,
    );
    if (bytes + size > bytesPerSession) {
      chunks.push([]);
      bytes = 0;
    }
    chunks.at(-1)?.push(id);
    bytes += size;
  }
  return chunks;
}

/** The model with these values as its only outputs. */
export function exposing(model: Model, values: readonly ValueId[]): Model {
  if (model.dialect === 'tflite') return withOutputs(model, values);
  const [graph] = model.graphs;
  const typed = new Map(graph.values);
  for (const id of values) {
    const value = typed.get(id) ?? { id, name: id };
    // A model must say the type of its outputs; the shape may be left to the runtime.
    if (value.type === undefined) typed.set(id, { ...value, type: tensorType('float32') });
  }
  return withMainGraph(model, { ...graph, values: typed, outputs: values });
}
