import { stridesOf } from './constants.ts';

/**
 * Which elements of a weight share a scale. Row-major, a weight is `outer` times `channels` times `inner` elements, and
 * one at (o, c, i) has the scale number `first(o) + c`.
 */
export interface Grouping {
  /** The scales' dimensions. */
  readonly dims: readonly number[];
  readonly outer: number;
  readonly channels: number;
  readonly inner: number;
  /** Where successive outer indices have the same scales: how many. */
  readonly block?: number;
  first(outer: number): number;
}

/** One scale per index of `axis`. */
export function byChannel(dims: readonly number[], axis: number): Grouping {
  const channels = dims[axis] as number;
  const inner = stridesOf(dims)[axis] as number;
  const outer = dims.slice(0, axis).reduce((product, dim) => product * dim, 1);
  return { dims: [channels], outer, channels, inner, block: outer, first: () => 0 };
}

/** One scale per column and `block` rows of a matrix; the last block of a column may be shorter. */
export function byBlock(dims: readonly [rows: number, columns: number], block: number): Grouping {
  const [rows, columns] = dims;
  return {
    dims: [Math.ceil(rows / block), columns],
    outer: rows,
    channels: columns,
    inner: 1,
    block,
    first: (outer) => Math.floor(outer / block) * columns,
  };
}
