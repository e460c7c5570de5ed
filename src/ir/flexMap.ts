import { KerfError } from './errors.ts';

export type FlexScalar = number | boolean | string;

/**
 * A FlexBuffer map by key, which is how custom TFLite operators store their options (FlatBuffers, "FlexBuffers"
 * format). Vectors, blobs and nested maps have their key only.
 * Throws `KerfError('malformed')` when the bytes are no such map.
 */
export function readFlexMap(bytes: Uint8Array): ReadonlyMap<string, FlexScalar | undefined> {
  return read(bytes, (type, at, width, { view, unsigned }) =>
    type >> 2 === stringType
      ? textAt(bytes, at - unsigned(at, width))
      : scalarAt(view, unsigned, at, width, type),
  );
}

/**
 * The vectors of whole numbers in a FlexBuffer map, by key; everything else is `undefined`. Throws
 * `KerfError('malformed')` when the bytes are no such map.
 */
export function readFlexIntegers(bytes: Uint8Array): ReadonlyMap<string, readonly number[] | undefined> {
  return read(bytes, (packed, at, width, { view, unsigned }) => {
    const type = packed >> 2;
    const untyped = type === 10;
    if (!untyped && type !== 11 && type !== 12) return undefined;
    const size = 1 << (packed & 3);
    const start = at - unsigned(at, width);
    const count = unsigned(start - size, size);
    return Array.from({ length: count }, (_, i) => {
      const place = start + i * size;
      unsigned(place, size);
      return type === 12 ? unsigned(place, size) : signed(view, place, size);
    });
  });
}

type Decode<T> = (
  packed: number,
  at: number,
  width: number,
  source: { readonly view: DataView; readonly unsigned: Read },
) => T;

function read<T>(bytes: Uint8Array, decode: Decode<T>): ReadonlyMap<string, T> {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const fail = () => new KerfError('malformed', 'the options of the custom operator are no FlexBuffer map');
  const unsigned = (at: number, width: number): number => {
    if (at < 0 || at + width > bytes.length || ![1, 2, 4, 8].includes(width)) throw fail();
    if (width === 1) return view.getUint8(at);
    if (width === 2) return view.getUint16(at, true);
    return width === 4 ? view.getUint32(at, true) : Number(view.getBigUint64(at, true));
  };
  const rootWidth = bytes.at(-1) ?? 0;
  const rootType = bytes.at(-2) ?? 0;
  if (![1, 2, 4, 8].includes(rootWidth) || rootType >> 2 !== mapType) throw fail();
  const rootAt = bytes.length - 2 - rootWidth;
  const width = 1 << (rootType & 3);
  const values = rootAt - unsigned(rootAt, rootWidth);
  const count = unsigned(values - width, width);
  const keysSlot = values - 3 * width;
  const keys = keysSlot - unsigned(keysSlot, width);
  const keyWidth = unsigned(values - 2 * width, width);
  const found = new Map<string, T>();
  for (let i = 0; i < count; i += 1) {
    const slot = keys + i * keyWidth;
    const key = textAt(bytes, slot - unsigned(slot, keyWidth));
    const type = unsigned(values + count * width + i, 1);
    found.set(key, decode(type, values + i * width, width, { view, unsigned }));
  }
  return found;
}

const stringType = 5;
const mapType = 9;

type Read = (at: number, width: number) => number;

/** Types 1 to 3 are inline, 6 to 8 the same behind an offset, 26 a boolean. */
function scalarAt(
  view: DataView,
  unsigned: Read,
  at: number,
  width: number,
  packed: number,
): FlexScalar | undefined {
  const type = packed >> 2;
  if (type === 26) return unsigned(at, width) !== 0;
  const indirect = type >= 6 && type <= 8;
  const place = indirect ? at - unsigned(at, width) : at;
  const size = indirect ? 1 << (packed & 3) : width;
  // Refuses what lies outside.
  unsigned(place, size);
  switch (indirect ? type - 5 : type) {
    case 1:
      return signed(view, place, size);
    case 2:
      return unsigned(place, size);
    case 3:
      return size === 8
        ? view.getFloat64(place, true)
        : size === 4
          ? view.getFloat32(place, true)
          : undefined;
    default:
      return undefined;
  }
}

function signed(view: DataView, at: number, width: number): number {
  if (width === 1) return view.getInt8(at);
  if (width === 2) return view.getInt16(at, true);
  return width === 4 ? view.getInt32(at, true) : Number(view.getBigInt64(at, true));
}

function textAt(bytes: Uint8Array, start: number): string {
  const end = bytes.indexOf(0, start);
  return new TextDecoder().decode(bytes.subarray(start, end < 0 ? bytes.length : end));
}
