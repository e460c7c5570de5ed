import { intAttribute } from '../../ir/attribute.ts';
import type { Node, ValueId } from '../../ir/model.ts';
import { readFloats } from '../../ir/numbers.ts';
import type { Tensor } from '../../ir/tensor.ts';
import type { Site, SiteBuilder } from './sites.ts';

/** A constant added to a value, or multiplied with it, element by element. */
export interface ChannelConstant {
  readonly node: Node;
  /** Index of the constant among the inputs. */
  readonly input: number;
  readonly kind: 'add' | 'mul';
  /** Axis of the constant that runs along the channels; -1 when it has one element. */
  readonly axis: number;
  /** What is multiplied; absent where the other factor has a scale of its own (normalization). */
  readonly from?: Site;
  readonly to: Site;
}

/** A value that comes through to another. */
export interface Link {
  readonly from: ValueId;
  readonly to: ValueId;
  /** The channel of `from` that a channel of `to` comes from; -1 when it comes from elsewhere. */
  channel(of: number): number;
}

/**
 * TFLite fuses activations into layers. Gives false for one that is not homogeneous; notes the bound of RELU6.
 */
export function tameActivation(builder: SiteBuilder, node: Node, to: Site): boolean {
  const kind = intAttribute(node, 'fused_activation_function', 0);
  if (kind === 3) builder.cap(to, 6);
  return kind === 0 || kind === 1 || kind === 3;
}

/** The number a constant of one element holds. */
export function scalarOf(tensor: Tensor | undefined): number | undefined {
  if (tensor?.dtype !== 'float32' || tensor.dims.some((dim) => dim !== 1)) return undefined;
  return readFloats(tensor)[0];
}
