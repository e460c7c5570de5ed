import type { Model, NodeId } from '../../ir/model.ts';
import { indexOf } from '../../ir/walk.ts';
import type { Repaired } from './repaired.ts';

/** The schema's `force_align` for the data of buffers. */
const alignment = 16;

/**
 * TFLite buffers that do not start at a multiple of 16 bytes, which Python's flatbuffers writes (tflite-micro pull request
 * 3177). The writer aligns every buffer, so a new value of the model is all that is needed.
 */
export function alignBuffers(original: Model, model: Model): Repaired | undefined {
  if (model.dialect !== 'tflite') return undefined;
  const changed = new Set<NodeId>();
  let count = 0;
  for (const graph of model.graphs) {
    for (const [id, { constant }] of graph.values) {
      const start = constant?.data.length === 0 ? undefined : constant?.data.start;
      if (start === undefined || start % alignment === 0) continue;
      count += 1;
      for (const use of indexOf(graph).uses.get(id) ?? []) changed.add(use.node.id);
    }
  }
  if (count === 0) return undefined;
  return {
    model: model === original ? { ...model } : model,
    changed: [...changed],
    notes: [`${count} buffers start at multiples of ${alignment} bytes once the file is written`],
  };
}
