import type { Bytes } from '../../ir/bytes.ts';
import { memoryBytes } from '../../ir/bytes.ts';

const endSignature = 0x06054b50;
const entrySignature = 0x02014b50;
const endLength = 22;
/** The end record is followed by a comment of at most 64 KiB. */
const longestEnd = endLength + 0xffff;

/**
 * The zip archive of associated files that follows a TFLite model, moved from byte `from` of the file to byte `to`:
 * its directory counts from the start of the file (PKWARE APPNOTE 4.3.16). What is no such archive stays as it is.
 */
export function moveZip(tail: Bytes, from: number, to: number): Bytes {
  const end = findEnd(tail);
  if (from === to || end === undefined) return tail;
  const bytes = tail.read().slice();
  const view = new DataView(bytes.buffer);
  const directory = end - view.getUint32(end + 12, true);
  if (view.getUint32(end + 16, true) !== from + directory) return tail;
  view.setUint32(end + 16, to + directory, true);
  let at = directory;
  for (let left = view.getUint16(end + 10, true); left > 0 && at + 46 <= end; left -= 1) {
    if (view.getUint32(at, true) !== entrySignature) return tail;
    view.setUint32(at + 42, view.getUint32(at + 42, true) + to - from, true);
    const [name, extra, comment] = [28, 30, 32].map((field) => view.getUint16(at + field, true));
    at += 46 + (name ?? 0) + (extra ?? 0) + (comment ?? 0);
  }
  return memoryBytes(bytes);
}

/** Position of the end record within the tail. */
function findEnd(tail: Bytes): number | undefined {
  const start = Math.max(0, tail.length - longestEnd);
  const last = tail.read(start, tail.length - start);
  const view = new DataView(last.buffer, last.byteOffset, last.byteLength);
  for (let at = last.length - endLength; at >= 0; at -= 1) {
    const fits = view.getUint32(at, true) === endSignature;
    if (fits && at + endLength + view.getUint16(at + 20, true) === last.length) {
      const directory = start + at - view.getUint32(at + 12, true);
      return directory >= 0 ? start + at : undefined;
    }
  }
  return undefined;
}
