import type { DType } from '../ir/dtype.ts';

/** A tensor in host memory; `data` holds the elements row-major, little-endian, exactly sized. */
export interface HostTensor {
  readonly dtype: DType;
  readonly dims: readonly number[];
  readonly data: Uint8Array;
  /** Only for `dtype: 'string'`, which has no flat byte form; `data` is empty then. */
  readonly strings?: readonly string[];
}

export type Tensors = Readonly<Record<string, HostTensor>>;

export interface TensorInfo {
  readonly name: string;
  readonly dtype: DType;
  /** -1 marks a free dimension. */
  readonly dims: readonly number[];
  /** ONNX: names of the free dimensions, '' for those without one and for the others. */
  readonly symbols?: readonly string[];
  /** TFLite integer inputs and outputs: real = scale * (q - zeroPoint). */
  readonly quantization?: { readonly scale: number; readonly zeroPoint: number };
}

export type RuntimeId = 'onnxruntime' | 'litert' | 'tflite';

export interface SessionOptions {
  readonly threads?: number;
  readonly provider?: string;
  /** Graph optimization level of ONNX Runtime. */
  readonly optimization?: 'disabled' | 'basic' | 'extended' | 'all';
  /** Where ONNX Runtime writes its optimized graph. */
  readonly optimizedModelPath?: string;
  /** Only this runtime; without it the model's format decides, and a TFLite model has a second choice. */
  readonly runtime?: RuntimeId;
}

export interface SessionInfo {
  readonly runtime: RuntimeId;
  readonly version: string;
  readonly provider: string;
  readonly threads: number;
  readonly inputs: readonly TensorInfo[];
  readonly outputs: readonly TensorInfo[];
  readonly loadMs: number;
  /** Why the runtime of first choice does not run this model, when another one does. */
  readonly refusal?: string;
}

export interface LayerTime {
  /** Node or operator as the runtime names it; empty when it cannot be mapped. */
  readonly name: string;
  readonly op: string;
  /** Place of the operator among the nodes of the main graph, when the runtime knows it. */
  readonly node?: number;
  /** Milliseconds per inference, the median over the runs. */
  readonly ms: number;
  readonly provider: string;
}

/** One loaded model in a runner process. Every call rejects with `KerfError('runtime-crashed')` if the process dies. */
export interface Session {
  readonly info: SessionInfo;
  run(feeds: Tensors): Promise<Tensors>;
  /** Per-layer times over `runs` inferences. */
  profile(feeds: Tensors, runs: number): Promise<readonly LayerTime[]>;
  close(): Promise<void>;
}

/**
 * A forked process that holds inference sessions. Inference blocks and can crash, so it never runs elsewhere;
 * `kill` is the only way to cancel a running inference.
 */
export interface Runner {
  /** Starts the process when there is none: after a crash or a `kill`, the next `open` works again. */
  open(modelPath: string, options: SessionOptions): Promise<Session>;
  /**
   * Wall-clock milliseconds of each inference; with several sessions they take turns, run by run, so that a busy
   * machine disturbs all alike. Warm-up runs are not returned.
   */
  time(
    jobs: readonly { readonly session: Session; readonly feeds: Tensors }[],
    options: { readonly warmup: number; readonly runs: number },
  ): Promise<readonly Float64Array[]>;
  /** Peak resident set of the process so far, bytes. */
  peakRss(): Promise<number>;
  kill(): void;
}
