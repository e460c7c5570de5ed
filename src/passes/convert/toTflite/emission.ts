import { floatAttribute, intAttribute, intsAttribute } from '../../../ir/attribute.ts';
import type { DType } from '../../../ir/dtype.ts';
import { KerfError } from '../../../ir/errors.ts';
import type { Graph, Node, Quantization, ValueId } from '../../../ir/model.ts';
import { intTensor, readFloats, readIntegers } from '../../../ir/numbers.ts';
import type { Tensor } from '../../../ir/tensor.ts';
import { indexOf } from '../../../ir/walk.ts';
import { reshaped, transposed } from '../../support/constants.ts';
import type { Making, Placed, TfliteBuilder } from './builder.ts';

/** Builds the TFLite form of one ONNX operator; gives its outputs, axes in ONNX's order. */
export type Rule = (emission: Emission) => Placed | readonly Placed[];

/** Codes of a weight that was quantized in the ONNX file. */
export interface StoredCodes {
  readonly tensor: Tensor;
  readonly quantization: Quantization;
}

/** What becomes of the whole graph while its operators are converted. */
export interface Conversion {
  readonly graph: Graph;
  readonly builder: TfliteBuilder;
  /** Opset of the default domain. */
  readonly version: number;
  readonly placed: Map<ValueId, Placed>;
  readonly codes: ReadonlyMap<ValueId, StoredCodes>;
  shape(id: ValueId): readonly number[];
  dtype(id: ValueId): DType;
}

/** What the rule of one ONNX operator sees. */
export class Emission {
  readonly node: Node;
  readonly builder: TfliteBuilder;
  readonly version: number;
  readonly #conversion: Conversion;

  constructor(node: Node, conversion: Conversion) {
    this.node = node;
    this.builder = conversion.builder;
    this.version = conversion.version;
    this.#conversion = conversion;
  }

  /** The name of the first output, which the last operator of a rule takes over. */
  get name(): string {
    return this.node.outputs[0] as ValueId;
  }

  /** Shape of the first output. */
  get output(): readonly number[] {
    return this.shapeOut(0);
  }

  shapeOut(index: number): readonly number[] {
    return this.#conversion.shape(this.node.outputs[index] as ValueId);
  }

  shapeIn(index: number): readonly number[] {
    return this.constant(index)?.dims ?? this.#conversion.shape(this.#id(index));
  }

  has(index: number): boolean {
    return this.node.inputs[index] != null;
  }

  constant(index: number): Tensor | undefined {
    const id = this.node.inputs[index];
    return id == null ? undefined : this.#conversion.graph.values.get(id)?.constant;
  }

  /** An input; a constant becomes one of the TFLite graph, 64-bit integers in 32 bits. */
  operand(index: number): Placed {
    const id = this.#id(index);
    const { placed } = this.#conversion;
    const known = placed.get(id);
    if (known !== undefined) return known;
    const tensor = this.constant(index) ?? this.refuse(`'${id}' is not computed by any layer`);
    const narrow =
      tensor.dtype === 'int64' ? intTensor('int32', tensor.dims, saturated(readIntegers(tensor))) : tensor;
    const made = this.builder.constant(id, narrow);
    placed.set(id, made);
    return made;
  }

  floats(index: number): Float32Array {
    return readFloats(this.constant(index) ?? this.refuse(`input ${index} must be a constant`));
  }

  integers(index: number): number[] {
    return readIntegers(this.constant(index) ?? this.refuse(`input ${index} must be a constant`));
  }

  /** A list that is an attribute in old opsets and an input from version `since` on. */
  list(name: string, index: number, since: number): readonly number[] | undefined {
    if (this.version < since) return intsAttribute(this.node, name);
    return this.has(index) ? this.integers(index) : undefined;
  }

  /**
   * A constant weight with its axes in another order, and a height of 1 at axis 1 when `flat`. Codes of a quantized one
   * stay codes, with their scales on `axis`.
   */
  weight(index: number, order: readonly number[], axis: number, flat = false): Placed {
    const tensor = this.constant(index) ?? this.refuse('its weights are not constant');
    const stored = this.#conversion.codes.get(this.#id(index));
    const name = `${this.name}_weights`;
    const moved = transposed(stored?.tensor ?? tensor, order);
    const { dims } = moved;
    const shaped = flat ? reshaped(moved, [dims[0] as number, 1, ...dims.slice(1)]) : moved;
    return this.builder.constant(name, shaped, stored && { ...stored.quantization, axis });
  }

  /** Whether a weight comes as codes, which must not be multiplied. */
  hasCodes(index: number): boolean {
    return this.#conversion.codes.has(this.#id(index));
  }

  int(name: string, fallback: number): number {
    return intAttribute(this.node, name, fallback);
  }

  float(name: string, fallback: number): number {
    return floatAttribute(this.node, name, fallback);
  }

  ints(name: string): readonly number[] | undefined {
    return intsAttribute(this.node, name);
  }

  /** The attribute `axis`, counted from the front. */
  axis(fallback: number, rank = this.shapeIn(0).length): number {
    const axis = this.int('axis', fallback);
    return axis < 0 ? axis + rank : axis;
  }

  /** The operator that makes an input. */
  maker(index: number): Node | undefined {
    const id = this.node.inputs[index];
    return id == null ? undefined : indexOf(this.#conversion.graph).producer.get(id);
  }

  /** The last operator of a rule: it makes the output. */
  make(op: string, inputs: readonly (Placed | null)[], making: Partial<Making> = {}): Placed {
    return this.builder.emit(op, inputs, { name: this.name, shape: this.output, ...making });
  }

  /** An operator on the way, with a shape of its own. */
  step(
    op: string,
    inputs: readonly (Placed | null)[],
    shape: readonly number[],
    making: Partial<Making> = {},
  ): Placed {
    return this.builder.emit(op, inputs, { name: `${this.name}_${op.toLowerCase()}`, shape, ...making });
  }

  refuse(why: string): never {
    throw new KerfError('unsupported', `${this.node.op} cannot be converted: ${why}`, {
      place: `layer '${this.node.id}'`,
    });
  }

  #id(index: number): ValueId {
    return this.node.inputs[index] ?? this.refuse(`input ${index} is missing`);
  }
}

const largest = 2 ** 31 - 1;

/** ONNX marks "to the end" with the largest 64-bit numbers. */
function saturated(values: readonly number[]): readonly number[] {
  return values.map((value) => Math.max(-largest, Math.min(largest, value)));
}
