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
  /** Integer inputs and outputs that stand for real numbers: real = scale * (q - zeroPoint). */
  readonly quantization?: { readonly scale: number; readonly zeroPoint: number };
}

type RuntimeId = 'onnxruntime' | 'litert' | 'tflite';

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
 * One session in a chain that runs inside the runner process. `feed` names, for each input, the kept tensor it takes;
 * `keep` names, for each output, what it is kept as. What a stage keeps only for the stages behind it is listed in
 * `passing` and forgotten after the tag.
 */
export interface ReplayStage {
  readonly session: Session;
  readonly feed: Readonly<Record<string, string>>;
  readonly keep: Readonly<Record<string, string>>;
  readonly passing?: boolean;
  /** Outputs with the kept tensors they may equal byte for byte: when all do, the chain ends there for that tag. */
  readonly unless?: Readonly<Record<string, string>>;
}

/**
 * A forked process that holds inference sessions. Inference blocks and can crash, so it never runs elsewhere;
 * `kill` is the only way to cancel a running inference.
 */
export interface Runner {
  /** Starts the process and loads ONNX Runtime, so that neither has to be waited for later. */
  warm(): Promise<void>;
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
  /** Keeps tensors in the process under `name` and `tag`, so that many runs can be fed without sending them again. */
  keep(tag: string, tensors: Tensors): Promise<void>;
  /** Forgets the kept tensors of these names, or all. */
  forget(names?: readonly string[]): Promise<void>;
  /**
   * Runs the chain once per tag on kept tensors. Gives the outputs of the last stage that are not kept, or null where a
   * stage made nothing new (see `unless`).
   */
  replay(stages: readonly ReplayStage[], tags: readonly string[]): Promise<readonly (Tensors | null)[]>;
  /** Peak resident set of the process so far, bytes. */
  peakRss(): Promise<number>;
  kill(): void;
}
