import { intAttribute, intsAttribute } from '../../ir/attribute.ts';
import type { Dim } from '../../ir/types.ts';
import { elementCount } from '../../ir/types.ts';
import { combine, productOf } from '../dims.ts';
import { known } from '../known.ts';
import type { CostContext, Known, OpContext, OpCost, Operator } from '../operator.ts';
import type { Sizes } from './attention.ts';
import { attentionCost } from './attention.ts';
import { contribDomain, dtypeAt, macs, onnx, sameAsFirst, unknownCost } from './kit.ts';

/** Attention of com.microsoft beyond the common forms: packed batches, decoding with a cache, sparse and local ones. */

/**
 * PackedAttention and PackedMultiHeadAttention: sequences without their padding, one after another; the offsets [N, L]
 * know batch and longest length, which bound the work.
 */
function packedSizes(context: OpContext, offsets: number, hidden: Dim): Sizes | undefined {
  const where = context.shape(offsets);
  if (where === undefined) return undefined;
  const heads = intAttribute(context.node, 'num_heads', 1);
  const size = combine(hidden, '/', heads);
  const length = where[1] ?? null;
  return { batch: where[0] ?? null, heads, queries: length, keys: length, keySize: size, valueSize: size };
}

function packedHidden(context: OpContext): Dim {
  const widths = intsAttribute(context.node, 'qkv_hidden_sizes');
  return widths?.[2] ?? combine(context.shape(1)?.[1] ?? null, '/', 3);
}

function inferPacked(context: OpContext): readonly Known[] {
  const x = context.shape(0);
  return [known(dtypeAt(context, 0), x && [x[0] ?? null, packedHidden(context)])];
}

function packedCost(context: CostContext): OpCost {
  const x = context.shape(0);
  const w = context.shape(1);
  const projections = x && w && productOf([x[0] ?? null, w[0] ?? null, w[1] ?? null]);
  return attentionCost(packedSizes(context, 3, packedHidden(context)), projections ?? null);
}

/** Queries [T, H], or queries, keys and values interleaved [T, heads, 3, size]. */
function inferPackedHeads(context: OpContext): readonly Known[] {
  const q = context.shape(0);
  const v = context.shape(2);
  const dtype = dtypeAt(context, 0);
  if (q?.length === 4) return [known(dtype, [q[0] ?? null, combine(q[1] ?? null, '*', q[3] ?? null)])];
  return [known(dtype, q && [q[0] ?? null, v?.[1] ?? null])];
}

function packedHeadsCost(context: CostContext): OpCost {
  const q = context.shape(0);
  const hidden = q?.length === 4 ? combine(q[1] ?? null, '*', q[3] ?? null) : (q?.[1] ?? null);
  return attentionCost(packedSizes(context, 4, hidden));
}

/** One query per sequence against a cache that shares its memory with the result: caches keep their types. */
function inferDecoder(context: OpContext, cache: number): readonly Known[] {
  const q = context.shape(0);
  const v = context.shape(2);
  const width = v?.length === 3 ? (v[2] ?? null) : (q?.[2] ?? null);
  const kept = [cache, cache + 1].map((index) => known(dtypeAt(context, index), context.shape(index)));
  return [known(dtypeAt(context, 0), q && [q[0] ?? null, q[1] ?? null, width]), ...kept];
}

const decodingCost = (): OpCost => ({
  macs: undefined,
  otherOps: undefined,
  formula: 'unknown: how much of the cache is filled depends on the step',
});

/** Windows of `window` keys to either side of every query; the global tokens are left out of the count. */
function longformerCost(context: CostContext): OpCost {
  const x = context.shape(0);
  const w = context.shape(1);
  const count = elementCount(x);
  const width = w?.[1];
  if (count === undefined || typeof width !== 'number') return unknownCost;
  const keys = 2 * intAttribute(context.node, 'window', 0) + 1;
  return macs(
    count * width + count * 2 * keys,
    `${count} elements × (${width} projections + 2·${keys} keys)`,
  );
}

/** Tokens go to `k` experts each; every expert is two products, three where a gate has its own. */
function expertCost(context: CostContext): OpCost {
  const tokens = elementCount(context.shape(0)?.slice(0, -1));
  const quantized = context.node.op === 'QMoE';
  const packed = quantized ? 8 / intAttribute(context.node, 'expert_weight_bits', 4) : 1;
  const at = quantized ? [2, 5, 8] : [2, 4, 6];
  let products = 0;
  for (const index of at) {
    const weight = context.shape(index);
    if (weight === undefined) continue;
    const each = elementCount(weight.slice(1));
    if (each === undefined) return unknownCost;
    products += each * packed;
  }
  const k = intAttribute(context.node, 'k', 1);
  if (tokens === undefined || products === 0) return unknownCost;
  return macs(tokens * k * products, `${tokens} tokens × ${k} experts × ${products} products`);
}

/** A rotation by angles that the operator makes itself: queries and keys keep their types. */
const inferRotated = (context: OpContext): readonly Known[] => [
  known(dtypeAt(context, 1), context.shape(1)),
  known(dtypeAt(context, 3), context.shape(3)),
];

function rotatedCost(context: CostContext): OpCost {
  const counts = [elementCount(context.shape(1)), elementCount(context.shape(3))];
  if (counts[0] === undefined || counts[1] === undefined) return unknownCost;
  const count = counts[0] + counts[1];
  return { macs: 0, otherOps: count * 3, formula: `${count} elements × 3` };
}

/** Projections of queries and of what they attend to, [L, N, H] each, and the attention between them. */
function inferDecoderAttention(context: OpContext): readonly Known[] {
  const q = context.shape(0);
  const k = context.shape(1);
  const heads = intAttribute(context.node, 'num_heads', 1);
  const size = combine(q?.[2] ?? null, '/', heads);
  const cache = known(dtypeAt(context, 0), q && [q[1] ?? null, heads, k?.[0] ?? null, size]);
  return [...sameAsFirst(context), cache, cache];
}

const contrib = (name: string, infer: Operator['infer'], more: Partial<Operator>): Operator =>
  onnx(name, 'attention', infer, { domain: contribDomain, ...more });

const packedWeight: Partial<Operator> = {
  weights: () => [{ input: 1, kind: 'matmul', outputAxis: 1, inputAxis: 0, bias: 2, activation: 0 }],
};

export const contribAttentionOperators: readonly Operator[] = [
  contrib('PackedAttention', inferPacked, { ...packedWeight, cost: packedCost }),
  contrib('PackedMultiHeadAttention', inferPackedHeads, { cost: packedHeadsCost }),
  contrib('DecoderMaskedMultiHeadAttention', (context) => inferDecoder(context, 5), { cost: decodingCost }),
  contrib('SparseAttention', (context) => inferDecoder(context, 3), { cost: decodingCost }),
  contrib('DecoderAttention', inferDecoderAttention, { cost: decodingCost }),
  contrib('LongformerAttention', sameAsFirst, { ...packedWeight, cost: longformerCost }),
  contrib('GemmaRotaryEmbedding', inferRotated, { cost: rotatedCost }),
  onnx('MoE', 'matmul', sameAsFirst, {
    domain: contribDomain,
    cost: expertCost,
  }),
  onnx('QMoE', 'matmul', sameAsFirst, {
    domain: contribDomain,
    cost: expertCost,
    weights: () =>
      [2, 5, 8].map((input) => ({
        input,
        kind: 'matmul',
        outputAxis: 1,
        inputAxis: 2,
        bias: input + 2,
        activation: 0,
      })),
    settings: [3, 6, 9],
  }),
];
