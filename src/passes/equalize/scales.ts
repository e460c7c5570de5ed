import type { Model, ValueId } from '../../ir/model.ts';
import type { ChannelMoments } from '../pass.ts';
import { factsOf } from '../support/facts.ts';
import type { ChannelLayer, Channels } from './channels.ts';
import { importanceOf } from './importance.ts';
import type { Site } from './sites.ts';
import type { TapSizes } from './taps.ts';
import { tapSizesOf } from './taps.ts';
import type { DivisorsOf, Reader } from './weightNoise.ts';
import { largestUnder, weightNoise } from './weightNoise.ts';

/** What will be quantized, and how. */
export interface QuantizedForm {
  /** Values that will exist as codes. */
  readonly values: ReadonlySet<ValueId>;
  /** Whether a layer's weight has one scale per output channel; `undefined` for a layer that stays float. */
  perChannel(layer: ChannelLayer): boolean | undefined;
  /** Steps of an activation's range. */
  readonly levels: number;
  /** Largest weight code. */
  readonly top: number;
  /** Share of the noise of rounding to nearest that the chosen rounding of weights leaves. */
  readonly roundingNoise: number;
}

interface Source {
  readonly site: Site;
  /** How much wider than seen the range is made. */
  readonly room: number;
  readonly low: Float64Array;
  readonly high: Float64Array;
  /** Output energy per unit of noise energy on all elements of a channel. */
  readonly gain: Float64Array;
}

/** A value that a Clip makes, and the largest numbers seen of its channels, when it was observed. */
interface Bounded {
  readonly site: Site;
  readonly high: Float64Array | undefined;
}

interface Family {
  readonly roots: number[];
  readonly bounded: Bounded[];
  readonly sources: Source[];
  readonly readers: Reader[];
}

const alphas = [0, 0.25, 0.5, 0.75, 1];
const betas = [0, 0.25, 0.5];
/** No channel is stretched by more than this against the largest of its value: its range was seen on few samples. */
const mostStretch = 64;
const largestMatrix = 2 ** 24;
/** What lies above a bound is cut off by it: the largest number seen stays below by this factor. */
const roomUnderCap = 1.1;

/**
 * Chooses a divisor for every channel that may have one. Channels of one value share a quantizer, so small ones lose
 * most; a divisor r^a / w^b brings them closer to the largest (r is a channel's range, w the largest weight that reads
 * it), at the price of weights that differ more. The exponents that leave the least expected noise at the model's
 * outputs win, per set of values that have to be scaled together; doing nothing is among them.
 * For a = 1, b = 0 activations are encoded as if per channel; a = b = 1/2 is SmoothQuant (Xiao et al., ICML 2023).
 * Gives the divisor of each slot.
 */
export function chooseDivisors(
  model: Model,
  channels: Channels,
  moments: ReadonlyMap<ValueId, ChannelMoments>,
  form: QuantizedForm,
): Float64Array {
  const { sites } = channels;
  const byRoot = new Float64Array(sites.slots).fill(1);
  for (const family of familiesOf(model, channels, moments, form)) choose(family, channels, form, byRoot);
  return Float64Array.from({ length: sites.slots }, (_, slot) => byRoot[sites.rootOf(slot)] as number);
}

/**
 * How much wider than seen a range is made whose channels all reach its ends: new data go beyond the largest of n
 * numbers the more often, the smaller n is. Where one channel alone sets the range the others have room anyway.
 */
export function roomFor({ count }: ChannelMoments): number {
  return 1 + 8 / Math.sqrt(Math.max(count, 64));
}

