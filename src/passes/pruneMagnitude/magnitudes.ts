import type { Tensor } from '../../ir/tensor.ts';
import { eachPiece, occupied } from '../support/pieces.ts';

/** The magnitude of a float32 has 31 bits, which sort like the numbers; so many of them are told apart at first. */
const upperBits = 16;
const lowerBits = 31 - upperBits;
const perGroup = 1 << lowerBits;
const infinity = 0x7f800000;

/** Elements by the upper bits of their magnitudes, in ascending order; empty groups and what is not finite are left out. */
export interface Magnitudes {
  /** The upper bits of each group. */
  readonly upper: Uint16Array;
  readonly counts: Uint32Array;
  /** Sums of the squares. */
  readonly squares: Float64Array;
  readonly elements: number;
  readonly zeros: number;
}

/** The least number that a group may hold. */
export function leastOf(upper: number): number {
  return numberOf(upper << lowerBits);
}

/** The largest number that a group may hold. */
export function mostOf(upper: number): number {
  return numberOf((upper << lowerBits) | (perGroup - 1));
}

/** The elements of a tensor by the upper bits of their magnitudes. */
export function magnitudesOf(tensor: Tensor): Magnitudes {
  const counts = new Uint32Array(1 << upperBits);
  const squares = new Float64Array(1 << upperBits);
  let elements = 0;
  let zeros = 0;
  eachPiece(tensor, (floats) => {
    const bits = wordsOf(floats);
    elements += bits.length;
    for (let i = 0; i < bits.length; i += 1) {
      const size = (bits[i] as number) & 0x7fffffff;
      if (size === 0) zeros += 1;
      const upper = size >>> lowerBits;
      counts[upper] = (counts[upper] as number) + 1;
      const value = floats[i] as number;
      squares[upper] = (squares[upper] as number) + value * value;
    }
  });
  const upper = Uint16Array.from(occupied(counts.subarray(0, infinity >>> lowerBits)));
  const squaresOf = Float64Array.from(upper, (each) => squares[each] as number);
  return {
    upper,
    counts: Uint32Array.from(upper, (each) => counts[each] as number),
    squares: squaresOf,
    elements,
    zeros,
  };
}

/** Each magnitude that occurs, in ascending order, and how often. */
interface Occurring {
  readonly values: Float32Array;
  readonly counts: Uint32Array;
}

/** The magnitudes in neighbouring groups one by one. */
export function occurringIn(tensor: Tensor, groups: Uint16Array): Occurring {
  const slots = new Int32Array(1 << upperBits).fill(-1);
  for (const [slot, upper] of groups.entries()) slots[upper] = slot;
  const table = new Uint32Array(groups.length * perGroup);
  if (groups.length > 0)
    eachPiece(tensor, (floats) => {
      const bits = wordsOf(floats);
      for (let i = 0; i < bits.length; i += 1) {
        const size = (bits[i] as number) & 0x7fffffff;
        const slot = slots[size >>> lowerBits] as number;
        if (slot < 0) continue;
        const place = slot * perGroup + (size & (perGroup - 1));
        table[place] = (table[place] as number) + 1;
      }
    });
  const found = occupied(table);
  const bits = found.map(
    (place) => ((groups[Math.floor(place / perGroup)] as number) << lowerBits) | (place % perGroup),
  );
  return { values: new Float32Array(bits.buffer), counts: found.map((place) => table[place] as number) };
}

/** The place behind the `count`-th element of this magnitude. */
export function placeBehind(tensor: Tensor, magnitude: number, count: number): number {
  let left = count;
  let place = 0;
  eachPiece(tensor, (floats, first) => {
    for (let i = 0; i < floats.length && left > 0; i += 1) {
      if (Math.abs(floats[i] as number) !== magnitude) continue;
      left -= 1;
      place = first + i + 1;
    }
  });
  return place;
}

function wordsOf(floats: Float32Array): Uint32Array {
  return new Uint32Array(floats.buffer, floats.byteOffset, floats.length);
}

const word = new Uint32Array(1);
const float = new Float32Array(word.buffer);

function numberOf(bits: number): number {
  word[0] = bits;
  return float[0] as number;
}
