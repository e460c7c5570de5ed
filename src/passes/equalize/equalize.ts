import type { Model, Node, ValueId } from '../../ir/model.ts';
import type { Calibrator, ChannelMoments, ObservedRange } from '../pass.ts';
import { centredMoments, chooseCentres } from './centre.ts';
import { findChannels } from './channels.ts';
import { withCentres, withDivisors } from './rewrite.ts';
import type { QuantizedForm } from './scales.ts';
import { chooseDivisors, roomFor } from './scales.ts';

export interface Equalized<M extends Model> {
  readonly model: M;
  /** Values whose channels were brought closer to each other, with the room their ranges need beyond what was seen. */
  readonly room: ReadonlyMap<ValueId, number>;
}

/**
 * Centres and scales channels against each other so that one quantizer per value, and one per output channel of a
 * weight, lose least: see `chooseCentres` and `chooseDivisors`. One pass over the calibration data.
 */
export async function equalized<M extends Model>(
  model: M,
  form: QuantizedForm,
  allowed: (node: Node) => boolean,
  calibrator: Calibrator,
): Promise<Equalized<M>> {
  const found = findChannels(model, allowed);
  const sites = [...found.sites.all.values()];
  const isFree = (first: number, count: number) => {
    for (let i = 0; i < count; i += 1) if (!found.sites.isFrozen(first + i)) return true;
    return false;
  };
  const read = new Set(found.layers.map((layer) => layer.from.value));
  const wanted = sites.filter(
    ({ value, first, count }) => isFree(first, count) && (form.values.has(value) || read.has(value)),
  );
  if (wanted.length === 0) return { model, room: new Map() };
  const seen = new Map(await calibrator.channels(model, wanted));
  for (const [id, moments] of seen) if (!isFinite(moments)) seen.delete(id);
  const centres = chooseCentres(model, found, seen);
  const centred = withCentres(model, found, centres);
  for (const [id, centre] of centres) {
    const moments = seen.get(id);
    if (moments !== undefined) seen.set(id, centredMoments(moments, centre));
  }
  const channels = centres.size === 0 ? found : findChannels(centred, allowed);
  const divisors = chooseDivisors(centred, channels, seen, form);
  const room = new Map<ValueId, number>();
  for (const { value, first, count } of channels.sites.all.values()) {
    const moments = seen.get(value);
    if (moments === undefined || !divisors.subarray(first, first + count).some((by) => by !== 1)) continue;
    room.set(value, roomFor(moments));
  }
  return { model: withDivisors(centred, channels, divisors), room };
}

function isFinite({ min, max }: ChannelMoments): boolean {
  return min.every(Number.isFinite) && max.every(Number.isFinite);
}

/** Ranges with room for what was not seen. */
export function widened(
  ranges: ReadonlyMap<ValueId, ObservedRange>,
  room: ReadonlyMap<ValueId, number>,
): ReadonlyMap<ValueId, ObservedRange> {
  const wide = new Map(ranges);
  for (const [id, factor] of room) {
    const range = ranges.get(id);
    if (range !== undefined) wide.set(id, { min: range.min * factor, max: range.max * factor });
  }
  return wide;
}
