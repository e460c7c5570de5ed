import type { Decor } from './frame.ts';
import { type Overlay, type OverlayId, basisOf, layerValues, shortPrecision } from './overlay.ts';
import type { Scene } from './scene.ts';

/** The part of the decor that depends on the overlay: bars, heat and words. */
export interface Measures extends Pick<Decor, 'heat' | 'heatKind' | 'bar' | 'words' | 'showWords'> {
  readonly basis: Overlay;
  /** The item value at the hot end of the ramp. */
  readonly hottest: number;
  /** Precisions on the picture, in the order of their colours. */
  readonly kinds: readonly string[];
  /** Operator families of the model, in alphabetical order. */
  readonly families: readonly string[];
  /** Items whose value is not known. */
  readonly unknown: number;
}

const steps = 16;

export function measure(scene: Scene, overlay: OverlayId, measured: Float64Array | undefined): Measures {
  const basis = basisOf(scene.view, overlay);
  const values = itemValues(scene, basis, layerValues(scene.view, basis.id, measured));
  let hottest = 0;
  let unknown = 0;
  values.forEach((value, i) => {
    if (!Number.isNaN(value)) hottest = Math.max(hottest, value);
    else if (speaks(scene, scene.visible.node[i]!)) unknown++;
  });
  const bar = Float32Array.from(values, (value) => (hottest > 0 ? value / hottest : Number.NaN));
  const words = Array.from(values, (value) => (Number.isNaN(value) ? 'unknown' : basis.format(value)));
  const kinds = overlay === 'precision' ? precisionsOf(scene) : [];
  return {
    basis,
    hottest,
    unknown,
    kinds,
    families: familiesOf(scene),
    bar,
    words,
    showWords: overlay !== 'none' && overlay !== 'precision',
    heatKind: overlay === 'precision' ? 'kinds' : 'ramp',
    heat: heatOf(scene, overlay, bar, kinds),
  };
}

/** Layers that have costs of their own: not ports, and not layers of bodies, whose cost is their owner's. */
function speaks({ view }: Scene, v: number): boolean {
  return view.kind[v] === 0 && view.nested[v] === 0;
}

function itemValues(scene: Scene, basis: Overlay, perLayer: Float64Array): Float64Array {
  return Float64Array.from(scene.members, (members, i) => {
    // Graph inputs and outputs do no work and have no value; a card speaks for its own layer, not for hidden constants.
    const folded = scene.visible.group[i]! >= 0;
    const layers = (folded ? members : [scene.visible.node[i]!]).filter((v) => speaks(scene, v));
    if (layers.length === 0) return Number.NaN;
    let result = 0;
    for (const v of layers) {
      const value = perLayer[v]!;
      if (basis.fold === 'sum') result += value;
      else result = Number.isNaN(value) || Number.isNaN(result) ? Number.NaN : Math.max(result, value);
    }
    return result;
  });
}

function heatOf(scene: Scene, overlay: OverlayId, bar: Float32Array, kinds: readonly string[]): Int16Array {
  if (overlay === 'none') return new Int16Array(scene.visible.count).fill(-1);
  if (overlay === 'precision') {
    return Int16Array.from(scene.members, (members) => {
      const name = commonPrecision(scene, members);
      return name === undefined ? -1 : Math.min(5, kinds.indexOf(name));
    });
  }
  // The square root shows the middle of the field beside one very hot layer.
  return Int16Array.from(bar, (share) => (Number.isNaN(share) ? -1 : Math.round(Math.sqrt(share) * steps)));
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

function precisionsOf(scene: Scene): readonly string[] {
  const found = new Set<string>();
  for (const members of scene.members) {
    const name = commonPrecision(scene, members);
    if (name !== undefined) found.add(name);
  }
  return [...found].sort();
}
