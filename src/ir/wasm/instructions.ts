import { signed, unsigned } from './leb128.ts';

/** Instructions as bytes. */
export type Code = readonly number[];

const simd = (number: number): Code => [0xfd, ...unsigned(number)];

/** Instructions without immediates. */
const opcodes = {
  'i32.lt_u': [0x49],
  'i32.add': [0x6a],
  'i32.sub': [0x6b],
  'i32.and': [0x71],
  'i32.shl': [0x74],
  'i32.shr_u': [0x76],
  'i64.shr_u': [0x88],
  'i32.wrap_i64': [0xa7],
  'f32x4.splat': simd(19),
  'f64x2.splat': simd(20),
  'f32x4.eq': simd(65),
  'f64x2.gt': simd(74),
  'f64x2.ge': simd(76),
  'v128.and': simd(78),
  'v128.or': simd(80),
  'v128.bitselect': simd(82),
  'f32x4.demote_f64x2_zero': simd(94),
  'f64x2.promote_low_f32x4': simd(95),
  'i8x16.narrow_i16x8_s': simd(101),
  'i8x16.narrow_i16x8_u': simd(102),
  'i16x8.shr_u': simd(141),
  'i16x8.narrow_i32x4_s': simd(133),
  'i32x4.eq': simd(55),
  'i32x4.gt_s': simd(59),
  'i32x4.shr_u': simd(173),
  'i32x4.add': simd(174),
  'i32x4.sub': simd(177),
  'f32x4.abs': simd(224),
  'f32x4.add': simd(228),
  'f32x4.sub': simd(229),
  'f32x4.mul': simd(230),
  'f32x4.div': simd(231),
  'f32x4.pmin': simd(234),
  'f32x4.pmax': simd(235),
  'f64x2.add': simd(240),
  'f64x2.sub': simd(241),
  'f64x2.mul': simd(242),
  'f64x2.div': simd(243),
  'i32x4.trunc_sat_f32x4_s': simd(248),
} as const satisfies Record<string, Code>;

type Opcode = keyof typeof opcodes;

/** An instruction behind its operands. */
export function op(name: Opcode, ...operands: readonly Code[]): Code {
  return [...operands.flat(), ...opcodes[name]];
}

/** Loads and stores: opcode and alignment, as a power of two. */
const memory = {
  'i32.load': [[0x28], 2],
  'i64.load': [[0x29], 3],
  'i32.store': [[0x36], 2],
  'v128.load': [simd(0), 4],
  'v128.store': [simd(11), 4],
  'v128.load32_splat': [simd(9), 2],
} as const satisfies Record<string, readonly [Code, number]>;

/** From `address` + `offset`. */
export function load(name: keyof typeof memory, address: Code, offset = 0): Code {
  const [code, alignment] = memory[name];
  return [...address, ...code, alignment, ...unsigned(offset)];
}

/** To `address` + `offset`. */
export function store(name: keyof typeof memory, address: Code, value: Code, offset = 0): Code {
  const [code, alignment] = memory[name];
  return [...address, ...value, ...code, alignment, ...unsigned(offset)];
}

export function i32(value: number): Code {
  return [0x41, ...signed(value)];
}

export function i64(value: number): Code {
  return [0x42, ...signed(value)];
}

/** Sixteen bytes of which `bytes` of `a` then `b` (0 to 31). */
export function shuffle(a: Code, b: Code, bytes: readonly number[]): Code {
  return [...a, ...b, ...simd(13), ...bytes];
}

/** Four equal lanes, an integer's or a float's bits. */
export function lanes32(bits: number): Code {
  const word = new Uint8Array(Uint32Array.of(bits).buffer);
  return [...simd(12), ...word, ...word, ...word, ...word];
}

const floatBits = new Uint32Array(1);
const asFloat = new Float32Array(floatBits.buffer);

/** Four equal float32. */
export function floats(value: number): Code {
  asFloat[0] = value;
  return lanes32(floatBits[0] as number);
}

/** The body, then again as long as the condition holds. */
export function repeat(condition: Code, ...body: readonly Code[]): Code {
  return [0x03, 0x40, ...body.flat(), ...condition, 0x0d, 0, 0x0b];
}

/** The body, where the condition holds. */
export function when(condition: Code, ...body: readonly Code[]): Code {
  return [...condition, 0x04, 0x40, ...body.flat(), 0x0b];
}
