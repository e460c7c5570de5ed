import type { DType } from '../../ir/dtype.ts';
import type { EmscriptenModule } from './wasm.ts';

// The part of LiteRT's own bindings that is used; its published wrapper refuses all but three element types.

interface Vector<T> {
  size(): number;
  get(index: number): T;
}

export interface Deletable {
  delete(): void;
}

export interface TensorType extends Deletable {
  elementType(): { readonly value: number };
  layout(): { dimensions(): Vector<number> };
  /** Throws when a dimension is free. */
  bytes(): number;
}

export interface TensorBuffer extends Deletable {
  /** Address of the data in the module's memory. */
  lock(mode: object): number;
  unlock(): void;
  packedSize(): number;
  tensorType(): TensorType;
}

export interface LitertModel extends Deletable {
  getSignature(index: number): { inputNames(): Vector<string>; outputNames(): Vector<string> };
  getInputTensorType(signature: number, index: number): TensorType;
  getOutputTensorType(signature: number, index: number): TensorType;
}

export interface CompiledModel extends Deletable {
  /** Whether XNNPACK runs every operator. */
  isFullyAccelerated(): boolean;
  /** Sizes of the inputs are not checked: a wrong one reads out of bounds and ruins the instance. */
  run(signature: number, inputs: readonly TensorBuffer[]): TensorBuffer[] | Promise<TensorBuffer[]>;
}

export interface LitertModule extends EmscriptenModule {
  setupLogging(): void;
  readonly LiteRtEnvironment: { create(device: null): Deletable };
  loadModel(environment: Deletable, pointer: number, bytes: number): LitertModel;
  compileModel(environment: Deletable, model: LitertModel, options: object): Promise<CompiledModel>;
  readonly LiteRtTensorBuffer: {
    createManaged(environment: Deletable, kind: object, type: TensorType, bytes: number): TensorBuffer;
  };
  readonly LiteRtTensorBufferType: { readonly HOST_MEMORY: object };
  readonly LiteRtTensorBufferLockMode: { readonly READ: object; readonly WRITE: object };
  readonly LiteRtLayout: { create(dims: Deletable): Deletable };
  readonly LiteRtRankedTensorType: { create(element: object, layout: Deletable): TensorType };
  readonly VectorInt32: new () => Deletable & { push_back(item: number): void };
}

/** `litert::ElementType`, whose numbers differ from the schema's. */
const elementTypes: Readonly<Record<number, DType>> = {
  1: 'float32',
  2: 'int32',
  3: 'uint8',
  4: 'int64',
  6: 'bool',
  7: 'int16',
  8: 'complex64',
  9: 'int8',
  10: 'float16',
  11: 'float64',
  12: 'complex128',
  13: 'uint64',
  16: 'uint32',
  17: 'uint16',
  18: 'int4',
  19: 'bfloat16',
};

export function elementTypeOf(type: TensorType): DType {
  return elementTypes[type.elementType().value] ?? 'undefined';
}

/** Dimensions as the runtime will use them: it cannot resize, so a free dimension is 1. */
export function dimsOf(type: TensorType): readonly number[] {
  return listOf(type.layout().dimensions()).map((dim) => Math.max(dim, 1));
}

export function listOf<T>(vector: Vector<T>): readonly T[] {
  return Array.from({ length: vector.size() }, (_, index) => vector.get(index));
}
