import type { Bytes } from '../../ir/bytes.ts';
import { KerfError } from '../../ir/errors.ts';
import type { Scalar } from './row.ts';
import type { ScalarType } from './schema.ts';
import { widthOf } from './schema.ts';

const pageLength = 1 << 16;
const pagesKept = 256;

/** Reads little-endian scalars anywhere in a file of any size, holding at most 16 MiB of it in pages. */
export class Cursor {
  readonly bytes: Bytes;
  readonly length: number;
  /** End of the farthest range looked at: where the flatbuffer ends, as far as it is known. */
  extent = 0;
  readonly #pages = new Map<number, DataView>();
  #last = -1;
  #lastPage: DataView = new DataView(new ArrayBuffer(0));

  constructor(bytes: Bytes) {
    this.bytes = bytes;
    this.length = bytes.length;
  }

  /** Throws `KerfError('truncated')` unless the range lies within the file. */
  require(at: number, length: number): void {
    if (at < 0 || at + length > this.length) {
      throw new KerfError(
        'truncated',
        `needs bytes ${at} to ${at + length} of a file of ${this.length} bytes`,
      );
    }
    if (at + length > this.extent) this.extent = at + length;
  }

  scalar(type: ScalarType, at: number): Scalar {
    const width = widthOf[type];
    this.require(at, width);
    const inside = at % pageLength;
    if (inside + width <= pageLength) return scalarIn(this.#page(Math.floor(at / pageLength)), type, inside);
    return scalarIn(viewOf(this.bytes.read(at, width)), type, 0);
  }

  /** A scalar of at most 32 bits. */
  number(type: ScalarType, at: number): number {
    return Number(this.scalar(type, at));
  }

  /** A copy of a range; short ones come out of the pages. */
  copy(at: number, length: number): Uint8Array {
    this.require(at, length);
    const inside = at % pageLength;
    if (inside + length > pageLength) return this.bytes.read(at, length).slice();
    const page = this.#page(Math.floor(at / pageLength));
    return new Uint8Array(page.buffer, page.byteOffset + inside, length).slice();
  }

  #page(index: number): DataView {
    if (index === this.#last) return this.#lastPage;
    let page = this.#pages.get(index);
    if (page === undefined) {
      const offset = index * pageLength;
      page = viewOf(this.bytes.read(offset, Math.min(pageLength, this.length - offset)));
      const oldest = this.#pages.keys().next();
      if (this.#pages.size >= pagesKept && oldest.done !== true) this.#pages.delete(oldest.value);
      this.#pages.set(index, page);
    }
    this.#last = index;
    this.#lastPage = page;
    return page;
  }
}

function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

/** The scalar at `at`; 64-bit integers are bigints only where a number would be inexact. */
function scalarIn(view: DataView, type: ScalarType, at: number): Scalar {
  switch (type) {
    case 'bool':
    case 'ubyte':
      return view.getUint8(at);
    case 'byte':
      return view.getInt8(at);
    case 'short':
      return view.getInt16(at, true);
    case 'ushort':
      return view.getUint16(at, true);
    case 'int':
      return view.getInt32(at, true);
    case 'uint':
      return view.getUint32(at, true);
    case 'long':
      return narrow(view.getBigInt64(at, true));
    case 'ulong':
      return narrow(view.getBigUint64(at, true));
    case 'float':
      return view.getFloat32(at, true);
  }
}

function narrow(value: bigint): Scalar {
  const number = Number(value);
  return Number.isSafeInteger(number) ? number : value;
}