/** The quantized values and the layers whose channels hang together, with nothing frozen among them. */
function familiesOf(
  model: Model,
  channels: Channels,
  moments: ReadonlyMap<ValueId, ChannelMoments>,
  form: QuantizedForm,
): readonly Family[] {
  const { sites, layers } = channels;
  const facts = factsOf(model);
  const known = new Map<ChannelLayer, TapSizes>();
  const sizesOf = (layer: ChannelLayer): TapSizes => {
    const sizes = known.get(layer) ?? tapSizesOf(layer);
    known.set(layer, sizes);
    return sizes;
  };
  const importance = importanceOf(model, channels, sizesOf);
  const group = joinValues(channels);
  const families = new Map<ValueId, Family>();
  const blocked = new Set<ValueId>();
  const positions = ({ value, count }: Site): number => {
    const shape = facts.typeOf(value)?.shape ?? [];
    return shape.reduce<number>((product, dim) => product * (typeof dim === 'number' ? dim : 1), 1) / count;
  };
  const gainOf = (site: Site): Float64Array => {
    const each = positions(site);
    return (importance.get(site.value) ?? new Float64Array(site.count).fill(1)).map((share) => share * each);
  };
  const familyOf = (value: ValueId): Family => {
    const key = group(value);
    let family = families.get(key);
    if (family === undefined) {
      family = { roots: [], bounded: [], sources: [], readers: [] };
      families.set(key, family);
    }
    return family;
  };
  for (const [value, site] of sites.all) {
    const family = familyOf(value);
    for (let i = 0; i < site.count; i += 1) {
      const root = sites.rootOf(site.first + i);
      if (root === site.first + i) family.roots.push(root);
      if (sites.isFrozen(root)) blocked.add(group(value));
    }
    const seen = moments.get(value);
    if (sites.capped.has(value)) family.bounded.push({ site, high: seen?.max });
    if (!form.values.has(value)) continue;
    if (seen === undefined || seen.min.length !== site.count) blocked.add(group(value));
    else
      family.sources.push({ site, room: roomFor(seen), low: seen.min, high: seen.max, gain: gainOf(site) });
  }
  for (const layer of layers) {
    const perChannel = form.perChannel(layer);
    if (perChannel === undefined) continue;
    const seen = moments.get(layer.from.value);
    const { outputs, inputs, largest, count, offsetOf } = sizesOf(layer);
    if (seen === undefined || outputs * inputs > largestMatrix) {
      blocked.add(group(layer.from.value));
      continue;
    }
    const perOutput = count / outputs / inputs;
    const reader: Reader = {
      layer,
      largest,
      outputs,
      inputs,
      offsets: Int32Array.from({ length: outputs }, (_, output) => offsetOf(output)),
      gain: gainOf(layer.to),
      energy: seen.variance.map((variance) => variance * perOutput),
      perChannel,
    };
    familyOf(layer.from.value).readers.push(reader);
    if (!perChannel && group(layer.to.value) !== group(layer.from.value))
      familyOf(layer.to.value).readers.push(reader);
  }
  return [...families].flatMap(([key, family]) =>
    blocked.has(key) || family.sources.length === 0 ? [] : [family],
  );
}

/** Values that share a tree, directly or through others, have the same representative. */
function joinValues({ sites }: Channels): (value: ValueId) => ValueId {
  const parent = new Map<ValueId, ValueId>();
  const find = (value: ValueId): ValueId => {
    let at = value;
    for (let next = parent.get(at); next !== undefined; next = parent.get(at)) at = next;
    return at;
  };
  const owner = new Map<number, ValueId>();
  for (const [value, site] of sites.all) {
    for (let i = 0; i < site.count; i += 1) {
      const root = sites.rootOf(site.first + i);
      const known = owner.get(root);
      if (known === undefined) owner.set(root, value);
      else if (find(known) !== find(value)) parent.set(find(value), find(known));
    }
  }
  return find;
}

function choose(family: Family, channels: Channels, form: QuantizedForm, byRoot: Float64Array): void {
  const ranges = relativeRanges(family, channels);
  const weights = relativeWeights(family, channels);
  const limits = limitsOf(family, channels);
  const stretch = (known: number | undefined) => Math.max(known ?? 1, 1 / mostStretch);
  const own = family.roots.map((root) => {
    const [range, weight] = [stretch(ranges.get(root)), stretch(weights.get(root))];
    const byRange = alphas.map((alpha) => range ** alpha);
    return { byRange, byWeight: betas.map((beta) => weight ** beta), limit: limits.get(root) };
  });
  // With exponents of zero, nothing is done.
  const trials = alphas.flatMap((_, a) =>
    betas.map((__, b) =>
      own.map(({ byRange, byWeight, limit }) => {
        const wanted = (byRange[a] as number) / (byWeight[b] as number);
        return limit === undefined ? wanted : limit >= 1 ? 1 : Math.max(limit, Math.min(1, wanted));
      }),
    ),
  );
  const use = (trial: readonly number[]) =>
    family.roots.forEach((root, i) => {
      byRoot[root] = trial[i] ?? 1;
    });
  const divisorsOf = divisorsBySite(channels, byRoot);
  const reaches = family.readers.map((reader) => {
    const divisors = trials.map((trial) => {
      use(trial);
      return Float32Array.from(divisorsOf(reader.layer.from));
    });
    return largestUnder(reader, divisors);
  });
  const noises = trials.map((trial, index) => {
    use(trial);
    return family.readers.reduce(
      (sum, reader, r) => {
        const reach = reaches[r]?.[index] as Float32Array;
        return sum + form.roundingNoise * weightNoise(reader, divisorsOf, reach, form.top);
      },
      activationNoise(family, form, divisorsOf),
    );
  });
  // The first of the least: doing nothing comes first.
  use(trials[noises.indexOf(Math.min(...noises))] ?? []);
}

