import type { Dialect, Graph, Model, Node } from '../ir/model.ts';
import type { Tensor } from '../ir/tensor.ts';
import type { Dim, Shape, ValueType } from '../ir/types.ts';
import type { ChannelFlow } from './flow/flow.ts';

/** Colour and grouping of operators in the editor, and op classes of the latency estimator. */
export type OpFamily =
  | 'convolution'
  | 'matmul'
  | 'recurrent'
  | 'attention'
  | 'normalization'
  | 'activation'
  | 'elementwise'
  | 'pooling'
  | 'reduction'
  | 'movement'
  | 'shape'
  | 'quantization'
  | 'control'
  | 'constant'
  | 'other';

/** A weight among a node's inputs, and how its axes relate to channels. */
export interface WeightRole {
  readonly input: number;
  readonly kind: 'conv' | 'depthwise' | 'conv-transpose' | 'matmul' | 'recurrent' | 'embedding';
  /** Axis of the weight that indexes output channels: the per-channel quantization axis. */
  readonly outputAxis: number;
  /** Axis that indexes input channels (per group for grouped convolutions); absent for depthwise. */
  readonly inputAxis?: number;
  /** Input index of the bias, whether or not it is present. */
  readonly bias?: number;
  /** Input index of the activation the weight meets. */
  readonly activation: number;
}

/** What inference knows of one value. */
export interface Known {
  readonly type?: ValueType;
  /** Content of small integer tensors (shape arithmetic), row-major; elements may be symbolic or unknown. */
  readonly content?: readonly Dim[];
  readonly constant?: Tensor;
  /** Elements of a sequence whose length is known. */
  readonly elements?: readonly Known[];
}

/** What a rule may look at. Types of inputs and outputs, never weight bytes beyond small integer constants. */
export interface OpContext {
  readonly node: Node;
  /** Rules that look at the whole model are asked again after every edit. */
  readonly model: Model;
  /** ONNX: the imported version of the node's domain. TFLite: the operator's version. */
  readonly version: number;
  input(index: number): Known;
  /** The type that the file declares for an output. */
  declared(index: number): ValueType | undefined;
  /** Shape of an input when its rank is known. */
  shape(index: number): Shape | undefined;
  /** Runs inference on a nested body with these input types; gives its output types. */
  inferBody(body: Graph, inputs: readonly Known[]): readonly Known[];
}

export interface CostContext extends OpContext {
  output(index: number): Known;
  /** Arithmetic of one run of a nested body or called subgraph, with the types of its last `inferBody`. */
  bodyCost(body: Graph): OpCost;
}

/** Arithmetic of one node for one inference. `undefined` means unknown, never 0. */
export interface OpCost {
  /** Multiply-accumulates of Conv, Gemm, MatMul, attention and recurrent kernels. */
  readonly macs: number | undefined;
  /** Other arithmetic: elementwise and reduction work. FLOPs are 2 x MACs + this. */
  readonly otherOps: number | undefined;
  /** How `macs` or `otherOps` came about, for people: "32·32·16 outputs × 3·3·3 taps". */
  readonly formula: string;
}

/** What an operator means. An operator without an entry in the registry is unknown. */
export interface Operator {
  readonly dialect: Dialect;
  readonly domain: string;
  readonly name: string;
  readonly family: OpFamily;
  /** One `Known` per output; an entry without `type` is unresolved. */
  infer(context: OpContext): readonly Known[];
  /** Absent for operators that only move or reinterpret data. */
  cost?(context: CostContext): OpCost;
  weights?(node: Node, model: Model): readonly WeightRole[];
  /** Inputs that configure the operator (scales, limits, ratios, padding values): constants there are not weights. */
  readonly settings?: readonly number[];
  /** Which indices of the operands' axes belong together; without it nothing that the operator touches can go. */
  readonly channels?: ChannelFlow;
  /** The output may share the input's memory without copying (Reshape, Identity). */
  readonly view?: true;
  /** The output may overwrite the first input when that dies here (Relu, Add). */
  readonly inPlace?: true;
}
