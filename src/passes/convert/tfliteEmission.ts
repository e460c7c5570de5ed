import { memoryBytes } from '../../ir/bytes.ts';
import { KerfError } from '../../ir/errors.ts';
import type { DType } from '../../ir/dtype.ts';
import type { Graph, Node, Value, ValueId } from '../../ir/model.ts';
import { readFloats, readIntegers } from '../../ir/numbers.ts';
import type { Tensor } from '../../ir/tensor.ts';
import { isStatic } from '../../ir/types.ts';
import type { OnnxBuilder } from './onnxBuilder.ts';

/** What the rule of one TFLite operator sees. Values are float in ONNX and keep TFLite's axis order. */
export class TfliteEmission {
  readonly node: Node;
  readonly builder: OnnxBuilder;
  readonly #graph: Graph;
  readonly #placed: Map<ValueId, ValueId>;

  constructor(node: Node, builder: OnnxBuilder, graph: Graph, placed: Map<ValueId, ValueId>) {
    this.node = node;
    this.builder = builder;
    this.#graph = graph;
    this.#placed = placed;
  }

  get name(): string {
    return this.node.outputs[0] as ValueId;
  }

  value(index: number): Value {
    const id = this.node.inputs[index];
    const value = id == null ? undefined : this.#graph.values.get(id);
    return value ?? this.refuse(`input ${index} is missing`);
  }

  output(): Value {
    return this.#graph.values.get(this.name) ?? this.refuse('its output is missing');
  }

  has(index: number): boolean {
    return this.node.inputs[index] != null;
  }

  shapeOf(value: Value): readonly number[] {
    const shape = value.type?.kind === 'tensor' ? value.type.shape : undefined;
    return isStatic(shape) ? shape : this.refuse(`the shape of '${value.id}' is not static`);
  }

  /** The float form of an input; constants become initializers, quantized ones behind a DequantizeLinear. */
  float(index: number): ValueId {
    const value = this.value(index);
    const placed = this.#placed.get(value.id);
    if (placed !== undefined) return placed;
    const tensor = value.constant ?? this.refuse(`'${value.id}' is not produced by any layer`);
    const made = this.#floatConstant(value, tensor);
    this.#placed.set(value.id, made);
    return made;
  }

  integers(index: number): number[] {
    return readIntegers(this.value(index).constant ?? this.refuse(`input ${index} must be a constant`));
  }

  floats(index: number): Float32Array {
    return readFloats(this.value(index).constant ?? this.refuse(`input ${index} must be a constant`));
  }

  /** A weight with its axes permuted; `axis` is the channel axis after that. */
  weights(index: number, order: readonly number[], axis: number, suffix = 'onnx'): ValueId {
    const value = this.value(index);
    const tensor = value.constant ?? this.refuse('its weights are not constant');
    const moved = transposed(tensor, order);
    const stored = this.builder.constant(`${value.id}_${suffix}`, moved);
    const { quantization } = value;
    if (quantization === undefined || quantization.scale.length === 0)
      return this.#asFloat(stored, moved.dtype, value.id);
    return this.builder.dequantize(stored, value.id, moved.dtype, quantization, axis);
  }

  refuse(why: string): never {
    const message = `${this.node.op} cannot be converted: ${why}`;
    throw new KerfError('unsupported', message, { place: `layer '${this.node.id}'` });
  }

  #floatConstant(value: Value, tensor: Tensor): ValueId {
    const stored = this.builder.constant(value.id, {
      dtype: tensor.dtype,
      dims: tensor.dims,
      data: tensor.data,
    });
    const { quantization } = value;
    if (quantization !== undefined && quantization.scale.length > 0) {
      return this.builder.dequantize(stored, value.id, tensor.dtype, quantization);
    }
    return this.#asFloat(stored, tensor.dtype, value.id);
  }

  #asFloat(stored: ValueId, dtype: DType, name: string): ValueId {
    if (dtype !== 'float16') return stored;
    return this.builder.emit('Cast', [stored], `${name}_float`, { to: { kind: 'int', value: 1 } });
  }
}

/** A tensor with its axes in another order; whole bytes per element. */
function transposed(tensor: Tensor, order: readonly number[]): Tensor {
  const { dtype } = tensor;
  const source = tensor.data.read();
  const count = tensor.dims.reduce((product, dim) => product * dim, 1);
  const width = source.length / count;
  if (!Number.isInteger(width))
    throw new KerfError('unsupported', `${dtype} weights are not covered by the conversion`);
  const dims = order.map((axis) => tensor.dims[axis] as number);
  const strides = tensor.dims.map((_, axis) =>
    tensor.dims.slice(axis + 1).reduce((product, dim) => product * dim, 1),
  );
  const moved = order.map((axis) => strides[axis] as number);
  const result = new Uint8Array(source.length);
  const index = dims.map(() => 0);
  for (let to = 0; to < count; to += 1) {
    const from = index.reduce((sum, each, axis) => sum + each * (moved[axis] as number), 0);
    result.set(source.subarray(from * width, (from + 1) * width), to * width);
    for (let axis = dims.length - 1; axis >= 0; axis -= 1) {
      index[axis] = (index[axis] as number) + 1;
      if ((index[axis] as number) < (dims[axis] as number)) break;
      index[axis] = 0;
    }
  }
  return { dtype, dims, data: memoryBytes(result) };
}
