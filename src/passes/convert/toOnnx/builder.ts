import type { Attribute, Graph, Node, OnnxModel, Quantization, Value, ValueId } from '../../../ir/model.ts';
import { attr } from '../../../ir/attribute.ts';
import type { DType } from '../../../ir/dtype.ts';
import { dataTypeNumber } from '../../../ir/onnxDataTypes.ts';
import { floatTensor, intTensor } from '../../../ir/numbers.ts';
import type { Tensor } from '../../../ir/tensor.ts';
import { tensorType } from '../../../ir/types.ts';

/** Stamped on all that needs no more: more runtimes load it. */
const plainOpset = { irVersion: 9, opset: 19 };
/** The first opset whose QuantizeLinear and DequantizeLinear take 16 and 4 bits. */
const wideOpset = { irVersion: 10, opset: 21 };
const plainTypes = new Set<DType>(['int8', 'uint8', 'int32']);

/**
 * Codes that QuantizeLinear does not know are written out. The largest float below 2^31 is 2147483520.
 */
const writtenOut: Partial<Record<DType, readonly [number, number]>> = {
  int32: [-2147483648, 2147483520],
};

interface Frame {
  readonly nodes: Node[];
  readonly values: Map<ValueId, Value>;
}

/** Builds an ONNX graph node by node. */
export class OnnxBuilder {
  /** The main graph, and the bodies that are being built, the innermost last. Names are unique in all of them. */
  readonly #frames: Frame[] = [{ nodes: [], values: new Map() }];
  readonly #names = new Set<ValueId>();
  readonly #shared = new Map<string, ValueId>();
  #stamp = plainOpset;

  /** A value with exactly this name, typed: an input or output of the graph. */
  declare(name: ValueId, dtype: DType, shape: readonly number[]): ValueId {
    this.#put({ id: name, name, type: tensorType(dtype, shape) });
    return name;
  }

  /** A body of If or Loop: `build` gives its inputs and outputs, which it declared. */
  body(
    name: string,
    build: () => { readonly inputs: readonly ValueId[]; readonly outputs: readonly ValueId[] },
  ): Graph {
    const frame: Frame = { nodes: [], values: new Map() };
    this.#frames.push(frame);
    const ends = build();
    this.#frames.pop();
    return { name, ...ends, ...frame };
  }

