/** Sizes and lifetimes of blocks that must not overlap in memory while they overlap in time. */
export interface ArenaProblem {
  readonly bytes: readonly number[];
  /** First and last step of each block, inclusive. */
  readonly first: readonly number[];
  readonly last: readonly number[];
  readonly steps: number;
}

export interface ArenaSolution {
  readonly offsets: Float64Array;
  readonly peak: number;
}
