/**
 * What the page draws: columns, one string table, no weights. Index `i` of every node column is node `i`.
 * String columns hold indexes into `strings`. `NaN` is unknown.
 */
export interface GraphView {
  readonly strings: readonly string[];
  readonly nodeCount: number;
  /** 0 operator, 1 graph input, 2 graph output. */
  readonly kind: Uint8Array;
  /** 1 for a layer of a body shown in place: its cost, of one run, is part of the layer that runs the body. */
  readonly nested: Uint8Array;
  /** Unique in the view. */
  readonly id: Uint32Array;
  /** The layer's id in the model: a body that is run from several places is in the view as often. */
  readonly layer: Uint32Array;
  readonly name: Uint32Array;
  readonly op: Uint32Array;
  /** `OpFamily` as a string index. */
  readonly family: Uint32Array;
  /** First output's shape as text. */
  readonly shape: Uint32Array;
  /** Dimensions of the layer's weight as text, '' where it has none. */
  readonly weight: Uint32Array;
  /** Element type the layer computes in: "float32", "int8", … */
  readonly precision: Uint32Array;
  /** Name scope: "features/3", '' for the top. */
  readonly scope: Uint32Array;
  readonly params: Float64Array;
  readonly macs: Float64Array;
  readonly flops: Float64Array;
  readonly weightBytes: Float64Array;
  readonly activationBytes: Float64Array;
  /** Estimated milliseconds on the chosen device. */
  readonly estimateMs: Float64Array;
  /** 1 where the chosen device cannot run the layer. */
  readonly unsupported: Uint8Array;
  /** Number of findings and the worst severity: 0 none, 1 hint, 2 information, 3 warning, 4 error. */
  readonly findings: Uint16Array;
  readonly severity: Uint8Array;
  /** Edge `e` goes from node `from[e]` to node `to[e]` and carries value `label[e]` ("name: float32[1×3×32×32]"). */
  readonly edgeFrom: Uint32Array;
  readonly edgeTo: Uint32Array;
  readonly edgeLabel: Uint32Array;
}
