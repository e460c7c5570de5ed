import type { Model, ValueId } from '../ir/model.ts';
import { decodeNumbers } from '../ir/numbers.ts';
import type { ArenaProblem, ArenaSolution } from './arenaProblem.ts';
import { liveBytes, planArena } from './arena.ts';
import type { Block } from './lifetimes.ts';

const metadataName = 'OfflineMemoryAllocation';
/** Format version, number of subgraphs, number of offsets. */
const headerLength = 3;

/**
 * Offsets of the main graph's tensors that a TFLite file prescribes: one int32 per tensor, -1 for those that the
 * runtime shall place (TensorFlow Lite Micro, docs/memory_management.md). Vela writes this for an Ethos-U, whose
 * tensors share its scratch area.
 */
export function offlineOffsets(model: Model): ReadonlyMap<ValueId, number> | undefined {
  if (model.dialect !== 'tflite') return undefined;
  const data = model.metadata.find((each) => each.name === metadataName)?.data;
  const values = [...model.graphs[0].values.keys()];
  if (data === undefined || data.length < 4 * (headerLength + values.length)) return undefined;
  const numbers = decodeNumbers('int32', data.read(), headerLength + values.length);
  if (numbers[0] !== 0 || numbers[2] !== values.length) return undefined;
  const offsets = new Map<ValueId, number>();
  values.forEach((id, index) => {
    const offset = numbers[headerLength + index] as number;
    if (offset >= 0) offsets.set(id, offset);
  });
  return offsets.size > 0 ? offsets : undefined;
}

/** Prescribed blocks where they are, overlaps included; the others planned above them. */
export function planOffline(
  { bytes, first, last, steps }: ArenaProblem,
  blocks: readonly Block[],
  fixed: ReadonlyMap<ValueId, number>,
): { live: Float64Array; solution: ArenaSolution } {
  const isFree = blocks.map(({ value }) => !fixed.has(value));
  const rest = {
    bytes: bytes.filter((_, block) => isFree[block]),
    first: first.filter((_, block) => isFree[block]),
    last: last.filter((_, block) => isFree[block]),
    steps,
  };
  const above = liveBytes(rest);
  const planned = planArena(
    rest,
    above.reduce((most, sum) => Math.max(most, sum), 0),
  );
  const ends = blocks.map(({ value }, block) => (fixed.get(value) ?? Number.NaN) + (bytes[block] as number));
  const floor = ends.reduce((most, end) => (end > most ? end : most), 0);
  const live = Float64Array.from(above, (sum) => floor + sum);
  let next = 0;
  const offsets = Float64Array.from(blocks, ({ value }) => {
    const prescribed = fixed.get(value);
    return prescribed ?? floor + (planned.offsets[next++] as number);
  });
  return { live, solution: { offsets, peak: floor + planned.peak } };
}
