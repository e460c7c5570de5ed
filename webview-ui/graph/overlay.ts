import type { GraphView } from '../../src/engine/view.ts';
import { bytes, count, macs, time } from '../format.ts';

export type OverlayId =
  | 'none'
  | 'params'
  | 'weights'
  | 'macs'
  | 'estimate'
  | 'measured'
  | 'activation'
  | 'precision';

export interface Overlay {
  readonly id: OverlayId;
  readonly title: string;
  readonly format: (value: number) => string;
  /** Groups carry the sum of their layers, or the largest where a sum means nothing. */
  readonly fold: 'sum' | 'largest';
}

export const overlays: readonly Overlay[] = [
  { id: 'none', title: 'No overlay', format: count, fold: 'sum' },
  { id: 'params', title: 'Parameters', format: count, fold: 'sum' },
  { id: 'weights', title: 'Weight bytes', format: bytes, fold: 'sum' },
  { id: 'macs', title: 'MACs', format: macs, fold: 'sum' },
  { id: 'estimate', title: 'Estimated time', format: time, fold: 'sum' },
  { id: 'measured', title: 'Measured time', format: time, fold: 'sum' },
  { id: 'activation', title: 'Activation memory', format: bytes, fold: 'largest' },
  { id: 'precision', title: 'Precision', format: count, fold: 'sum' },
];

export function overlayOf(id: OverlayId): Overlay {
  return overlays.find((overlay) => overlay.id === id)!;
}

/** What cards show as their bar when no numeric overlay is chosen: time on the device if known, else MACs. */
export function basisOf(view: GraphView, id: OverlayId): Overlay {
  if (id !== 'none' && id !== 'precision') return overlayOf(id);
  return overlayOf(view.estimateMs.some((ms) => ms > 0) ? 'estimate' : 'macs');
}

/** Cost of each layer; NaN is unknown. `measured` holds milliseconds by layer, NaN where nothing was measured. */
export function layerValues(
  view: GraphView,
  id: OverlayId,
  measured: Float64Array | undefined,
): Float64Array {
  switch (id) {
    case 'params':
      return view.params;
    case 'weights':
      return view.weightBytes;
    case 'macs':
      return view.macs;
    case 'estimate':
      return view.estimateMs;
    case 'measured':
      return measured ?? new Float64Array(view.nodeCount).fill(Number.NaN);
    case 'activation':
      return view.activationBytes;
    case 'none':
    case 'precision':
      return new Float64Array(view.nodeCount);
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
