import type { Decor } from './frame.ts';
import {
  type LayerValues,
  type Overlay,
  type OverlayId,
  basisOf,
  layerValues,
  overlayOf,
  shortPrecision,
} from './overlay.ts';
import { type Scale, scaled, valueAt } from './scale.ts';
import type { Scene } from './scene.ts';

/** What is laid over the graph. */
interface OverlayChoice {
  readonly id: OverlayId;
  readonly scale: Scale;
  /** Heat below this is dimmed, 0..1. */
  readonly threshold: number;
  readonly extra: ReadonlyMap<OverlayId, LayerValues>;
}

/** The part of the decor that depends on the overlay: bars, heat and words. */
export interface Measures extends Pick<Decor, 'heat' | 'heatKind' | 'bar' | 'words' | 'showWords' | 'dim'> {
  readonly overlay: Overlay;
  readonly basis: Overlay;
  /** The item value at the hot end of the ramp. */
  readonly hottest: number;
  /** The value at the threshold, and how many items reach it. */
  readonly thresholdValue: number;
  readonly above: number;
  /** Kinds on the picture, in the order of their colours. */
  readonly kinds: readonly string[];
  /** Operator families of the model, in alphabetical order. */
  readonly families: readonly string[];
  /** Items whose value is not known. */
  readonly unknown: number;
}

const steps = 16;

export function measure(scene: Scene, choice: OverlayChoice): Measures {
  const overlay = overlayOf(choice.id, choice.extra);
  const basis = basisOf(scene.view, overlay);
  const values = itemValues(scene, basis, layerValues(scene.view, basis.id, choice.extra));
  let hottest = 0;
  let unknown = 0;
  values.forEach((value, i) => {
    if (!Number.isNaN(value)) hottest = Math.max(hottest, value);
    else if (speaks(scene, scene.visible.node[i]!)) unknown++;
  });
  const numeric = overlay.id !== 'none' && overlay.kinds !== true;
  const heat = scaled(values, choice.scale);
  const bar = numeric ? heat : scaled(values, 'linear');
  const threshold = numeric ? choice.threshold : 0;
  const dim = Uint8Array.from(heat, (share) => Number(threshold > 0 && !(share >= threshold)));
  const { kinds, of } = kindsOf(scene, overlay);
  return {
    overlay,
    basis,
    hottest,
    unknown,
    thresholdValue: valueAt(values, choice.scale, threshold),
    above: dim.reduce((total, each) => total + 1 - each, 0),
    kinds,
    families: familiesOf(scene),
    bar: hottest > 0 ? Float32Array.from(bar) : new Float32Array(bar.length).fill(Number.NaN),
    // Values that were given for some layers say nothing of the others.
    words: Array.from(values, (value) =>
      Number.isNaN(value) ? (choice.extra.has(basis.id) ? '' : 'unknown') : basis.format(value),
    ),
    showWords: numeric,
    heatKind: overlay.kinds === true ? 'kinds' : 'ramp',
    heat: overlay.kinds === true ? of : numeric ? stepsOf(heat) : new Int16Array(heat.length).fill(-1),
    dim,
  };
}

function stepsOf(heat: Float64Array): Int16Array {
  return Int16Array.from(heat, (share) => (Number.isNaN(share) ? -1 : Math.round(share * steps)));
}

/** Layers that add to a tile: not ports, and not layers of bodies, whose cost is in their owner's. */
function speaks({ view }: Scene, v: number): boolean {
  return view.kind[v] === 0 && view.nested[v] === 0;
}

function itemValues(scene: Scene, basis: Overlay, perLayer: Float64Array): Float64Array {
  return Float64Array.from(scene.members, (members, i) => {
    // Graph inputs and outputs do no work and have no value; a card speaks for its own layer, not for hidden constants.
    const folded = scene.visible.group[i]! >= 0;
    const own = scene.visible.node[i]!;
    const layers = folded
      ? members.filter((v) => speaks(scene, v))
      : [own].filter((v) => scene.view.kind[v] === 0);
    if (layers.length === 0) return Number.NaN;
    return basis.fold === 'sum' ? sumOf(perLayer, layers) : largestOf(perLayer, layers);
  });
}

/** A sum with an unknown part is unknown. */
function sumOf(perLayer: Float64Array, layers: readonly number[]): number {
  let sum = 0;
  for (const v of layers) sum += perLayer[v]!;
  return sum;
}

/** The largest of what is known: layers without weights have no sparsity, and that hides nobody else's. */
function largestOf(perLayer: Float64Array, layers: readonly number[]): number {
  let largest = Number.NaN;
  for (const v of layers)
    if (!(perLayer[v]! <= largest) && !Number.isNaN(perLayer[v]!)) largest = perLayer[v]!;
  return largest;
}

function kindsOf(scene: Scene, overlay: Overlay): { kinds: readonly string[]; of: Int16Array } {
  const none = { kinds: [], of: new Int16Array(scene.visible.count).fill(-1) };
  if (overlay.id === 'unsupported') {
    const kinds = ['runs on the device', 'cannot run there'];
    const of = Int16Array.from(scene.members, (members) => {
      const layers = members.filter((v) => speaks(scene, v));
      return layers.length === 0 ? -1 : Number(layers.some((v) => scene.view.unsupported[v] === 1));
    });
    return { kinds, of };
  }
  if (overlay.id !== 'precision') return none;
  const names = scene.members.map((members) => commonPrecision(scene, members));
  const kinds = [...new Set(names.filter((name) => name !== undefined))].sort();
  return {
    kinds,
    of: Int16Array.from(names, (name) => (name === undefined ? -1 : Math.min(5, kinds.indexOf(name)))),
  };
}

function familiesOf({ view, tree }: Scene): readonly string[] {
  const found = new Set<number>();
  for (let v = 0; v < view.nodeCount; v++) {
    if (view.kind[v] === 0 && tree.host[v]! < 0) found.add(view.family[v]!);
  }
  return Array.from(found, (index) => view.strings[index]!).sort();
}

/** The precision most layers of an item compute in. */
function commonPrecision(scene: Scene, members: readonly number[]): string | undefined {
  const counts = new Map<string, number>();
  for (const v of members) {
    if (scene.view.kind[v] !== 0) continue;
    const name = shortPrecision(scene.view.strings[scene.view.precision[v]!]!);
    counts.set(name, (counts.get(name) ?? 0) + 1);
  }
  return [...counts].sort((a, b) => b[1] - a[1])[0]?.[0];
}
