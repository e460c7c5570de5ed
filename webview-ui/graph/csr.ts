/** Adjacency in compressed rows: the neighbours of `v` are `target[start[v]]` .. `target[start[v + 1] - 1]`. */
export interface Csr {
  readonly start: Uint32Array;
  readonly target: Uint32Array;
  /** The edge each entry came from. */
  readonly edge: Uint32Array;
}

/** Rows of `from`, entries in edge order. */
export function buildCsr(count: number, from: Uint32Array, to: Uint32Array): Csr {
  const start = new Uint32Array(count + 1);
  for (let e = 0; e < from.length; e++) start[from[e]! + 1]!++;
  for (let v = 0; v < count; v++) start[v + 1]! += start[v]!;
  const cursor = start.slice(0, count);
  const target = new Uint32Array(from.length);
  const edge = new Uint32Array(from.length);
  for (let e = 0; e < from.length; e++) {
    const slot = cursor[from[e]!]!++;
    target[slot] = to[e]!;
    edge[slot] = e;
  }
  return { start, target, edge };
}

/** A list of points that grows without boxing them. */
export class FloatList {
  length = 0;
  private data: Float32Array;

  constructor(capacity: number) {
    this.data = new Float32Array(Math.max(16, capacity));
  }

  push(a: number, b: number): void {
    if (this.length + 2 > this.data.length) {
      const larger = new Float32Array(this.data.length * 2);
      larger.set(this.data);
      this.data = larger;
    }
    this.data[this.length++] = a;
    this.data[this.length++] = b;
  }

  /** Adds a vertical piece; one that continues the last piece lengthens it instead. */
  pushVertical(x: number, top: number, bottom: number): void {
    const { data, length } = this;
    if (length >= 4 && data[length - 2] === Math.fround(x) && data[length - 4] === Math.fround(x)) {
      data[length - 1] = bottom;
      return;
    }
    this.push(x, top);
    this.push(x, bottom);
  }

  /** Reverses the points from entry `first` on. */
  reverseFrom(first: number): void {
    const { data } = this;
    for (let a = first, b = this.length - 2; a < b; a += 2, b -= 2) {
      const x = data[a]!;
      const y = data[a + 1]!;
      data[a] = data[b]!;
      data[a + 1] = data[b + 1]!;
      data[b] = x;
      data[b + 1] = y;
    }
  }

  finish(): Float32Array {
    return this.data.slice(0, this.length);
  }
}
