import type { DType } from '../../../ir/dtype.ts';
import { KerfError } from '../../../ir/errors.ts';
import type { Graph, Node, Quantization, Value, ValueId } from '../../../ir/model.ts';
import { floatTensor, intTensor, readFloats, readIntegers } from '../../../ir/numbers.ts';
import type { Tensor } from '../../../ir/tensor.ts';
import { isStatic } from '../../../ir/types.ts';
import { dataTypeNumber } from '../../../ir/onnxDataTypes.ts';
import { transposed } from '../../support/constants.ts';
import type { OnnxBuilder } from './builder.ts';
import type { Storage } from './storage.ts';
import { storageOf, storedConstant } from './storage.ts';
import { declared, quantizationOf, realsOf, wholeBytes } from './values.ts';

/** Builds the ONNX form of one operator; gives its outputs, before any fused activation and quantization. */
export type Rule = (emission: Emission) => ValueId | readonly ValueId[];

/** What becomes of the whole model while its operators are converted. */
export interface Conversion {
  readonly builder: OnnxBuilder;
  readonly graph: Graph;
  /** Where each TFLite tensor is in ONNX: real numbers for quantized ones, otherwise its own type. */
  readonly placed: Map<ValueId, ValueId>;
  /** The codes of quantized tensors, as they are stored inside. A rule that computes codes puts its outputs here. */
  readonly codes: Map<ValueId, ValueId>;
  /** Those of them that a rule made, through another scale than the tensor's. */
  readonly rounded: Set<ValueId>;
  /** States that became inputs, by tensor, and the outputs that give their next values. */
  readonly states: Map<ValueId, { readonly input: ValueId; readonly next?: ValueId }>;
  readonly notes: Set<string>;
  /** Emits a subgraph here, of real numbers that it takes, and gives the real numbers that it makes. */
  readonly inline: (graph: number, given: readonly ValueId[]) => readonly ValueId[];
}

/** What the rule of one TFLite operator sees. Axes keep TFLite's order. */
export class Emission {
  readonly node: Node;
  readonly builder: OnnxBuilder;
  readonly #conversion: Conversion;

  constructor(node: Node, conversion: Conversion) {
    this.node = node;
    this.builder = conversion.builder;
    this.#conversion = conversion;
  }

  /** Base for the names of new values: the first output's. */
  get name(): string {
    return this.node.outputs[0] as ValueId;
  }

  value(index: number): Value {
    const id = this.node.inputs[index];
    const value = id == null ? undefined : this.#conversion.graph.values.get(id);
    return value ?? this.refuse(`input ${index} is missing`);
  }

  output(index = 0): Value {
    const id = this.node.outputs[index];
    const value = id == null ? undefined : this.#conversion.graph.values.get(id);
    return value ?? this.refuse(`output ${index} is missing`);
  }

  /** A scratch tensor of a recurrent operator, which may carry quantization only. */
  intermediate(index: number): Value | undefined {
    const id = this.node.intermediates?.[index];
    return id === undefined ? undefined : this.#conversion.graph.values.get(id);
  }

  has(index: number): boolean {
    return this.node.inputs[index] != null;
  }

