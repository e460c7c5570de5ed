import type { Bytes } from '../../ir/bytes.ts';
import { KerfError } from '../../ir/errors.ts';

/** Protocol-buffer wire types (protobuf encoding specification). */
export const wire = { varint: 0, fixed64: 1, bytes: 2, group: 3, endGroup: 4, fixed32: 5 } as const;

const decoder = new TextDecoder();
const smallestWindow = 4096;
const largestWindow = 1 << 20;

/**
 * Reads a protocol buffer by position through a window, so that tensor data between fields is skipped, not read.
 * Positions are absolute within `bytes`.
 */
export class WireReader {
  readonly bytes: Bytes;
  pos: number;
  #window: Uint8Array = new Uint8Array(0);
  #view = new DataView(this.#window.buffer);
  #start = 0;
  #nextSize = smallestWindow;

  constructor(bytes: Bytes, pos = 0) {
    this.bytes = bytes;
    this.pos = pos;
  }

  /** Field number and wire type of the next tag. */
  tag(end: number): { field: number; type: number } {
    const tag = this.varint(end);
    const field = Math.floor(tag / 8);
    if (field === 0) throw this.malformed('field number 0');
    return { field, type: tag % 8 };
  }

  /** An unsigned varint; exact up to 2^53, beyond that only `varint64` is. */
  varint(end: number): number {
    let result = 0;
    let scale = 1;
    for (let i = 0; i < 10; i += 1) {
      const byte = this.#byte(end);
      result += (byte & 127) * scale;
      if (byte < 128) return result;
      scale *= 128;
    }
    throw this.malformed('a varint longer than 10 bytes');
  }

  /** A signed 64-bit varint, as a number when it is safe. */
  varint64(end: number): number | bigint {
    let low = 0;
    const from = this.pos;
    let scale = 1;
    for (let i = 0; i < 7; i += 1) {
      const byte = this.#byte(end);
      low += (byte & 127) * scale;
      if (byte < 128) return low;
      scale *= 128;
    }
    this.pos = from;
    return this.#bigVarint(end);
  }

  #bigVarint(end: number): number | bigint {
    let result = 0n;
    for (let shift = 0n; shift < 70n; shift += 7n) {
      const byte = this.#byte(end);
      result |= BigInt(byte & 127) << shift;
      if (byte < 128) {
        const signed = BigInt.asIntN(64, result);
        return signed >= BigInt(Number.MIN_SAFE_INTEGER) && signed <= BigInt(Number.MAX_SAFE_INTEGER)
          ? Number(signed)
          : signed;
      }
    }
    throw this.malformed('a varint longer than 10 bytes');
  }

  /** A length prefix; the payload must end by `end`. */
  length(end: number): number {
    const length = this.varint(end);
    if (length > end - this.pos) {
      throw new KerfError(
        'truncated',
        `a field of ${length} bytes, but only ${end - this.pos} bytes are left`,
        { place: `byte ${this.pos}` },
      );
    }
    return length;
  }

  float(end: number): number {
    this.#need(4, end);
    const value = this.#view.getFloat32(this.pos - this.#start, true);
    this.pos += 4;
    return value;
  }

  /** A copy of a length-delimited field. */
  blob(end: number): Uint8Array {
    const length = this.length(end);
    if (length > largestWindow) {
      const copy = this.bytes.read(this.pos, length);
      this.pos += length;
      return copy;
    }
    this.#need(length, end);
    const from = this.pos - this.#start;
    this.pos += length;
    return this.#window.slice(from, from + length);
  }

  text(end: number): string {
    const length = this.length(end);
    if (length > largestWindow) {
      const text = decoder.decode(this.bytes.read(this.pos, length));
      this.pos += length;
      return text;
    }
    this.#need(length, end);
    const from = this.pos - this.#start;
    this.pos += length;
    return decoder.decode(this.#window.subarray(from, from + length));
  }

  /** The payload of a length-delimited field, unread. */
  lazy(end: number): Bytes {
    const length = this.length(end);
    const range = this.bytes.slice(this.pos, length);
    this.pos += length;
    return range;
  }

  skip(type: number, end: number): void {
    if (type === wire.varint) this.varint(end);
    else if (type === wire.fixed64) this.#jump(8, end);
    else if (type === wire.fixed32) this.#jump(4, end);
    else if (type === wire.bytes) this.#jump(this.length(end), end);
    else throw this.malformed(`wire type ${type}`);
  }

  malformed(what: string): KerfError {
    return new KerfError('malformed', `${what} is not valid in a protocol buffer`, {
      place: `byte ${this.pos}`,
    });
  }

  #jump(count: number, end: number): void {
    if (this.pos + count > end) this.#fail(end);
    this.pos += count;
  }

  #byte(end: number): number {
    if (this.pos >= end) this.#fail(end);
    const at = this.pos - this.#start;
    if (at < 0 || at >= this.#window.length) this.#refill(1);
    const byte = this.#window[this.pos - this.#start] as number;
    this.pos += 1;
    return byte;
  }

  #need(count: number, end: number): void {
    if (this.pos + count > end) this.#fail(end);
    const at = this.pos - this.#start;
    if (at < 0 || at + count > this.#window.length) this.#refill(count);
  }

  #fail(end: number): never {
    throw new KerfError('truncated', `the data ends at byte ${end}`, { place: `byte ${this.pos}` });
  }

  /** Sequential reading doubles the window; a jump starts small again, so skipping weights reads little. */
  #refill(count: number): void {
    const sequential = this.pos <= this.#start + this.#window.length && this.pos >= this.#start;
    this.#nextSize = sequential ? Math.min(this.#nextSize * 2, largestWindow) : smallestWindow;
    this.#window = this.bytes.read(this.pos, Math.max(count, this.#nextSize));
    this.#view = new DataView(this.#window.buffer, this.#window.byteOffset, this.#window.byteLength);
    this.#start = this.pos;
  }
}
