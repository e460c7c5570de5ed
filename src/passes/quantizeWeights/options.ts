import type { Node } from '../../ir/model.ts';
import type { DataRounding, Rounding } from '../support/dataRounding.ts';
import type { WeightBits } from '../support/weightCodes.ts';
import { levelsOf } from '../support/weightCodes.ts';

export const weightTypes = ['integer', 'float8'] as const;
export type WeightType = (typeof weightTypes)[number];

export interface WeightOptions {
  readonly bits: WeightBits;
  /** `float8`: float8e4m3fn instead of integers. */
  readonly type: WeightType;
  /** 0 for one scale per output channel. */
  readonly block: number;
  readonly conv: boolean;
  readonly rounding: Rounding;
  readonly ends: boolean;
  readonly smallest: number;
  readonly biasCorrection: boolean;
  /** Codes of at most 2 bits in two bits each, where the runtime reads that. */
  readonly packed: boolean;
}

/**
 * Convolutions have one scale per output channel: a depthwise one would have little to share. `blockOf` says which other
 * layers take blocks, `isPacked` whose codes of at most 2 bits are stored in two.
 */
export function dataRounding(
  options: WeightOptions,
  isPacked: (node: Node) => boolean,
  blockOf: (inputs: number, width: WeightBits) => number = () => options.block,
): DataRounding {
  const { bits, rounding, ends, biasCorrection } = options;
  const planOf: DataRounding['planOf'] = (layer, width) => ({
    levels: levelsOf(width, isPacked(layer.node)),
    block: layer.kind === 'conv' ? 0 : blockOf(layer.inputs, width),
  });
  return { bits, rounding, ends, biasCorrection, planOf };
}

/** What the reader must know of codes that are narrower than their storage. */
export function storageNote(bits: WeightBits): string {
  return `stored in 4 bits each, as the runtime reads them; a compressed file holds about ${bits === 1 ? '1 bit' : `${bits} bits`}`;
}
