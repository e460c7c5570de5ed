import type { Model, Node, NodeId, ValueId } from '../../ir/model.ts';
import type { Equalized } from '../equalize/equalize.ts';
import { equalized } from '../equalize/equalize.ts';
import type { Calibrator } from '../pass.ts';
import type { ActivationType } from '../support/quantization.ts';

export interface AboutToBeQuantized {
  /** Values that will exist as codes. */
  readonly values: ReadonlySet<ValueId>;
  /** Layers that will run on integers. */
  readonly nodes: ReadonlyMap<NodeId, unknown>;
  perChannel(node: Node): boolean;
  /** Bits of the weights. */
  readonly bits: number;
  readonly activations: ActivationType;
}

/** Rounding by data leaves about this share of the noise of rounding to nearest in the weights. */
const roundingNoise = 0.5;

/** The model with its channels equalized for the quantization that follows, or as it is. */
export async function equalizedFor<M extends Model>(
  model: M,
  wanted: boolean,
  allowed: (node: Node) => boolean,
  calibrator: Calibrator,
  { values, nodes, perChannel, bits, activations }: AboutToBeQuantized,
): Promise<Equalized<M>> {
  if (!wanted) return { model, room: new Map() };
  return equalized(
    model,
    {
      values,
      perChannel: ({ node }) => (nodes.has(node.id) ? perChannel(node) : undefined),
      levels: activations.endsWith('16') ? 65535 : 255,
      top: 2 ** (bits - 1) - 1,
      roundingNoise,
    },
    allowed,
    calibrator,
  );
}
