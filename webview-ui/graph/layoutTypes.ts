/** Boxes and arrows to be placed; index `i` of every item column is item `i`, in file order. */
export interface LayoutInput {
  readonly count: number;
  readonly width: Float32Array;
  readonly height: Float32Array;
  /** Edge `e` runs from item `from[e]` to item `to[e]`; no self loops, no parallel edges. */
  readonly from: Uint32Array;
  readonly to: Uint32Array;
  /** Centres of a former layout, NaN for items that are new; keeps the picture stable under edits. */
  readonly hint?: Float32Array;
  /** Centres of items that were boxes of their own before and should stay where they were, NaN for others. */
  readonly keep?: Float32Array;
}

/** Where everything is, in page pixels at zoom 1; the origin is the top left corner. */
export interface Layout {
  /** Centres of the items. */
  readonly x: Float32Array;
  readonly y: Float32Array;
  readonly rank: Uint32Array;
  readonly width: number;
  readonly height: number;
  /** Points of edge `e` are `route[2k], route[2k+1]` for k in `routeStart[e]` .. `routeStart[e+1]`. */
  readonly routeStart: Uint32Array;
  readonly route: Float32Array;
  /** 1 for an edge over too many ranks: two stubs, the first and the last two points of its route. */
  readonly stub: Uint8Array;
  /** Crossings left between neighbouring ranks. */
  readonly crossings: number;
}

export type ToLayoutWorker = { readonly id: number; readonly input: LayoutInput };

export type FromLayoutWorker =
  | { readonly id: number; readonly layout: Layout; readonly ms: number }
  | { readonly id: number; readonly error: string };
