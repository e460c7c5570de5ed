import { KerfError } from './errors.ts';

/**
 * A lazy, immutable run of bytes: a range of a file or memory. Reads are synchronous because all of the
 * core runs in the engine process, never in the extension host.
 */
export interface Bytes {
  readonly length: number;
  /**
   * Up to `length` bytes from `offset`, clamped to the end. The result may share memory with this value: it is not
   * to be written to. Its `byteOffset` may be unaligned.
   * Throws `KerfError('missing-weights' | 'io')`.
   */
  read(offset?: number, length?: number): Uint8Array;
  /**
   * Like `read`, into memory that the caller uses again and again; gives the part of it that was filled. Absent where
   * `read` copies nothing anyway.
   */
  readInto?(target: Uint8Array, offset: number, length: number): Uint8Array;
  /** A view of a part; copies nothing. */
  slice(offset: number, length: number): Bytes;
  /** Why the bytes cannot be read, when that is already known. */
  readonly missing?: string;
  /** Bytes that the file stores instead, where these are made from fewer: a sparse tensor's. */
  readonly storedLength?: number;
  /** Where they begin in their file, when they are a range of one. */
  readonly start?: number;
}

class MemoryBytes implements Bytes {
  readonly length: number;
  readonly #bytes: Uint8Array;
  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
    this.length = bytes.length;
  }
  read(offset = 0, length = this.length - offset): Uint8Array {
    return this.#bytes.subarray(offset, offset + length);
  }
  slice(offset: number, length: number): Bytes {
    return new MemoryBytes(this.#bytes.subarray(offset, offset + length));
  }
}

class MissingBytes implements Bytes {
  readonly length: number;
  readonly missing: string;
  constructor(length: number, missing: string) {
    this.length = length;
    this.missing = missing;
  }
  read(): Uint8Array {
    throw new KerfError('missing-weights', this.missing);
  }
  slice(_offset: number, length: number): Bytes {
    return new MissingBytes(length, this.missing);
  }
}

/** Bytes held in memory. */
export function memoryBytes(bytes: Uint8Array): Bytes {
  return new MemoryBytes(bytes);
}

/** Bytes whose file is absent: the size is known, reading says why it cannot be done. */
export function missingBytes(length: number, reason: string): Bytes {
  return new MissingBytes(length, reason);
}

/** Bytes of which any range can be made on its own. */
export function computedBytes(whole: number, make: (offset: number, length: number) => Uint8Array): Bytes {
  return {
    length: whole,
    read: (offset = 0, length = whole - offset) =>
      make(offset, Math.max(0, Math.min(length, whole - offset))),
    slice: (from, length) =>
      computedBytes(Math.min(length, whole - from), (offset, count) => make(from + offset, count)),
  };
}

/** Fills memory with the bytes from `offset` on. */
export function fillFrom(target: Uint8Array, source: Bytes, offset: number): void {
  if (source.readInto === undefined) target.set(source.read(offset, target.length));
  else source.readInto(target, offset, target.length);
}

/** Calls `visit` with successive pieces of at most `pieceLength` bytes; memory stays bounded by one piece. */
export function forEachPiece(
  bytes: Bytes,
  pieceLength: number,
  visit: (piece: Uint8Array, offset: number) => void,
): void {
  for (let offset = 0; offset < bytes.length; offset += pieceLength) {
    visit(bytes.read(offset, Math.min(pieceLength, bytes.length - offset)), offset);
  }
}

/** Parts one after another in memory. */
export function concatBytes(parts: readonly Bytes[]): Uint8Array {
  const whole = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    fillFrom(whole.subarray(at, at + part.length), part, 0);
    at += part.length;
  }
  return whole;
}
