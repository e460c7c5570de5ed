import { bodiesOf, intAttribute, intsAttribute } from '../../ir/attribute.ts';
import type { Dim, Shape } from '../../ir/types.ts';
import { combine, productOf } from '../dims.ts';
import { known } from '../known.ts';
import type { CostContext, Known, OpContext, OpCost, Operator } from '../operator.ts';
import { contribDomain, dtypeAt, has, macs, onnx, sameAsFirst, unknownCost } from './kit.ts';
import { dtypeAttribute } from './shape.ts';

/** Sizes of scaled dot-product attention: batch, query heads, query and key lengths, head sizes of keys and values. */
export interface Sizes {
  readonly batch: Dim;
  readonly heads: Dim;
  readonly queries: Dim;
  readonly keys: Dim;
  readonly keySize: Dim;
  readonly valueSize: Dim;
}

/** Scores and context, each one product per head, query, key and element; softmax and scaling beside them. */
export function attentionCost(sizes: Sizes | undefined, projections: Dim = 0): OpCost {
  if (sizes === undefined) return unknownCost;
  const { batch, heads, queries, keys, keySize, valueSize } = sizes;
  const scores = productOf([batch, heads, queries, keys]);
  const work = combine(scores, '*', combine(keySize, '+', valueSize));
  const total = combine(work, '+', projections);
  if (typeof total !== 'number' || typeof scores !== 'number') return unknownCost;
  const shared = `${batch}·${heads} heads × ${queries}·${keys} scores × (${keySize} + ${valueSize})`;
  return macs(total, projections === 0 ? shared : `${projections} projection + ${shared}`, scores * 6);
}

/** ai.onnx Attention (23): Q, K, V, mask, past key, past value; 4-D with heads, or 3-D with head-count attributes. */
function standardSizes(context: OpContext): Sizes | undefined {
  const [q, k, v] = [0, 1, 2].map((index) => context.shape(index)) as [Shape?, Shape?, Shape?];
  if (q === undefined || k === undefined || v === undefined) return undefined;
  const past = has(context.node, 4) ? (context.shape(4)?.[2] ?? null) : 0;
  if (q.length === 4) {
    return {
      batch: q[0] ?? null,
      heads: q[1] ?? null,
      queries: q[2] ?? null,
      keys: combine(k[2] ?? null, '+', past),
      keySize: k[3] ?? null,
      valueSize: v[3] ?? null,
    };
  }
  const heads = intAttribute(context.node, 'q_num_heads', 1);
  const shared = intAttribute(context.node, 'kv_num_heads', heads);
  return {
    batch: q[0] ?? null,
    heads,
    queries: q[1] ?? null,
    keys: combine(k[1] ?? null, '+', past),
    keySize: combine(k[2] ?? null, '/', shared),
    valueSize: combine(v[2] ?? null, '/', shared),
  };
}

function inferStandard(context: OpContext): readonly Known[] {
  const dtype = dtypeAt(context, 0);
  const q = context.shape(0);
  const sizes = standardSizes(context);
  if (q === undefined || sizes === undefined) return [known(dtype, undefined)];
  const { batch, heads, queries, keys, keySize, valueSize } = sizes;
  const out =
    q.length === 4 ? [batch, heads, queries, valueSize] : [batch, queries, combine(heads, '*', valueSize)];
  const shared =
    q.length === 4 ? (context.shape(1)?.[1] ?? null) : intAttribute(context.node, 'kv_num_heads', 1);
  return [
    known(dtype, out),
    known(dtype, [batch, shared, keys, keySize]),
    known(dtypeAt(context, 2), [batch, shared, keys, valueSize]),
    known(dtype, [batch, heads, queries, keys]),
  ];
}

/**
 * ai.onnx.preview FlexAttention is the same on 4-D operands; bodies may change the scores and the probabilities, so
 * those are inferred for their cost.
 */
function inferFlexible(context: OpContext): readonly Known[] {
  const sizes = standardSizes(context);
  if (sizes !== undefined) {
    const scores = known(
      dtypeAttribute(context, 'softmax_precision', dtypeAt(context, 0) === 'float64' ? 'float64' : 'float32'),
      [sizes.batch, sizes.heads, sizes.queries, sizes.keys],
    );
    for (const body of bodiesOf(context.node)) context.inferBody(body, [scores]);
  }
  return inferStandard(context).slice(0, 1);
}

function flexibleCost(context: CostContext): OpCost {
  const plain = attentionCost(standardSizes(context));
  const bodies = bodiesOf(context.node).map((body) => context.bodyCost(body));
  const sum = (all: readonly (number | undefined)[]) =>
    all.reduce((total, each) => (total === undefined || each === undefined ? undefined : total + each), 0);
  return {
    macs: sum([plain.macs, ...bodies.map((body) => body.macs)]),
    otherOps: sum([plain.otherOps, ...bodies.map((body) => body.otherOps)]),
    formula: bodies.length === 0 ? plain.formula : `${plain.formula} + ${bodies.length} bodies`,
  };
}

