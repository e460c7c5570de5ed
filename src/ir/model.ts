import type { Bytes } from './bytes.ts';
import type { Tensor } from './tensor.ts';
import type { ValueType } from './types.ts';

export type Dialect = 'onnx' | 'tflite';

/** Identifies a value within its graph. ONNX: the value's name. TFLite: the tensor's name, made unique. */
export type ValueId = string;
/** Identifies a node within the whole model, bodies and functions included; stable across edits that keep the node. */
export type NodeId = string;

/** TFLite tensor quantization: real = scale * (q - zeroPoint), per tensor or along `axis`. */
export interface Quantization {
  readonly scale: Float32Array;
  readonly zeroPoint: readonly number[];
  /** Meaningful when there is more than one scale. */
  readonly axis: number;
  readonly min?: Float32Array;
  readonly max?: Float32Array;
  /** Blockwise and custom details, opaque to everyone but the codec. */
  readonly details?: object;
  /** Constants that the details refer to: scales of blocks. No node mentions them. */
  readonly tensors?: readonly ValueId[];
}

/** A tensor that flows along edges, or a constant. */
export interface Value {
  readonly id: ValueId;
  readonly name: string;
  /** The declared type; what inference adds is kept apart, in `analysis/`. */
  readonly type?: ValueType;
  readonly constant?: Tensor;
  readonly quantization?: Quantization;
  /** TFLite `shape_signature`: -1 marks a dimension that may be resized. */
  readonly signature?: readonly number[];
  /** TFLite variable tensor (state kept between invocations). */
  readonly variable?: boolean;
  /** Fields of the file format that the IR does not model; opaque to everyone but the codec. */
  readonly extra?: object;
}

export interface Node {
  readonly id: NodeId;
  /** The stored name; TFLite operators have none. */
  readonly name: string;
  /** `Conv`, `CONV_2D`; a TFLite custom operator has its custom code here and domain `custom`. */
  readonly op: string;
  /** ONNX operator domain, '' for the default one; TFLite: '' or 'custom'. */
  readonly domain: string;
  /** TFLite operator version. ONNX versions follow from the model's opset imports. */
  readonly version?: number;
  /** ONNX function overload. */
  readonly overload?: string;
  /** `null` marks an omitted optional input. */
  readonly inputs: readonly (ValueId | null)[];
  readonly outputs: readonly (ValueId | null)[];
  readonly attributes: ReadonlyMap<string, Attribute>;
  /** TFLite scratch tensors of recurrent operators. */
  readonly intermediates?: readonly ValueId[];
  readonly extra?: object;
}

/** Nodes are in stored order, which is the execution order. */
export interface Graph {
  readonly name: string;
  /** As stored; old ONNX files list initializers here too (see `feedsOf`). */
  readonly inputs: readonly ValueId[];
  readonly outputs: readonly ValueId[];
  readonly nodes: readonly Node[];
  readonly values: ReadonlyMap<ValueId, Value>;
  readonly extra?: object;
}

/** An ONNX model-local function. */
export interface FunctionDef {
  readonly domain: string;
  readonly name: string;
  readonly overload: string;
  readonly attributes: readonly string[];
  readonly defaults: ReadonlyMap<string, Attribute>;
  readonly opsets: ReadonlyMap<string, number>;
  /** Inputs, outputs and nodes of the body. */
  readonly graph: Graph;
  readonly extra?: object;
}

interface ModelBase {
  /** `graphs[0]` is the main graph. ONNX has one (bodies hang on attributes); TFLite has all its subgraphs here. */
  readonly graphs: readonly [Graph, ...Graph[]];
  readonly extra?: object;
}

export interface OnnxModel extends ModelBase {
  readonly dialect: 'onnx';
  readonly irVersion: number;
  /** Domain to version; the default domain is ''. */
  readonly opsets: ReadonlyMap<string, number>;
  readonly producerName: string;
  readonly producerVersion: string;
  readonly metadata: readonly (readonly [string, string])[];
  readonly functions: readonly FunctionDef[];
}

export interface TfliteSignature {
  readonly key: string;
  readonly graph: number;
  readonly inputs: readonly (readonly [string, ValueId])[];
  readonly outputs: readonly (readonly [string, ValueId])[];
}

export interface TfliteModel extends ModelBase {
  readonly dialect: 'tflite';
  readonly version: number;
  readonly description: string;
  readonly metadata: readonly { readonly name: string; readonly data: Bytes }[];
  readonly signatures: readonly TfliteSignature[];
}

export type Model = OnnxModel | TfliteModel;

/** The graph's inputs that a caller must feed: those without a constant. */
export function feedsOf(graph: Graph): readonly Value[] {
  return graph.inputs
    .map((id) => graph.values.get(id))
    .filter((value): value is Value => value !== undefined && value.constant === undefined);
}

/** A model of the same dialect with another main graph. */
export function withMainGraph<M extends Model>(model: M, graph: Graph): M {
  return graph === model.graphs[0] ? model : { ...model, graphs: [graph, ...model.graphs.slice(1)] };
}

/**
 * An attribute of a node. Integers are numbers where they are safe and bigints beyond. `enum` and `bool` occur in
 * TFLite option tables only; `ref` is an ONNX function's reference to its caller's attribute.
 */
export type Attribute =
  | { readonly kind: 'int'; readonly value: number | bigint }
  | { readonly kind: 'float'; readonly value: number }
  | { readonly kind: 'bool'; readonly value: boolean }
  | { readonly kind: 'enum'; readonly value: number; readonly name: string }
  | { readonly kind: 'string'; readonly value: Uint8Array }
  | { readonly kind: 'bytes'; readonly value: Bytes }
  | { readonly kind: 'tensor'; readonly value: Tensor }
  | { readonly kind: 'graph'; readonly value: Graph }
  | { readonly kind: 'type'; readonly value: ValueType }
  | { readonly kind: 'ints'; readonly value: readonly (number | bigint)[] }
  | { readonly kind: 'floats'; readonly value: readonly number[] }
  | { readonly kind: 'strings'; readonly value: readonly Uint8Array[] }
  | { readonly kind: 'tensors'; readonly value: readonly Tensor[] }
  | { readonly kind: 'graphs'; readonly value: readonly Graph[] }
  | { readonly kind: 'types'; readonly value: readonly ValueType[] }
  | { readonly kind: 'ref'; readonly value: string }
  | { readonly kind: 'opaque'; readonly value: object };
