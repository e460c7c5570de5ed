import { zipSync } from 'fflate';

/** A NumPy array file, format version 1.0. */
export function npy(
  descr: string,
  shape: readonly number[],
  data: Uint8Array | Float32Array,
  order: 'C' | 'F' = 'C',
): Uint8Array {
  const dims = shape.length === 1 ? `${shape[0]},` : shape.join(', ');
  const fortran = order === 'F' ? 'True' : 'False';
  const text = `{'descr': '${descr}', 'fortran_order': ${fortran}, 'shape': (${dims}), }`;
  const header = text.padEnd(Math.ceil((10 + text.length + 1) / 64) * 64 - 11).concat('\n');
  const bytes = new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
  const file = new Uint8Array(10 + header.length + bytes.length);
  file.set([0x93, ...new TextEncoder().encode('NUMPY'), 1, 0, header.length & 255, header.length >> 8]);
  file.set(new TextEncoder().encode(header), 10);
  file.set(bytes, 10 + header.length);
  return file;
}

/** A NumPy archive of such arrays. */
export function npz(arrays: Readonly<Record<string, Uint8Array>>): Uint8Array {
  return zipSync(Object.fromEntries(Object.entries(arrays).map(([name, file]) => [`${name}.npy`, file])));
}
