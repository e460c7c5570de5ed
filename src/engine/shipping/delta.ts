const block = 32;
const factor = 0x01000193;
/** `factor` to the power of `block - 1`, modulo 2^32. */
const leading = Array.from({ length: block - 1 }).reduce<number>((power) => Math.imul(power, factor), 1);

/**
 * Instructions that make `next` out of `old`: runs of new bytes, and copies of old ones wherever a block of 32 bytes or
 * more is found again (the greedy scheme of Rsync and VCDIFF, RFC 3284). Each step is the length of a run, the run, the
 * length of a copy, and where it begins, counted from the end of the copy before; numbers are variable-length integers.
 * Time and memory are linear in both.
 */
export function deltaOf(old: Uint8Array, next: Uint8Array): Uint8Array {
  const places = blocksOf(old);
  const out = new Output(Math.min(next.length, 1 << 16) + 16);
  let run = 0;
  let expected = 0;
  let hash = 0;
  let hashed = false;
  for (let at = 0; at + block <= next.length; ) {
    if (!hashed) hash = hashOf(next, at);
    hashed = true;
    const match = places.find(hash, next, at);
    if (match < 0) {
      hash = Math.imul((hash - Math.imul(next[at] as number, leading)) | 0, factor) + (next[at + block] ?? 0);
      hash |= 0;
      at += 1;
      continue;
    }
    let start = match;
    let from = at;
    while (from > run && start > 0 && old[start - 1] === next[from - 1]) {
      from -= 1;
      start -= 1;
    }
    let length = at - from + block;
    while (
      from + length < next.length &&
      start + length < old.length &&
      old[start + length] === next[from + length]
    )
      length += 1;
    out.step(next.subarray(run, from), length, start - expected);
    expected = start + length;
    at = from + length;
    run = at;
    hashed = false;
  }
  out.step(next.subarray(run), 0, 0);
  return out.bytes();
}

function hashOf(bytes: Uint8Array, at: number): number {
  let hash = 0;
  for (let i = 0; i < block; i += 1) hash = (Math.imul(hash, factor) + (bytes[at + i] as number)) | 0;
  return hash;
}

/** Where the aligned blocks of some bytes are, by their hash; the first of several alike is kept. */
function blocksOf(bytes: Uint8Array) {
  const count = Math.floor(bytes.length / block);
  const bits = Math.max(4, Math.ceil(Math.log2(count * 2 + 1)));
  const table = new Int32Array(2 ** bits);
  const mask = table.length - 1;
  const slotOf = (hash: number) => (Math.imul(hash, 0x9e3779b1) >>> (32 - bits)) & mask;
  const same = (place: number, other: Uint8Array, at: number) => {
    for (let i = 0; i < block; i += 1) if (bytes[place + i] !== other[at + i]) return false;
    return true;
  };
  const find = (hash: number, other: Uint8Array, at: number): number => {
    for (let slot = slotOf(hash), tries = 0; tries < 8; slot = (slot + 1) & mask, tries += 1) {
      const entry = table[slot] as number;
      if (entry === 0) return -1;
      const place = (entry - 1) * block;
      if (same(place, other, at)) return place;
    }
    return -1;
  };
  for (let index = 0; index < count; index += 1) {
    const hash = hashOf(bytes, index * block);
    if (find(hash, bytes, index * block) >= 0) continue;
    let slot = slotOf(hash);
    for (let tries = 0; tries < 8 && table[slot] !== 0; tries += 1) slot = (slot + 1) & mask;
    if (table[slot] === 0) table[slot] = index + 1;
  }
  return { find };
}

/** Grows as steps are written. */
class Output {
  #bytes: Uint8Array;
  #length = 0;
  constructor(room: number) {
    this.#bytes = new Uint8Array(room);
  }

  step(run: Uint8Array, copied: number, offset: number): void {
    this.#reserve(run.length + 30);
    this.#number(run.length);
    this.#bytes.set(run, this.#length);
    this.#length += run.length;
    this.#number(copied);
    // The sign goes into the lowest bit.
    this.#number(offset < 0 ? -2 * offset - 1 : 2 * offset);
  }

  bytes(): Uint8Array {
    return this.#bytes.subarray(0, this.#length);
  }

  #number(value: number): void {
    let rest = value;
    while (rest >= 128) {
      this.#bytes[this.#length] = (rest % 128) + 128;
      this.#length += 1;
      rest = Math.floor(rest / 128);
    }
    this.#bytes[this.#length] = rest;
    this.#length += 1;
  }

  #reserve(more: number): void {
    if (this.#length + more <= this.#bytes.length) return;
    const grown = new Uint8Array(Math.max(this.#bytes.length * 2, this.#length + more));
    grown.set(this.#bytes.subarray(0, this.#length));
    this.#bytes = grown;
  }
}
