import { wire } from './wire.ts';
import type { Bytes } from '../../ir/bytes.ts';
import { memoryBytes } from '../../ir/bytes.ts';

/** Builds a protocol buffer as parts: small fields are gathered, large payloads stay lazy. */
export class WireWriter {
  #buffer = new Uint8Array(256);
  #view = new DataView(this.#buffer.buffer);
  #used = 0;
  #parts: Bytes[] = [];
  #flushed = 0;

  /** Bytes written so far. */
  get length(): number {
    return this.#flushed + this.#used;
  }

  int(field: number, value: number | bigint): this {
    this.#varint(field * 8 + wire.varint);
    this.#signed(value);
    return this;
  }

  float(field: number, value: number): this {
    this.#varint(field * 8 + wire.fixed32);
    this.#room(4);
    this.#view.setFloat32(this.#used, value, true);
    this.#used += 4;
    return this;
  }

  text(field: number, value: string): this {
    return this.blob(field, encoder.encode(value));
  }

  blob(field: number, value: Uint8Array): this {
    this.#varint(field * 8 + wire.bytes);
    this.#varint(value.length);
    this.#append(value);
    return this;
  }

  /** A length-delimited field from lazy bytes. */
  lazy(field: number, value: Bytes): this {
    this.#varint(field * 8 + wire.bytes);
    this.#varint(value.length);
    return this.raw(value);
  }

  packedInts(field: number, values: Iterable<number | bigint>): this {
    const inner = new WireWriter();
    for (const value of values) inner.#signed(value);
    return this.message(field, inner);
  }

  message(field: number, inner: WireWriter): this {
    this.#varint(field * 8 + wire.bytes);
    this.#varint(inner.length);
    for (const part of inner.parts()) this.raw(part);
    return this;
  }

  /** Bytes as they are, tag included. */
  raw(bytes: Bytes): this {
    if (bytes.length <= inlineLimit) this.#append(bytes.read());
    else {
      this.#flush();
      this.#parts.push(bytes);
      this.#flushed += bytes.length;
    }
    return this;
  }

  parts(): readonly Bytes[] {
    this.#flush();
    return this.#parts;
  }

  #append(bytes: Uint8Array): void {
    this.#room(bytes.length);
    this.#buffer.set(bytes, this.#used);
    this.#used += bytes.length;
  }

  #signed(value: number | bigint): void {
    if (typeof value === 'number' && value >= 0 && Number.isSafeInteger(value)) this.#varint(value);
    else this.#bigVarint(BigInt.asUintN(64, BigInt(value)));
  }

  #varint(value: number): void {
    this.#room(10);
    let rest = value;
    while (rest >= 128) {
      this.#buffer[this.#used] = (rest % 128) | 128;
      this.#used += 1;
      rest = Math.floor(rest / 128);
    }
    this.#buffer[this.#used] = rest;
    this.#used += 1;
  }

  #bigVarint(value: bigint): void {
    this.#room(10);
    let rest = value;
    while (rest >= 128n) {
      this.#buffer[this.#used] = Number(rest & 127n) | 128;
      this.#used += 1;
      rest >>= 7n;
    }
    this.#buffer[this.#used] = Number(rest);
    this.#used += 1;
  }

  #room(count: number): void {
    if (this.#used + count <= this.#buffer.length) return;
    const grown = new Uint8Array(Math.max(this.#buffer.length * 2, this.#used + count));
    grown.set(this.#buffer.subarray(0, this.#used));
    this.#buffer = grown;
    this.#view = new DataView(grown.buffer);
  }

  #flush(): void {
    if (this.#used === 0) return;
    this.#parts.push(memoryBytes(this.#buffer.slice(0, this.#used)));
    this.#flushed += this.#used;
    this.#used = 0;
  }
}

const inlineLimit = 4096;

const encoder = new TextEncoder();
