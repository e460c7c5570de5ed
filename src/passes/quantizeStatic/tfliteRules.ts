/** How an operator's result is encoded in full-integer TFLite (LiteRT quantization_spec.md, operator_property.cc). */
export type TfliteRule =
  | { readonly kind: 'weighted' }
  /** Any scales. */
  | { readonly kind: 'free' }
  /** The result has this encoding, whatever was observed. */
  | { readonly kind: 'fixed'; readonly scale: number; readonly zeroPoint: number }
  /** The result is encoded like input `from`. */
  | { readonly kind: 'same'; readonly from: number }
  /** All float inputs are encoded like the result. */
  | { readonly kind: 'all' }
  /** Reads codes and gives integers or booleans. */
  | { readonly kind: 'sink' };

const same = (from = 0): TfliteRule => ({ kind: 'same', from });
const fixed = (scale: number, zeroPoint: number): TfliteRule => ({ kind: 'fixed', scale, zeroPoint });

const lists: readonly (readonly [TfliteRule, string])[] = [
  [{ kind: 'weighted' }, 'CONV_2D DEPTHWISE_CONV_2D FULLY_CONNECTED TRANSPOSE_CONV'],
  [
    { kind: 'free' },
    'ADD SUB MUL MEAN SUM SQUARED_DIFFERENCE EXP GELU HARD_SWISH LEAKY_RELU PRELU ELU RELU RELU6 RELU_N1_TO_1 BATCH_MATMUL',
  ],
  [fixed(1 / 256, -128), 'SOFTMAX LOGISTIC'],
  [fixed(1 / 128, 0), 'TANH L2_NORMALIZATION'],
  [fixed(16 / 256, 127), 'LOG_SOFTMAX'],
  [
    same(),
    'AVERAGE_POOL_2D MAX_POOL_2D RESHAPE SQUEEZE EXPAND_DIMS TRANSPOSE PAD MIRROR_PAD SLICE STRIDED_SLICE SPLIT_V UNPACK GATHER GATHER_ND TILE REVERSE_V2 RESIZE_BILINEAR RESIZE_NEAREST_NEIGHBOR SPACE_TO_DEPTH DEPTH_TO_SPACE SPACE_TO_BATCH_ND BATCH_TO_SPACE_ND BROADCAST_TO REDUCE_MAX REDUCE_MIN',
  ],
  [same(1), 'SPLIT'],
  [{ kind: 'all' }, 'CONCATENATION PACK MAXIMUM MINIMUM SELECT_V2'],
  [{ kind: 'sink' }, 'ARG_MAX ARG_MIN'],
];

const rules = new Map<string, TfliteRule>();
for (const [rule, names] of lists) for (const name of names.split(' ')) rules.set(name, rule);

/** The rule of a builtin operator; `undefined` when it stays float. */
export function tfliteRule(op: string): TfliteRule | undefined {
  return rules.get(op);
}