/** What the channels of a value are divided by, as `byRoot` has it at the time. */
function divisorsBySite({ sites }: Channels, byRoot: Float64Array): DivisorsOf {
  const known = new Map<Site, Int32Array>();
  return (site) => {
    const roots =
      known.get(site) ?? Int32Array.from({ length: site.count }, (_, i) => sites.rootOf(site.first + i));
    known.set(site, roots);
    const divisors = new Float64Array(site.count);
    for (let i = 0; i < divisors.length; i += 1) divisors[i] = byRoot[roots[i] as number] as number;
    return divisors;
  };
}

/** Largest magnitude of each channel over the largest of its value, the largest over all values. */
function relativeRanges({ sources }: Family, { sites }: Channels): ReadonlyMap<number, number> {
  const ranges = new Map<number, number>();
  for (const { site, low, high } of sources) {
    const reach = high.map((top, i) => Math.max(top, -(low[i] as number), 0));
    // Where a bound caps the value, the cap is its range: what reaches it cannot be scaled.
    const whole = sites.capOf(site.first) ?? reach.reduce((a, b) => Math.max(a, b), 1e-30);
    reach.forEach((size, i) => {
      const root = sites.rootOf(site.first + i);
      ranges.set(root, Math.max(ranges.get(root) ?? 0, size / whole));
    });
  }
  return ranges;
}

/** Largest weight that reads each channel over the largest of its layer, the largest over all layers. */
function relativeWeights({ readers }: Family, { sites }: Channels): ReadonlyMap<number, number> {
  const weights = new Map<number, number>();
  for (const { layer, largest, inputs, offsets } of readers) {
    let whole = 1e-30;
    const byChannel = new Float32Array(layer.from.count);
    for (const [output, offset] of offsets.entries())
      for (let i = 0; i < inputs; i += 1) {
        const size = largest[output * inputs + i] as number;
        if (size > (byChannel[offset + i] as number)) byChannel[offset + i] = size;
        if (size > whole) whole = size;
      }
    byChannel.forEach((size, channel) => {
      const root = sites.rootOf(layer.from.first + channel);
      weights.set(root, Math.max(weights.get(root) ?? 0, size / whole));
    });
  }
  return weights;
}

/** Divisors below which a bound would cut off what was seen; 1 for channels that reach the bound, or of which nothing is known. */
function limitsOf({ bounded }: Family, { sites }: Channels): ReadonlyMap<number, number> {
  const limits = new Map<number, number>();
  for (const { site, high } of bounded) {
    for (let i = 0; i < site.count; i += 1) {
      const root = sites.rootOf(site.first + i);
      const cap = sites.capOf(root) as number;
      const top = high?.[i] ?? cap;
      const limit = top >= cap * (1 - 1e-6) ? 1 : Math.min(1, (roomUnderCap * top) / cap);
      limits.set(root, Math.max(limits.get(root) ?? 0, limit));
    }
  }
  return limits;
}

/** Expected noise energy at the outputs from this family's activations. */
function activationNoise(family: Family, form: QuantizedForm, divisorsOf: DivisorsOf): number {
  let noise = 0;
  for (const { site, room, low, high, gain } of family.sources) {
    let min = 0;
    let max = 0;
    let spread = 0;
    const divisors = divisorsOf(site);
    for (let i = 0; i < site.count; i += 1) {
      const by = divisors[i] as number;
      min = Math.min(min, (low[i] as number) / by);
      max = Math.max(max, (high[i] as number) / by);
      spread += by * by * (gain[i] as number);
    }
    noise += (((room * (max - min)) / form.levels) ** 2 / 12) * spread;
  }
  return noise;
}