  get #frame(): Frame {
    return this.#frames.at(-1) as Frame;
  }

  #put(value: Value, frame = this.#frame): ValueId {
    frame.values.set(value.id, value);
    this.#names.add(value.id);
    return value.id;
  }

  emit(
    op: string,
    inputs: readonly (ValueId | null)[],
    name: string,
    attributes: Readonly<Record<string, Attribute>> = {},
  ): ValueId {
    return this.emitMany(op, inputs, [name], attributes)[0] as ValueId;
  }

  /** A node with several outputs. */
  emitMany(
    op: string,
    inputs: readonly (ValueId | null)[],
    names: readonly string[],
    attributes: Readonly<Record<string, Attribute>> = {},
  ): readonly ValueId[] {
    const outputs = names.map((name) => this.#fresh(name));
    const id = outputs[0] as ValueId;
    this.#frame.nodes.push({
      id,
      name: id,
      op,
      domain: '',
      inputs,
      outputs,
      attributes: new Map(Object.entries(attributes)),
    });
    return outputs;
  }

  constant(name: string, tensor: Tensor): ValueId {
    return this.#constant(name, tensor, this.#frame);
  }

  #constant(name: string, tensor: Tensor, frame: Frame): ValueId {
    const id = this.free(name);
    const type = tensorType(tensor.dtype, tensor.dims);
    return this.#put({ id, name: id, type, constant: tensor }, frame);
  }

  /** One constant for all who ask for it. */
  shared(name: string, make: () => Tensor): ValueId {
    const known = this.#shared.get(name);
    if (known !== undefined) return known;
    const made = this.#constant(name, make(), this.#frames[0] as Frame);
    this.#shared.set(name, made);
    return made;
  }

  int64(name: string, values: readonly number[]): ValueId {
    return this.constant(name, intTensor('int64', [values.length], values));
  }

  /** float -> stored integers, per tensor. */
  quantize(value: ValueId, name: string, dtype: DType, quantization: Quantization): ValueId {
    const codes = writtenOut[dtype];
    if (codes !== undefined) return this.#codes(value, name, dtype, quantization, codes);
    return this.emit(
      'QuantizeLinear',
      [value, ...this.#parameters(name, dtype, quantization)],
      `${name}_quantized`,
    );
  }

  /** Stored integers -> float; along `axis` when there are several scales. */
  dequantize(
    value: ValueId,
    name: string,
    dtype: DType,
    quantization: Quantization,
    axis = quantization.axis,
  ): ValueId {
    const attributes = quantization.scale.length > 1 ? { axis: attr.int(axis) } : {};
    return this.emit(
      'DequantizeLinear',
      [value, ...this.#parameters(name, dtype, quantization)],
      `${name}_float`,
      attributes,
    );
  }

  /** Names a value as a graph output. */
  output(value: ValueId, name: string, dtype: DType, shape: readonly number[]): ValueId {
    this.declare(name, dtype, shape);
    const id = this.free(`${name}_out`);
    this.#frame.nodes.push({
      id,
      name: id,
      op: 'Identity',
      domain: '',
      inputs: [value],
      outputs: [name],
      attributes: new Map(),
    });
    return name;
  }

  /** A name that nothing has yet: this one, or it with a number. */
  free(name: string): ValueId {
    let id = name;
    for (let suffix = 2; this.#names.has(id); suffix += 1) id = `${name}_${suffix}`;
    return id;
  }

  /** Reserves a name for a graph input or output. */
  reserve(name: ValueId): void {
    this.#put({ id: name, name });
  }

  finish(name: string, inputs: readonly ValueId[], outputs: readonly ValueId[]): OnnxModel {
    return {
      dialect: 'onnx',
      irVersion: this.#stamp.irVersion,
      opsets: new Map([['', this.#stamp.opset]]),
      producerName: 'kerf',
      producerVersion: '',
      metadata: [],
      functions: [],
      graphs: [{ name, inputs, outputs, ...this.#frame }],
    };
  }

  #codes(
    value: ValueId,
    name: string,
    dtype: DType,
    { scale, zeroPoint }: Quantization,
    [low, high]: readonly [number, number],
  ): ValueId {
    const scalar = (number: number) =>
      this.constant(`${name}_number`, floatTensor([], Float32Array.of(number)));
    const steps = this.emit('Div', [value, scalar(scale[0] as number)], `${name}_steps`);
    const whole = this.emit('Round', [steps], `${name}_rounded`);
    const shifted = this.emit('Add', [whole, scalar(zeroPoint[0] ?? 0)], `${name}_shifted`);
    const bounded = this.emit('Clip', [shifted, scalar(low), scalar(high)], `${name}_bounded`);
    return this.emit('Cast', [bounded], `${name}_quantized`, { to: attr.int(dataTypeNumber(dtype)) });
  }

  #parameters(name: string, dtype: DType, { scale, zeroPoint }: Quantization): [ValueId, ValueId] {
    if (!plainTypes.has(dtype)) this.#stamp = wideOpset;
    const dims = scale.length > 1 ? [scale.length] : [];
    const zeros = Array.from(scale, (_, i) => zeroPoint[zeroPoint.length > 1 ? i : 0] ?? 0);
    return [
      this.constant(`${name}_scale`, floatTensor(dims, Float32Array.from(scale))),
      this.constant(`${name}_zero_point`, intTensor(dtype, dims, zeros)),
    ];
  }

  #fresh(name: string): ValueId {
    const id = this.free(name);
    return this.#put({ id, name: id });
  }
}
