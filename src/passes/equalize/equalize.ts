import type { Model, Node, ValueId } from '../../ir/model.ts';
import type { Calibrator, ChannelMoments, ObservedRange } from '../pass.ts';
import { centredMoments, chooseCentres } from './centre.ts';
import { findChannels } from './channels.ts';
import { dividedMoments, withCentres, withDivisors } from './rewrite.ts';
import type { QuantizedForm } from './scales.ts';
import { chooseDivisors, roomFor } from './scales.ts';
import type { Site } from './sites.ts';

export interface Equalized<M extends Model> {
  readonly model: M;
  /** Values whose channels were brought closer to each other, with the room their ranges need beyond what was seen. */
  readonly room: ReadonlyMap<ValueId, number>;
  /** What was done to the channels of values. */
  readonly scaled: ReadonlyMap<ValueId, Scaled>;
  /** What was seen of channels, as it would look in the new model. */
  readonly seen: ReadonlyMap<ValueId, ChannelMoments>;
}

/** The channels along an axis became (x - centre) / divisor. */
export interface Scaled {
  readonly axis: number;
  readonly centre?: Float64Array;
  readonly divisor: Float64Array;
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
  const wanted = equalizable(model, form, allowed);
  const seen = wanted.length === 0 ? new Map() : await calibrator.channels(model, wanted);
  return equalizedBy(model, form, allowed, seen);
}

/** The values of whose channels something has to be known. */
export function equalizable(
  model: Model,
  form: QuantizedForm,
  allowed: (node: Node) => boolean,
): readonly Site[] {
  const { sites, layers } = findChannels(model, allowed);
  const isFree = (first: number, count: number) => {
    for (let i = 0; i < count; i += 1) if (!sites.isFrozen(first + i)) return true;
    return false;
  };
  const read = new Set(layers.map((layer) => layer.from.value));
  return [...sites.all.values()].filter(
    ({ value, first, count }) =>
      isFree(first, count) && (form.values.has(value) || read.has(value) || sites.capped.has(value)),
  );
}

/** As `equalized`, knowing what was seen of the channels. */
export function equalizedBy<M extends Model>(
  model: M,
  form: QuantizedForm,
  allowed: (node: Node) => boolean,
  observed: ReadonlyMap<ValueId, ChannelMoments>,
): Equalized<M> {
  const seen = new Map(observed);
  for (const [id, moments] of seen) if (!isFinite(moments)) seen.delete(id);
  if (seen.size === 0) return { model, room: new Map(), scaled: new Map(), seen };
  const found = findChannels(model, allowed);
  const centres = chooseCentres(model, found, seen);
  const centred = withCentres(model, found, centres);
  for (const [id, centre] of centres) {
    const moments = seen.get(id);
    if (moments !== undefined) seen.set(id, centredMoments(moments, centre));
  }
  const channels = centres.size === 0 ? found : findChannels(centred, allowed);
  const divisors = chooseDivisors(centred, channels, seen, form);
  const room = new Map<ValueId, number>();
  const scaled = new Map<ValueId, Scaled>();
  for (const site of channels.sites.all.values()) {
    const divisor = divisors.slice(site.first, site.first + site.count);
    const centre = centres.get(site.value);
    const moments = seen.get(site.value);
    if (divisor.every((by) => by === 1) && centre === undefined) continue;
    scaled.set(site.value, { axis: site.axis, divisor, ...(centre && { centre }) });
    if (moments === undefined || divisor.every((by) => by === 1)) continue;
    room.set(site.value, roomFor(moments));
    seen.set(site.value, dividedMoments(moments, site, divisors));
  }
  return { model: withDivisors(centred, channels, divisors), room, scaled, seen };
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