/** com.microsoft Attention: x [N, L, I] times a packed weight [I, 3·H], with bias. */
function packedSizes(context: OpContext): { sizes: Sizes; projections: Dim; hidden: Dim } | undefined {
  const x = context.shape(0);
  const w = context.shape(1);
  if (x === undefined || w === undefined) return undefined;
  const heads = intAttribute(context.node, 'num_heads', 1);
  const widths = intsAttribute(context.node, 'qkv_hidden_sizes');
  const hidden = widths?.[2] ?? combine(w[1] ?? null, '/', 3);
  const pastAt = context.node.op === 'QAttention' ? 8 : 4;
  const past = has(context.node, pastAt) ? (context.shape(pastAt)?.[3] ?? null) : 0;
  return {
    hidden,
    projections: productOf([x[0] ?? null, x[1] ?? null, w[0] ?? null, w[1] ?? null]),
    sizes: {
      batch: x[0] ?? null,
      heads,
      queries: x[1] ?? null,
      keys: combine(x[1] ?? null, '+', past),
      keySize: combine(widths?.[1] ?? hidden, '/', heads),
      valueSize: combine(hidden, '/', heads),
    },
  };
}

function inferPacked(context: OpContext): readonly Known[] {
  const found = packedSizes(context);
  const dtype = dtypeAt(context, context.node.op === 'QAttention' ? 3 : 0);
  if (found === undefined) return [known(dtype, undefined)];
  const { sizes, hidden } = found;
  return [
    known(dtype, [sizes.batch, sizes.queries, hidden]),
    known(dtype, [2, sizes.batch, sizes.heads, sizes.keys, sizes.keySize]),
  ];
}

/** com.microsoft MultiHeadAttention (separate keys and values) and GroupQueryAttention (shared ones). */
function multiHeadSizes(context: OpContext): Sizes | undefined {
  const q = context.shape(0);
  if (q?.length !== 3) return undefined;
  const heads = intAttribute(context.node, 'num_heads', 1);
  const shared = intAttribute(context.node, 'kv_num_heads', heads);
  const grouped = context.node.op === 'GroupQueryAttention';
  const pastAt = grouped ? 3 : 6;
  const past = has(context.node, pastAt) ? (context.shape(pastAt)?.[2] ?? null) : 0;
  const sizes = { batch: q[0] ?? null, heads, queries: q[1] ?? null };
  if (!has(context.node, 1)) {
    // Queries, keys and values of all heads side by side in one tensor.
    const size = combine(q[2] ?? null, '/', heads + 2 * shared);
    return { ...sizes, keys: combine(q[1] ?? null, '+', past), keySize: size, valueSize: size };
  }
  const k = context.shape(1);
  const v = has(context.node, 2) ? context.shape(2) : k;
  if (k?.length !== 3 || v?.length !== 3) return undefined;
  return {
    ...sizes,
    keys: combine(k[1] ?? null, '+', past),
    keySize: combine(k[2] ?? null, '/', shared),
    valueSize: combine(v[2] ?? null, '/', shared),
  };
}

function inferMultiHead(context: OpContext): readonly Known[] {
  const dtype = dtypeAt(context, 0);
  const sizes = multiHeadSizes(context);
  if (sizes === undefined) return [known(dtype, undefined)];
  const { batch, heads, queries, keys, keySize, valueSize } = sizes;
  const shared = intAttribute(context.node, 'kv_num_heads', intAttribute(context.node, 'num_heads', 1));
  return [
    known(dtype, [batch, queries, combine(heads, '*', valueSize)]),
    known(dtype, [batch, shared, keys, keySize]),
    known(dtype, [batch, shared, keys, valueSize]),
  ];
}

/** Rotary embeddings: two products and an addition per element. */
function rotaryCost(context: CostContext): OpCost {
  const shape = context.shape(0);
  const count = shape && productOf(shape);
  if (typeof count !== 'number') return unknownCost;
  return { macs: 0, otherOps: count * 3, formula: `${count} elements × 3` };
}

export const attentionOperators: readonly Operator[] = [
  onnx('Attention', 'attention', inferStandard, { cost: (context) => attentionCost(standardSizes(context)) }),
  onnx('FlexAttention', 'attention', inferFlexible, { domain: 'ai.onnx.preview', cost: flexibleCost }),
  ...['Attention', 'QAttention'].map((name) =>
    onnx(name, 'attention', inferPacked, {
      domain: contribDomain,
      cost: (context) => {
        const found = packedSizes(context);
        return attentionCost(found?.sizes, found?.projections);
      },
      weights: () => [{ input: 1, kind: 'matmul', outputAxis: 1, inputAxis: 0, bias: 2, activation: 0 }],
      ...(name === 'QAttention' && { settings: [3, 4, 6, 7] }),
    }),
  ),
  ...['MultiHeadAttention', 'GroupQueryAttention'].map((name) =>
    onnx(name, 'attention', inferMultiHead, {
      domain: contribDomain,
      cost: (context) => attentionCost(multiHeadSizes(context)),
    }),
  ),
  onnx('RotaryEmbedding', 'attention', sameAsFirst, { cost: rotaryCost }),
  onnx('RotaryEmbedding', 'attention', sameAsFirst, { domain: contribDomain, cost: rotaryCost }),
];
