/** How a number came about; shown beside it. */
export type Basis = 'measured' | 'calibrated' | 'table' | 'estimated';

/**
 * Latency of one layer on one device in one precision (facts: profiling, "sum, not max"):
 * t = macs / (gmacsPerSecond * rho[class]) + bytes / bandwidth + opOverhead.
 */
export interface PrecisionProfile {
  /** Reference throughput of a 1x1 or generic convolution, giga-MACs per second. */
  readonly gmacsPerSecond: number;
  /** Relative speed per operator class, 1 = reference. */
  readonly depthwise: number;
  readonly dense3x3: number;
  readonly fullyConnected: number;
  /** Where the numbers were taken from. */
  readonly source: string;
  readonly basis: Basis;
}

/** A device people deploy to. Unknown facts are absent, never 0. */
export interface DeviceProfile {
  readonly id: string;
  readonly name: string;
  readonly class: 'mcu' | 'cpu' | 'npu' | 'gpu' | 'host';
  readonly cpu: string;
  readonly runtime: string;
  readonly threads: number;
  /** Model formats its runtime loads. */
  readonly formats: readonly ('onnx' | 'tflite')[];
  /** Bytes that a model file may take in flash or storage. */
  readonly flashBytes?: number;
  /** Bytes of RAM for the activation arena. */
  readonly ramBytes?: number;
  readonly precisions: {
    readonly float32?: PrecisionProfile;
    readonly int8?: PrecisionProfile;
    readonly float16?: PrecisionProfile;
  };
  /** Effective memory bandwidth, bytes per second. */
  readonly bandwidth: number;
  /** Fixed cost per layer and per inference, seconds. */
  readonly opOverhead: number;
  readonly invokeOverhead: number;
  /** Watts while computing; `powerScope` says what was measured. */
  readonly activeWatts?: number;
  readonly powerScope?: string;
  /** Half-width of the interval around an estimate as a factor: 1.5 means ×/÷ 1.5. */
  readonly uncertainty: number;
  /** Operators the runtime refuses, when known ("op" or "op:float32"). */
  readonly unsupported: readonly string[];
  /** True when the device only runs integer models well (int8 NPUs, MCUs). */
  readonly integerOnly: boolean;
  readonly source: string;
}
