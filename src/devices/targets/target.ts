import type { Dialect } from '../../ir/model.ts';

export type IntegerType = 'int4' | 'uint4' | 'int8' | 'uint8' | 'int16' | 'uint16';

/** Scale and zero point. */
type Encoded = readonly [scale: number, zeroPoint: number];

/** What a runtime on a kind of processor runs on integers, and how it wants the numbers; `targets/rules/*.json`. */
export interface TargetRules {
  readonly id: string;
  readonly name: string;
  /** Shorter names; the same one may stand for targets of different dialects. */
  readonly aliases?: readonly string[];
  readonly dialect: Dialect;
  readonly activations: {
    /** What its kernels take; the first is what the quantizer writes. */
    readonly types: readonly IntegerType[];
    /** Zero points of 0 only. */
    readonly symmetric?: boolean;
  };
  readonly weights: {
    readonly types: readonly IntegerType[];
    /** Bits that codes may use; fewer than the type has where products of full ones overflow. */
    readonly bits?: number;
    readonly symmetric: boolean;
    /** Operators whose weights may have a scale per output channel. */
    readonly perChannel: readonly string[];
    /** Operators whose weights may be stored in four bits beside integer activations. */
    readonly fourBits?: readonly string[];
    /** Large layers whose weights get a zero point because that leads to a faster kernel. */
    readonly shift?: WeightShift;
  };
  /**
   * `kernels`: around operators with an integer kernel, as far as it helps. `whole`: around every operator that can be,
   * because one that is left in float changes the processor. `inputs`: before weighted layers only; the runtime moves
   * the pairs itself.
   */
  readonly placement: 'kernels' | 'whole' | 'inputs';
  /** Operators that lose their kernel when their result is not quantized at once. */
  readonly quantizedResult: readonly string[];
  /** All activations of an operator have one type. */
  readonly oneType: boolean;
  /** What becomes of operators without an integer form: float arithmetic in place, or a change of processor. */
  readonly elsewhere: 'float' | 'processor';
  /** Types of inputs and outputs of the model. */
  readonly border: 'any' | 'integer';
  readonly staticShapes?: boolean;
  readonly maxRank?: number;
  readonly batch?: number;
  /** Only operators up to the first one that is not taken run on the accelerator. */
  readonly prefix?: boolean;
  /** False where integer weights against float activations have no kernels. */
  readonly hybrid?: boolean;
  /** Narrower ranges are widened to this. */
  readonly leastRange?: number;
  readonly operators: {
    /** With weights. */
    readonly weighted: readonly string[];
    /** Any scales, all inputs encoded. */
    readonly free: readonly string[];
    /** The result is encoded like the input. */
    readonly same: readonly string[];
    /** All inputs are encoded like the result. */
    readonly all?: readonly string[];
    /** The result has this encoding, by type. */
    readonly fixed?: Readonly<Record<string, Readonly<Partial<Record<IntegerType, Encoded>>>>>;
    /** The range of the result is known, from 0 up: its scale in 8 bits. */
    readonly known?: Readonly<Record<string, number>>;
    /** Gives no real numbers: indices. */
    readonly sink?: readonly string[];
    /** With integer kernels whose numbers follow rules of their own, which are not checked. */
    readonly given?: readonly string[];
    /** Only the input that does not come from a weighted layer is encoded. */
    readonly residual?: readonly string[];
  };
  /** Forms that are replaced before quantizing because others have kernels. */
  readonly rewrites?: readonly ('dense-bias' | 'hard-swish' | 'mean')[];
  /** What the fastest kernels take at once. */
  readonly layout?: {
    /** Input channels of the first convolution. */
    readonly inputs: number;
    /** Output channels: a multiple of this, */
    readonly outputs: number;
    /** and at least this many. */
    readonly leastOutputs: number;
    /** Channels of depthwise convolutions. */
    readonly depthwise: number;
    /** Channels from which a product with one scale per channel needs no repetition over a row. */
    readonly rows: number;
    /** Filters that the kernel computes at once, and how many times the products may become so that more of them are there. */
    readonly folding?: { readonly lanes: number; readonly products: number };
  };
  /** Channels that float kernels compute at once; the last block is filled up, so part of one costs as much as all. */
  readonly channels?: ChannelBlocks;
  readonly notes?: readonly string[];
  readonly source: string;
}

/** Codes of weights moved by a zero point, so that the values stay the same; for layers that reach all of the sizes. */
export interface WeightShift {
  readonly zeroPoint: number;
  readonly operators: readonly string[];
  /** Products per result: input channels times window. */
  readonly products: number;
  /** Filters, where windows are larger than one position, padded or strided. */
  readonly windowFilters: number;
  /** Positions per image. */
  readonly positions: number;
}

/** The time of a float convolution: its blocks of inputs times its blocks of outputs. */
export interface ChannelBlocks {
  readonly outputs: number;
  readonly inputs: number;
  /** What any number of outputs takes beside its blocks, in blocks: one alone does not keep the registers busy. */
  readonly start?: number;
  /** Fewer inputs than a block are not filled up, but each takes so many times what it would take in one. */
  readonly narrow?: number;
}

/** How an operator is encoded on a target. */
export type OperatorRule =
  | { readonly kind: 'weighted' | 'free' | 'all' | 'sink' | 'residual' }
  | { readonly kind: 'fixed'; readonly scale: number; readonly zeroPoint: number }
  | { readonly kind: 'known'; readonly scale: number }
  /** Like input `from`. */
  | { readonly kind: 'same'; readonly from: number };

/** The rule of an operator with activations of a type; `undefined` when the target has no integer form of it. */
export function operatorRule(
  { operators }: TargetRules,
  op: string,
  type: IntegerType,
): OperatorRule | undefined {
  const fixed = operators.fixed?.[op]?.[type];
  if (fixed !== undefined) return { kind: 'fixed', scale: fixed[0], zeroPoint: fixed[1] };
  const known = operators.known?.[op];
  if (known !== undefined) return { kind: 'known', scale: known };
  // Split of TFLite has its axis first.
  if (operators.same.includes(op)) return { kind: 'same', from: op === 'SPLIT' ? 1 : 0 };
  for (const kind of ['weighted', 'free', 'all', 'sink', 'residual'] as const) {
    if (operators[kind]?.includes(op)) return { kind };
  }
  return undefined;
}

/** The reason given for layers of a model that nobody quantized. */
export const computesInFloat = 'it computes in float';

/** How the reason ends that is given for compressed weights of a float layer. */
export const againstFloat = 'against float activations';
