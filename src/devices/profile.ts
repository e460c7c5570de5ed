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
  /** These replace the device's own figures when this precision was fitted by itself. Bytes per second, seconds. */
  readonly bandwidth?: number;
  readonly opOverhead?: number;
  readonly invokeOverhead?: number;
  /** Factor of the interval around estimates in this precision, when it differs from the device's. */
  readonly uncertainty?: number;
  /** Watts while computing in this precision. */
  readonly activeWatts?: number;
  /** Where the numbers were taken from. */
  readonly source: string;
  /**
   * `table`: fitted to published measurements of this device and runtime. `estimated`: derived from a relative of the
   * device or from a data sheet. `calibrated`: scaled by a measurement that was made with this tool.
   */
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
  /** Operators the runtime refuses, when known: "op", "op:float32", or "*:float32" for a whole precision. */
  readonly unsupported: readonly string[];
  /** Operators that run on the accelerator, when that is known; every other one falls back to a processor. */
  readonly supported?: readonly string[];
  /** Ids of the target rules that hold for it, at most one per model format; see `targets/`. */
  readonly targets?: readonly string[];
  /** True when the device only runs integer models well (int8 NPUs, MCUs). */
  readonly integerOnly: boolean;
  /** True when every shape must be known before deployment. */
  readonly staticShapes?: boolean;
  /** Weights are read from flash in place and take no RAM. Default: microcontrollers do, everyone else does not. */
  readonly weightsInFlash?: boolean;
  /** Accelerator memory for weights, bytes; what does not fit is streamed at `streamBandwidth` on every inference. */
  readonly onChipBytes?: number;
  readonly streamBandwidth?: number;
  /** False when the profile must be calibrated by a benchmark before it may predict latency. */
  readonly calibrated?: boolean;
  /** Things a person should know about these numbers. */
  readonly notes?: readonly string[];
  readonly source: string;
  /** Source of single fields, where it differs from `source`. */
  readonly sources?: Readonly<Record<string, string>>;
}
