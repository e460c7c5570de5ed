import { readFileSync } from 'node:fs';
import { strFromU8, unzipSync } from 'fflate';
import type { DType } from '../../ir/dtype.ts';
import { byteSize } from '../../ir/dtype.ts';
import { KerfError } from '../../ir/errors.ts';
import type { HostTensor } from '../runner.ts';

/** Names of the arrays and a reader for them; an array is unpacked when it is asked for. */
export interface NpzFile {
  readonly file: string;
  readonly names: readonly string[];
  array(name: string): HostTensor;
}

/** Opens a NumPy archive. Throws `KerfError('bad-dataset')` naming the file and the array. */
export function openNpz(file: string): NpzFile {
  const bytes = readBytes(file);
  const names: string[] = [];
  unzip(bytes, file, (entry) => {
    names.push(entry.replace(/\.npy$/, ''));
    return false;
  });
  if (names.length === 0) throw new KerfError('bad-dataset', 'the archive holds no arrays', { file });
  const read = new Map<string, HostTensor>();
  return {
    file,
    names,
    array(name) {
      let found = read.get(name);
      if (found === undefined) {
        const entries = unzip(bytes, file, (entry) => entry === `${name}.npy` || entry === name);
        const [content] = Object.values(entries);
        if (content === undefined)
          throw new KerfError('bad-dataset', `no array ${name}; there are ${names.join(', ')}`, { file });
        found = parseNpy(content, { file, place: name });
        read.set(name, found);
      }
      return found;
    },
  };
}

function readBytes(file: string): Uint8Array {
  try {
    return readFileSync(file);
  } catch (error) {
    const missing = (error as NodeJS.ErrnoException).code === 'ENOENT';
    const message = missing ? 'no such file' : (error as Error).message;
    throw new KerfError(missing ? 'not-found' : 'bad-dataset', message, { file });
  }
}

function unzip(bytes: Uint8Array, file: string, wanted: (entry: string) => boolean) {
  try {
    return unzipSync(bytes, { filter: ({ name }) => wanted(name) });
  } catch (error) {
    throw new KerfError('bad-dataset', `not a readable .npz archive: ${(error as Error).message}`, { file });
  }
}

const elementTypes: Readonly<Record<string, DType>> = {
  f2: 'float16',
  f4: 'float32',
  f8: 'float64',
  i1: 'int8',
  i2: 'int16',
  i4: 'int32',
  i8: 'int64',
  u1: 'uint8',
  u2: 'uint16',
  u4: 'uint32',
  u8: 'uint64',
  b1: 'bool',
};

/** Reads the NPY format, versions 1 to 3, row-major and little-endian arrays of numbers. */
export function parseNpy(bytes: Uint8Array, where: { file: string; place: string }): HostTensor {
  const bad = (message: string) => new KerfError('bad-dataset', message, where);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (bytes.length < 12 || strFromU8(bytes.subarray(1, 6), true) !== 'NUMPY' || bytes[0] !== 0x93)
    throw bad('not a NumPy array');
  const wide = (bytes[6] ?? 1) > 1;
  const headerStart = wide ? 12 : 10;
  const headerLength = wide ? view.getUint32(8, true) : view.getUint16(8, true);
  const dataStart = headerStart + headerLength;
  if (dataStart > bytes.length) throw bad('the array header is cut off');
  const header = strFromU8(bytes.subarray(headerStart, dataStart), true);
  const descr = /'descr':\s*'([^']*)'/.exec(header)?.[1];
  const shape = /'shape':\s*\(([^)]*)\)/.exec(header)?.[1];
  if (descr === undefined || shape === undefined) throw bad('the array header cannot be read');
  if (/'fortran_order':\s*True/.test(header))
    throw bad('the array is stored column by column (Fortran order); save numpy.ascontiguousarray of it');
  const dtype = elementTypes[descr.slice(1)];
  if (dtype === undefined || descr.startsWith('>')) throw bad(`element type ${descr} is not supported`);
  const dims = shape
    .split(',')
    .map((dim) => dim.trim())
    .filter((dim) => dim !== '')
    .map(Number);
  const size = byteSize(
    dtype,
    dims.reduce((product, dim) => product * dim, 1),
  );
  if (size === undefined || !Number.isInteger(size) || dims.some((dim) => dim < 0))
    throw bad(`shape (${shape}) cannot be read`);
  if (dataStart + size > bytes.length)
    throw bad(`the array is cut off: ${bytes.length - dataStart} of ${size} bytes`);
  return { dtype, dims, data: bytes.subarray(dataStart, dataStart + size) };
}
