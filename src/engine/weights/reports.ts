/** A run of a constant's elements, row-major, as numbers. */
export interface TensorPage {
  readonly dtype: string;
  readonly dims: readonly number[];
  readonly offset: number;
  readonly values: Float64Array;
}

/** A constant as rows of channels and columns of equal runs within a channel; few enough cells to look at. */
export interface ChannelMap {
  readonly dims: readonly number[];
  readonly axis: number;
  /** Channels of the axis; a row stands for `channelsPerRow` of them. */
  readonly channels: number;
  readonly channelsPerRow: number;
  readonly rows: number;
  readonly columns: number;
  /** Mean of the cell's elements, row by row. */
  readonly cells: Float32Array;
  /** Per row: smallest and largest element, and the share of exact zeros. */
  readonly min: Float32Array;
  readonly max: Float32Array;
  readonly zeros: Float32Array;
}

/** The share of exact zeros among the weights of each layer that has weights, main graph. */
export interface LayerSparsity {
  readonly layers: readonly string[];
  /** `NaN` where the weights cannot be read. */
  readonly share: Float64Array;
}
