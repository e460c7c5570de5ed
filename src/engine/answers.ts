import type { NodeId, ValueId, Dialect } from '../ir/model.ts';
import type { Comparison } from '../analysis/comparison.ts';
import type { Unresolved } from '../analysis/report.ts';
import type { Damage } from '../ir/errors.ts';
import type { Finding } from '../rules/rule.ts';

export interface TensorSummary {
  readonly name: string;
  /** "float32[1×3×32×32]" or "unknown". */
  readonly type: string;
  /** Free dimensions are their symbol's name or null. */
  readonly shape: readonly (number | string | null)[] | null;
  readonly dtype: string;
}

/** `inspect`: numbers that are unknown are null, never 0. */
export interface InspectReport extends InspectFacts {
  readonly format: Dialect;
  readonly producer: string;
  /** ONNX: version of the default domain, null when the model imports none. TFLite: the schema version. */
  readonly opset: number | null;
  readonly fileBytes: number;
  readonly weightBytes: number;
  readonly params: number;
  readonly macs: number | null;
  readonly flops: number | null;
  readonly peakActivationBytes: number | null;
  /** Share of weight elements that are exactly zero; null when weights were not read. */
  readonly sparsity: number | null;
  readonly unresolved: readonly Unresolved[];
  readonly freeDimensions: readonly string[];
  readonly inputs: readonly TensorSummary[];
  readonly outputs: readonly TensorSummary[];
  readonly layers: readonly LayerRow[];
  readonly damage: readonly Damage[];
}

export interface LayerRow {
  readonly id: string;
  readonly name: string;
  readonly op: string;
  readonly params: number;
  readonly macs: number | null;
  readonly flops: number | null;
  readonly weightBytes: number;
  readonly activationBytes: number | null;
  readonly outputShapes: readonly string[];
}

export interface Headline {
  readonly fileBytes: number;
  readonly params: number;
  readonly macs: number | null;
}

export interface ApplyReport {
  readonly before: Headline;
  readonly after: Headline;
  readonly changed: readonly string[];
  readonly notes: readonly string[];
  readonly seconds: number;
}

export interface DiffReport extends Comparison {
  readonly before: Headline;
  readonly after: Headline;
}

export interface NodeDetails {
  readonly id: string;
  readonly name: string;
  readonly op: string;
  readonly domain: string;
  /** Number of the graph that holds the layer, for `tensor` and its kin; 0 is the main graph. */
  readonly graph: number;
  readonly cost: LayerRow & { readonly formula: string; readonly inputBytes: number | null };
  readonly attributes: readonly { readonly name: string; readonly value: string }[];
  readonly inputs: readonly ValueDetails[];
  readonly outputs: readonly ValueDetails[];
  /** Ids of passes that can work on this layer alone. */
  readonly passes: readonly string[];
  readonly findings: readonly Finding[];
}

export interface ValueDetails {
  readonly name: string;
  /** The value's id in its graph, for `tensor`. */
  readonly value: string;
  readonly role: string;
  readonly type: string;
  readonly constant: boolean;
  readonly bytes: number | null;
  readonly quantization: string | null;
  /** Layers at the other end. */
  readonly peers: readonly string[];
}

/** What a file says of itself, and what its layout in memory and on disk is. */
export interface InspectFacts {
  /** ONNX only. */
  readonly irVersion: number | null;
  /** ONNX: version of every imported domain; the default one is ''. */
  readonly opsets: Readonly<Record<string, number>>;
  readonly metadata: readonly { readonly name: string; readonly value: string }[];
  readonly signatures: readonly {
    readonly key: string;
    readonly inputs: readonly string[];
    readonly outputs: readonly string[];
  }[];
  readonly quantization: QuantizationFacts;
  readonly alignment: AlignmentFacts;
  readonly memory: MemoryFacts | null;
  /** Estimate for TensorFlow Lite Micro; null for other files. `flashBytes` is the file's, without the runtime's code. */
  readonly micro: MicroFacts | null;
  /** Layers inside bodies, called functions and subgraphs, for one run of each. */
  readonly bodies: readonly {
    readonly layer: NodeId;
    readonly graph: string;
    readonly layers: readonly LayerRow[];
  }[];
}

export interface QuantizationFacts {
  /** TFLite tensors with scales, and the operands of ONNX's quantizing operators. */
  readonly perTensor: number;
  readonly perChannel: number;
  readonly blockwise: number;
  readonly constantTypes: Readonly<Record<string, number>>;
}

export interface AlignmentFacts {
  /** What the format asks for, in bytes: 16 for TFLite buffers, 4096 for external data of ONNX. */
  readonly wanted: number;
  readonly constants: number;
  readonly misaligned: number;
}

export interface MemoryFacts {
  readonly arenaBytes: number;
  /** The largest sum of live bytes: no arena can be smaller. */
  readonly lowerBoundBytes: number;
  readonly peakStep: number;
  readonly peakLayer: NodeId | null;
  /** What is alive at the peak, the largest first. */
  readonly atPeak: readonly { readonly value: ValueId; readonly bytes: number }[];
  /** Live bytes at each step of the execution order. */
  readonly timeline: readonly number[];
}

interface MicroFacts {
  readonly tensorBytes: number;
  readonly persistentBytes: number;
  readonly arenaBytes: number;
  readonly alignment: number;
  readonly flashBytes: number;
}
