export type FlexEntry = { int: number } | { float: number } | { ints: readonly number[] };

/**
 * A FlexBuffer map of 32-bit numbers, and of vectors of them, as the format page of FlatBuffers lays it out: vectors, keys,
 * their vector, values, types.
 */
export function flexMap(entries: Readonly<Record<string, FlexEntry>>): Uint8Array {
  const sorted = Object.entries(entries).sort(([a], [b]) => (a < b ? -1 : 1));
  const bytes: number[] = [];
  const word = (value: number) => bytes.push(...new Uint8Array(Uint32Array.of(value).buffer));
  const vectorAt = sorted.map(([, entry]) => {
    if (!('ints' in entry)) return 0;
    word(entry.ints.length);
    const at = bytes.length;
    for (const value of entry.ints) word(value);
    return at;
  });
  const keyAt = sorted.map(([key]) => {
    const at = bytes.length;
    bytes.push(...new TextEncoder().encode(key), 0);
    return at;
  });
  while (bytes.length % 4 !== 0) bytes.push(0);
  word(sorted.length);
  const keys = bytes.length;
  for (const at of keyAt) word(bytes.length - at);
  word(bytes.length - keys);
  word(4);
  word(sorted.length);
  const values = bytes.length;
  sorted.forEach(([, entry], place) => {
    if ('int' in entry) word(entry.int);
    else if ('ints' in entry) word(bytes.length - (vectorAt[place] as number));
    else bytes.push(...new Uint8Array(Float32Array.of(entry.float).buffer));
  });
  // Type in the upper six bits, width of 4 bytes in the lower two.
  for (const [, entry] of sorted) bytes.push((('int' in entry ? 1 : 'ints' in entry ? 11 : 3) << 2) | 2);
  const root = bytes.length;
  bytes.push(root - values, (9 << 2) | 2, 1);
  return Uint8Array.from(bytes);
}
