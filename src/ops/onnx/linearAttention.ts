import { intAttribute } from '../../ir/attribute.ts';
import type { Dim } from '../../ir/types.ts';
import { combine, productOf } from '../dims.ts';
import { known } from '../known.ts';
import type { CostContext, Known, OpContext, OpCost, Operator } from '../operator.ts';
import { contribDomain, dtypeAt, has, inputCount, inputsText, macs, onnx, unknownCost } from './kit.ts';

/** x [N, C, T], a kernel [C, 1, k] and the k-1 samples that came before. */
function inferCausalConv(context: OpContext): readonly Known[] {
  const x = context.shape(0);
  const taps = context.shape(1)?.at(-1) ?? null;
  const dtype = dtypeAt(context, 0);
  return [known(dtype, x), known(dtype, x && [...x.slice(0, -1), combine(taps, '-', 1)])];
}

function causalConvCost(context: CostContext): OpCost {
  const count = inputCount(context);
  const taps = context.shape(1)?.at(-1);
  if (count === undefined || typeof taps !== 'number') return unknownCost;
  return macs(count * taps, `${inputsText(context)} × ${taps} taps`);
}

/** Queries, keys and values with their heads side by side; the state keeps a product of key and value per head. */
interface LinearSizes {
  readonly batch: Dim;
  readonly steps: Dim;
  readonly heads: number;
  readonly shared: number;
  readonly keySize: Dim;
  readonly valueSize: Dim;
}

function linearSizes(context: OpContext): LinearSizes | undefined {
  const [q, k, v] = [context.shape(0), context.shape(1), context.shape(2)];
  if (q?.length !== 3 || k?.length !== 3 || v?.length !== 3) return undefined;
  const heads = intAttribute(context.node, 'q_num_heads', 1);
  const shared = intAttribute(context.node, 'kv_num_heads', heads);
  return {
    batch: q[0] ?? null,
    steps: q[1] ?? null,
    heads,
    shared,
    keySize: combine(k[2] ?? null, '/', shared),
    valueSize: combine(v[2] ?? null, '/', shared),
  };
}

function inferLinear(context: OpContext): readonly Known[] {
  const sizes = linearSizes(context);
  const dtype = dtypeAt(context, 0);
  const state = has(context.node, 3) ? dtypeAt(context, 3) : dtype;
  if (sizes === undefined) return [known(dtype, undefined), known(state, undefined)];
  const { batch, steps, heads, shared, keySize, valueSize } = sizes;
  return [
    known(dtype, [batch, steps, combine(valueSize, '*', Math.max(heads, shared))]),
    known(state, [batch, shared, keySize, valueSize]),
  ];
}

/** Per step the state takes one outer product and gives one product with each query; delta rules read it once more. */
function linearCost(context: CostContext): OpCost {
  const sizes = linearSizes(context);
  if (sizes === undefined) return unknownCost;
  const { batch, steps, heads, shared, keySize, valueSize } = sizes;
  const one = productOf([batch, steps, keySize, valueSize]);
  if (typeof one !== 'number') return unknownCost;
  const rule = context.node.attributes.get('update_rule');
  const text = rule?.kind === 'string' ? new TextDecoder().decode(rule.value) : 'gated_delta';
  const writes = text.includes('delta') ? 2 : 1;
  const count = one * (writes * shared + Math.max(heads, shared));
  const decay = text.includes('gated') ? one * shared : 0;
  return macs(
    count,
    `${batch}·${steps} steps × ${keySize}·${valueSize} state × (${writes}·${shared} + ${heads})`,
    decay,
  );
}

/** Gate × sigmoid(gate) × value. */
function swigluCost(context: CostContext): OpCost {
  const count = inputCount(context);
  return count === undefined
    ? unknownCost
    : { macs: 0, otherOps: count * 6, formula: `${inputsText(context)} × 6` };
}

const causalConv = (domain: string): Operator =>
  onnx('CausalConvWithState', 'convolution', inferCausalConv, {
    domain,
    cost: causalConvCost,
    weights: () => [{ input: 1, kind: 'depthwise', outputAxis: 0, bias: 2, activation: 0 }],
  });

const linearAttention = (domain: string): Operator =>
  onnx('LinearAttention', 'attention', inferLinear, { domain, cost: linearCost });

/** Operators of versions 27 and 28: state-space layers and their kin. */
export const linearAttentionOperators: readonly Operator[] = [
  causalConv(''),
  causalConv(contribDomain),
  linearAttention(''),
  linearAttention(contribDomain),
  onnx('SwiGLU', 'activation', (context) => [known(dtypeAt(context, 0), context.shape(0))], {
    cost: swigluCost,
    inPlace: true,
  }),
];
