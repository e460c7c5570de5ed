import { intAttribute } from '../../ir/attribute.ts';
import { axisOf } from '../dims.ts';
import { known, tensorTypeOf } from '../known.ts';
import type { CostContext, Known, OpContext, OpCost, Operator } from '../operator.ts';
import {
  contribDomain,
  dtypeAt,
  inputCount,
  onnx,
  perInput,
  perOutput,
  sameAsFirst,
  unknownCost,
  inputsText,
} from './kit.ts';

/** Outputs beyond the first are the running or saved statistics of training mode. */
function inferBatchNorm(context: OpContext): readonly Known[] {
  const statistics = [3, 4, 3, 4].map((index) => known(dtypeAt(context, index), context.shape(index)));
  return [...sameAsFirst(context), ...statistics].slice(0, Math.max(1, context.node.outputs.length));
}

/** Mean and inverse deviation keep the leading dimensions and have 1 from `axis` on. */
function inferLayerNorm(context: OpContext): readonly Known[] {
  const x = context.shape(0);
  const axis = x && axisOf(intAttribute(context.node, 'axis', -1), x.length);
  const reduced = axis === undefined ? undefined : x?.map((dim, index) => (index < axis ? dim : 1));
  const dtype = dtypeAt(context, 0);
  return [known(dtype, x), known('float32', reduced), known('float32', reduced)];
}

/** com.microsoft SkipLayerNormalization: the fourth output is the sum that was normalized. */
function inferSkip(context: OpContext): readonly Known[] {
  const [normalized = {}, mean = {}, deviation = {}] = inferLayerNorm(context);
  return [normalized, mean, deviation, normalized];
}

/** EmbedLayerNormalization adds word, position and segment embeddings: ids [N, L], tables [·, H]. */
function inferEmbed(context: OpContext): readonly Known[] {
  const ids = context.shape(0);
  const table = tensorTypeOf(context.input(2));
  const width = table?.shape?.[1] ?? null;
  const shape = ids && [...ids, width];
  return [known(table?.dtype, shape), known('int32', ids && [ids[0] ?? null]), known(table?.dtype, shape)];
}

/** Each element sums the squares of `size` neighbours across channels. */
function lrnCost(context: CostContext): OpCost {
  const count = inputCount(context);
  const size = intAttribute(context.node, 'size', 1);
  if (count === undefined) return unknownCost;
  const each = 2 * size + 4;
  return { macs: 0, otherOps: count * each, formula: `${inputsText(context)} × (2·${size} + 4)` };
}

const norm = (name: string, operations: number, more: Partial<Operator> = {}): Operator =>
  onnx(name, 'normalization', sameAsFirst, { cost: perInput(operations), inPlace: true, ...more });

/** RMS normalizations as ONNX Runtime names them; the first sits in the default domain there. */
const simplified = ['SimplifiedLayerNormalization', 'SkipSimplifiedLayerNormalization'];

export const normalizationOperators: readonly Operator[] = [
  norm('BatchNormalization', 2, { infer: inferBatchNorm }),
  norm('InstanceNormalization', 7),
  norm('GroupNormalization', 7),
  norm('LayerNormalization', 7, { infer: inferLayerNorm }),
  norm('RMSNormalization', 4, { infer: inferLayerNorm }),
  norm('LpNormalization', 3),
  norm('MeanVarianceNormalization', 6),
  norm('LRN', 6, { cost: lrnCost }),
  norm('SkipLayerNormalization', 8, { domain: contribDomain, infer: inferSkip }),
  norm('GroupNorm', 7, { domain: contribDomain }),
  norm('LayerNormalization', 7, { domain: contribDomain, infer: inferLayerNorm }),
  ...simplified.map((name) =>
    norm(name, 5, { domain: name.startsWith('Skip') ? contribDomain : '', infer: inferSkip }),
  ),
  onnx('EmbedLayerNormalization', 'normalization', inferEmbed, {
    domain: contribDomain,
    cost: perOutput(9),
  }),
];
