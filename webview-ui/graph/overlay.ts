import type { GraphView } from '../../src/engine/view.ts';
import { bytes, count, digits, macs, percent, time } from '../format.ts';

/** A number for every layer, a kind for every layer, or nothing. Files that were read add `file:NAME`. */
export type OverlayId =
  | 'none'
  | 'params'
  | 'weights'
  | 'macs'
  | 'estimate'
  | 'measured'
  | 'activation'
  | 'sensitivity'
  | 'sparsity'
  | 'precision'
  | 'unsupported'
  | 'difference'
  | `file:${string}`;

export interface Overlay {
  readonly id: OverlayId;
  readonly title: string;
  readonly format: (value: number) => string;
  /** Groups carry the sum of their layers, or the largest where a sum means nothing. */
  readonly fold: 'sum' | 'largest';
  /** Colours tell kinds apart instead of more from less. */
  readonly kinds?: boolean;
}

/** Values that do not come with the graph: read, measured or imported. */
export interface LayerValues extends Overlay {
  /** By id in the view. */
  readonly values: ReadonlyMap<string, number>;
  /** Where the values come from, in words. */
  readonly note: string;
}

/** Noise to signal as decibels of signal to noise; infinite without noise. */
export function decibels(noise: number): number {
  return -10 * Math.log10(noise);
}

/** Hot is what disturbs the outputs. */
const sqnr = (noise: number) => (noise === 0 ? 'no effect' : `${digits(decibels(noise))} dB`);

export const overlays: readonly Overlay[] = [
  { id: 'none', title: 'No overlay', format: count, fold: 'sum' },
  { id: 'params', title: 'Parameters', format: count, fold: 'sum' },
  { id: 'weights', title: 'Weight bytes', format: bytes, fold: 'sum' },
  { id: 'macs', title: 'MACs', format: macs, fold: 'sum' },
  { id: 'estimate', title: 'Estimated time', format: time, fold: 'sum' },
  { id: 'measured', title: 'Measured time', format: time, fold: 'sum' },
  { id: 'activation', title: 'Activation memory', format: bytes, fold: 'largest' },
  { id: 'sensitivity', title: 'Sensitivity', format: sqnr, fold: 'largest' },
  { id: 'sparsity', title: 'Sparsity', format: percent, fold: 'largest' },
  { id: 'precision', title: 'Precision', format: count, fold: 'sum', kinds: true },
  { id: 'unsupported', title: 'Unsupported on target', format: count, fold: 'sum', kinds: true },
  { id: 'difference', title: 'Difference to the other model', format: time, fold: 'sum' },
];

/** What is shown under an id; values of a file that is gone are no overlay. */
export function overlayOf(id: OverlayId, extra: ReadonlyMap<OverlayId, LayerValues>): Overlay {
  return extra.get(id) ?? overlays.find((overlay) => overlay.id === id) ?? overlays[0]!;
}

/** What cards show as their bar when no numeric overlay is chosen: time on the device if known, else MACs. */
export function basisOf(view: GraphView, overlay: Overlay): Overlay {
  if (overlay.id !== 'none' && overlay.kinds !== true) return overlay;
  const id = view.estimateMs.some((ms) => ms > 0) ? 'estimate' : 'macs';
  return overlays.find((each) => each.id === id)!;
}

/** Cost of each layer; NaN is unknown. */
export function layerValues(
  view: GraphView,
  id: OverlayId,
  extra: ReadonlyMap<OverlayId, LayerValues>,
): Float64Array {
  const found = extra.get(id);
  if (found !== undefined)
    return Float64Array.from(view.id, (text) => found.values.get(view.strings[text]!) ?? Number.NaN);
  switch (id) {
    case 'params':
      return view.params;
    case 'weights':
      return view.weightBytes;
    case 'macs':
      return view.macs;
    case 'estimate':
      return view.estimateMs;
    case 'activation':
      return view.activationBytes;
    case 'none':
    case 'precision':
    case 'unsupported':
      return new Float64Array(view.nodeCount);
    default:
      return new Float64Array(view.nodeCount).fill(Number.NaN);
  }
}

const shortNames: Readonly<Record<string, string>> = {
  float32: 'f32',
  float16: 'f16',
  bfloat16: 'bf16',
  float64: 'f64',
  boolean: 'bool',
};

/** "f32", "i8", "u8": what fits on a chip. */
export function shortPrecision(precision: string): string {
  return shortNames[precision] ?? precision.replace(/^uint/, 'u').replace(/^int/, 'i');
}
