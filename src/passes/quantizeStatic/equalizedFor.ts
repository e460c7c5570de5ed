import type { Model, Node, NodeId, ValueId } from '../../ir/model.ts';
import type { Equalized } from '../equalize/equalize.ts';
import { equalizable, equalized, equalizedBy } from '../equalize/equalize.ts';
import type { QuantizedForm } from '../equalize/scales.ts';
import type { Calibrator } from '../pass.ts';
import type { ActivationType } from '../support/quantization.ts';
import { afterEqualization } from './surveyed.ts';

interface AboutToBeQuantized {
  /** Values that will exist as codes. */
  readonly values: ReadonlySet<ValueId>;
  /** Those of them whose ranges have to be known. */
  readonly roots: readonly ValueId[];
  /** Layers that will run on integers. */
  readonly nodes: ReadonlyMap<NodeId, unknown>;
  perChannel(node: Node): boolean;
  /** Bits of the weights. */
  readonly bits: number;
  readonly activations: ActivationType;
  /** Layers whose weights will be rounded by the moments of their inputs; absent where later changes ask for more. */
  readonly rounded?: readonly NodeId[];
  /** Samples that are enough for those moments. */
  readonly few: number;
}

interface EqualizedFor<M extends Model> extends Pick<Equalized<M>, 'model' | 'room'> {
  /** Knows what was seen already of the values of the new model. */
  readonly calibrator: Calibrator;
}

/** Rounding by data leaves about this share of the noise of rounding to nearest in the weights. */
const roundingNoise = 0.5;

/**
 * The model with its channels equalized for the quantization that follows, or as it is. Where all that quantization will
 * ask can be told from the model as it is now, it is observed in the same pass over the data.
 */
export async function equalizedFor<M extends Model>(
  model: M,
  wanted: boolean,
  allowed: (node: Node) => boolean,
  calibrator: Calibrator,
  { values, roots, nodes, perChannel, bits, activations, rounded, few }: AboutToBeQuantized,
): Promise<EqualizedFor<M>> {
  const form: QuantizedForm = {
    values,
    perChannel: ({ node }) => (nodes.has(node.id) ? perChannel(node) : undefined),
    levels: activations.endsWith('16') ? 65535 : 255,
    top: 2 ** (bits - 1) - 1,
    roundingNoise,
  };
  if (calibrator.survey === undefined || rounded === undefined || (!wanted && rounded.length === 0)) {
    if (!wanted) return { model, room: new Map(), calibrator };
    return { ...(await equalized(model, form, allowed, calibrator)), calibrator };
  }
  const channels = wanted ? equalizable(model, form, allowed) : [];
  const known = new Set(channels.map(({ value }) => value));
  const ranges = roots.filter((id) => !known.has(id));
  const survey = await calibrator.survey(model, { ranges, channels, moments: rounded, few });
  const after = equalizedBy(model, form, allowed, survey.channels);
  return { ...after, calibrator: afterEqualization(calibrator, survey, after) };
}