  /** The codes of an input that some layer stored, and how; `undefined` for others. */
  codes(index: number): { readonly id: ValueId; readonly storage: Storage } | undefined {
    const value = this.value(index);
    const [id, quantization] = [this.#conversion.codes.get(value.id), quantizationOf(value)];
    if (id === undefined || quantization === undefined) return undefined;
    return { id, storage: storageOf(this.dtypeOf(value), quantization) };
  }

  /** How the codes of an output are stored; `undefined` when it is not quantized. */
  storage(index = 0): Storage | undefined {
    const value = this.output(index);
    const quantization = quantizationOf(value);
    return quantization && storageOf(this.dtypeOf(value), quantization);
  }

  /** Gives the codes of an output, instead of real numbers that would be rounded. */
  setCodes(codes: ValueId, index = 0): void {
    const { id } = this.output(index);
    this.#conversion.codes.set(id, codes);
    this.#conversion.rounded.add(id);
  }

  isConstant(index: number): boolean {
    return this.has(index) && this.value(index).constant !== undefined;
  }

  shapeOf(value: Value): readonly number[] {
    const shape = value.type?.kind === 'tensor' ? value.type.shape : undefined;
    return isStatic(shape) ? shape : this.refuse(`the shape of '${value.id}' is not static`);
  }

  dtypeOf(value: Value): DType {
    return value.type?.kind === 'tensor' ? value.type.dtype : this.refuse(`'${value.id}' is no tensor`);
  }

  /** An input: real numbers for a quantized one; constants become initializers. */
  operand(index: number): ValueId {
    const value = this.value(index);
    const { placed } = this.#conversion;
    const known = placed.get(value.id);
    if (known !== undefined) return known;
    const tensor = value.constant ?? this.refuse(`'${value.id}' is not produced by any layer`);
    const made = this.#constant(value, tensor);
    placed.set(value.id, made);
    return made;
  }

  /** An input of integers as ONNX wants shapes and indices: int64. */
  int64(index: number): ValueId {
    if (this.isConstant(index)) {
      const { dims } = this.value(index).constant as Tensor;
      return this.builder.constant(
        `${this.name}_input${index}`,
        intTensor('int64', dims, this.integers(index)),
      );
    }
    return this.cast(this.operand(index), 'int64');
  }

  integers(index: number): number[] {
    return readIntegers(this.value(index).constant ?? this.refuse(`input ${index} must be a constant`));
  }

  floats(index: number): Float32Array {
    return readFloats(this.value(index).constant ?? this.refuse(`input ${index} must be a constant`));
  }

  /** Real numbers of a constant, quantized or not. */
  reals(index: number): Float32Array {
    const value = this.value(index);
    const stored = this.floats(index);
    const quantization = quantizationOf(value);
    return quantization === undefined ? stored : realsOf(stored, value.constant as Tensor, quantization);
  }

  /** A weight with its axes permuted; `axis` is the channel axis after that. */
  weights(index: number, order: readonly number[], axis: number): ValueId {
    const value = this.value(index);
    if (value.constant === undefined)
      return this.emit('Transpose', [this.operand(index)], { perm: { kind: 'ints', value: order } });
    const tensor = wholeBytes(value.constant);
    const moved = transposed(tensor, order);
    const stored = this.builder.constant(`${value.id}_onnx`, moved);
    const quantization = quantizationOf(value);
    return quantization === undefined
      ? this.#asFloat(stored, moved.dtype)
      : this.builder.dequantize(stored, value.id, moved.dtype, quantization, axis);
  }

  /** A node whose first output is named after the operator. */
  emit(
    op: string,
    inputs: readonly (ValueId | null)[],
    attributes: Parameters<OnnxBuilder['emit']>[3] = {},
  ): ValueId {
    return this.builder.emit(op, inputs, `${this.name}_${op.toLowerCase()}`, attributes);
  }

  scalar(value: number): ValueId {
    return this.builder.constant(`${this.name}_scalar`, floatTensor([], Float32Array.of(value)));
  }

  cast(value: ValueId, to: DType): ValueId {
    return this.emit('Cast', [value], { to: { kind: 'int', value: dataTypeNumber(to) } });
  }

  reshape(value: ValueId, dims: readonly number[]): ValueId {
    return this.emit('Reshape', [value, this.builder.int64(`${this.name}_dims`, dims)]);
  }

  /** The state that a variable tensor holds before this run: an input of the ONNX model, in real numbers. */
  state(index: number): ValueId {
    const value = this.value(index);
    const { states, builder, notes } = this.#conversion;
    const known = states.get(value.id);
    if (known !== undefined) return known.next ?? known.input;
    const input = builder.declare(value.id, 'float32', this.shapeOf(value));
    states.set(value.id, { input });
    notes.add('states are inputs now, and outputs named …_next: feed zeros first, then what came out');
    return input;
  }

  /** What a state is after this run, in real numbers. */
  nextState(index: number, next: ValueId): void {
    const { id } = this.value(index);
    const { states } = this.#conversion;
    const known = states.get(id) ?? this.refuse(`'${id}' is written before it is read`);
    states.set(id, { ...known, next });
  }

  /** Whether nothing but operators of this kind reads a value. */
  onlyReadBy(id: ValueId, op: string): boolean {
    const { graph } = this.#conversion;
    return (
      !graph.outputs.includes(id) && graph.nodes.every((node) => node.op === op || !node.inputs.includes(id))
    );
  }

  /** Emits a subgraph here; see `Conversion`. */
  inline(graph: number, given: readonly ValueId[]): readonly ValueId[] {
    return this.#conversion.inline(graph, given);
  }

  /** The type that the real numbers of a tensor have. */
  realType(value: Value): { dtype: DType; shape: readonly number[] } {
    const { dtype, shape } = declared(value);
    return { dtype: quantizationOf(value) === undefined ? dtype : 'float32', shape };
  }

  note(text: string): void {
    this.#conversion.notes.add(text);
  }

  refuse(why: string): never {
    const message = `${this.node.op} cannot be converted: ${why}`;
    throw new KerfError('unsupported', message, { place: `layer '${this.node.id}'` });
  }

  #constant(value: Value, tensor: Tensor): ValueId {
    const { dtype, dims, data } = tensor;
    // Biases beside 16-bit activations, which DequantizeLinear does not know.
    if (dtype === 'int64' && (value.quantization?.scale.length ?? 0) > 0) {
      const reals = realsOf(readFloats(tensor), tensor, value.quantization as Quantization);
      return this.builder.constant(value.id, floatTensor(dims, reals));
    }
    const quantization = quantizationOf(value);
    if (quantization === undefined)
      return this.#asFloat(this.builder.constant(value.id, { dtype, dims, data }), dtype);
    // Weights of layers that give floats keep their codes; what stands beside activations is stored as they are.
    const storage = this.storage() === undefined ? { dtype, quantization } : storageOf(dtype, quantization);
    const codes = storage.dtype === dtype ? wholeBytes({ dtype, dims, data }) : storedConstant(tensor);
    const stored = this.builder.constant(value.id, codes);
    if (storage.dtype === 'uint8') this.#conversion.codes.set(value.id, stored);
    return this.builder.dequantize(stored, value.id, codes.dtype, storage.quantization);
  }

  #asFloat(stored: ValueId, dtype: DType): ValueId {
    return dtype === 'float16' ? this.cast(stored, 'float32') : stored;
  }
}
