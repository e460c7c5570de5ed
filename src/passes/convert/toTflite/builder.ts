import type { Attribute, Graph, Node, Quantization, TfliteModel, Value, ValueId } from '../../../ir/model.ts';
import { attr } from '../../../ir/attribute.ts';
import type { DType } from '../../../ir/dtype.ts';
import { KerfError } from '../../../ir/errors.ts';
import { floatTensor, intTensor } from '../../../ir/numbers.ts';
import type { Tensor } from '../../../ir/tensor.ts';
import { tensorType } from '../../../ir/types.ts';
import { movesNothing, ordered } from '../../layout/order.ts';

/** A value of the TFLite graph under construction. */
export interface Placed {
  readonly id: ValueId;
  readonly shape: readonly number[];
  readonly dtype: DType;
}

/** What an operator makes, and how it is set. */
export interface Making {
  readonly name: string;
  readonly shape: readonly number[];
  /** float32 without. */
  readonly dtype?: DType;
  readonly attributes?: Readonly<Record<string, Attribute>>;
}

const activations = { NONE: 0, RELU: 1, RELU_N1_TO_1: 2, RELU6: 3 } as const;

export const option = {
  padding: (same: boolean): Attribute => ({
    kind: 'enum',
    value: same ? 0 : 1,
    name: same ? 'SAME' : 'VALID',
  }),
  activation: (name: keyof typeof activations): Attribute => ({
    kind: 'enum',
    value: activations[name],
    name,
  }),
  flag: (value: boolean): Attribute => ({ kind: 'bool', value }),
  type: (value: number, name: string): Attribute => ({ kind: 'enum', value, name }),
};

const toNhwc = [0, 2, 3, 1];
const toNchw = [0, 3, 1, 2];

/** Builds a TFLite graph operator by operator; equal small constants are shared. */
export class TfliteBuilder {
  readonly #values = new Map<ValueId, Value>();
  readonly #nodes: Node[] = [];
  readonly #shared = new Map<string, Placed>();

  input(name: string, shape: readonly number[], dtype: DType): Placed {
    return this.#value(name, shape, dtype);
  }

  /** Emits an operator with one output. */
  emit(op: string, inputs: readonly (Placed | null)[], making: Making): Placed {
    return this.emitMany(op, inputs, [making], making.attributes)[0] as Placed;
  }

  emitMany(
    op: string,
    inputs: readonly (Placed | null)[],
    made: readonly Making[],
    attributes: Readonly<Record<string, Attribute>> = {},
  ): readonly Placed[] {
    const outputs = made.map(({ name, shape, dtype }) => this.#value(name, shape, dtype ?? 'float32'));
    this.#nodes.push({
      id: (outputs[0] as Placed).id,
      name: '',
      op,
      domain: '',
      inputs: inputs.map((each) => each?.id ?? null),
      outputs: outputs.map((each) => each.id),
      attributes: new Map(Object.entries(attributes)),
    });
    return outputs;
  }

  constant(name: string, tensor: Tensor, quantization?: Quantization): Placed {
    const id = this.#fresh(name);
    const type = tensorType(tensor.dtype, tensor.dims);
    this.#values.set(id, { id, name: id, type, constant: tensor, ...(quantization && { quantization }) });
    return { id, shape: tensor.dims, dtype: tensor.dtype };
  }

  /** An int32 tensor, a vector without `dims`. */
  integers(values: readonly number[], dims: readonly number[] = [values.length]): Placed {
    return this.#common(`i${dims.join('x')}:${values.join()}`, () => intTensor('int32', dims, values));
  }

  scalar(value: number): Placed {
    return this.#common(`f${value}`, () => floatTensor([], Float32Array.of(value)));
  }

  /** Axis `i` of the result is axis `order[i]`; nothing is moved when the bytes stay as they are. */
  transpose(value: Placed, order: readonly number[], name: string): Placed {
    const shape = ordered(value.shape, order);
    if (movesNothing(value.shape, order)) return this.reshape(value, shape, name);
    return this.emit('TRANSPOSE', [value, this.integers(order)], { name, shape, dtype: value.dtype });
  }

  nhwc(value: Placed): Placed {
    return this.transpose(value, toNhwc, `${value.id}_nhwc`);
  }

  nchw(value: Placed, name: string): Placed {
    return this.transpose(value, toNchw, name);
  }

  reshape(value: Placed, shape: readonly number[], name: string): Placed {
    return this.emit('RESHAPE', [value, this.integers(shape)], {
      name,
      shape,
      dtype: value.dtype,
      attributes: { new_shape: attr.ints(shape) },
    });
  }

  /** The value in another type. */
  cast(value: Placed, dtype: DType, name: string): Placed {
    return value.dtype === dtype ? value : this.emit('CAST', [value], { name, shape: value.shape, dtype });
  }

  /** Each output gets the name it is to have; whatever had that name before takes another one. */
  finish(
    name: string,
    inputs: readonly Placed[],
    outputs: readonly { readonly value: Placed; readonly name: string }[],
    description: string,
  ): TfliteModel {
    const renamed = new Map<ValueId, ValueId>();
    for (const { value, name: wanted } of outputs) {
      if (value.id === wanted) continue;
      if (this.#values.has(wanted)) renamed.set(wanted, this.#fresh(`${wanted}_inner`));
      renamed.set(value.id, wanted);
    }
    const rename = (id: ValueId) => renamed.get(id) ?? id;
    const graph: Graph = {
      name,
      inputs: inputs.map((each) => each.id),
      outputs: outputs.map((each) => each.name),
      nodes: this.#nodes.map((node) => ({
        ...node,
        inputs: node.inputs.map((id) => (id === null ? null : rename(id))),
        outputs: node.outputs.map((id) => (id === null ? null : rename(id))),
      })),
      values: new Map(
        [...this.#values].map(([id, value]) => [rename(id), { ...value, id: rename(id), name: rename(id) }]),
      ),
    };
    const named = (ids: readonly ValueId[]) => ids.map((id) => [id, id] as const);
    const signature = {
      key: 'serving_default',
      graph: 0,
      inputs: named(graph.inputs),
      outputs: named(graph.outputs),
    };
    return {
      dialect: 'tflite',
      version: 3,
      description,
      graphs: [graph],
      metadata: [],
      signatures: [signature],
    };
  }

  #common(key: string, make: () => Tensor): Placed {
    let known = this.#shared.get(key);
    if (known === undefined) {
      known = this.constant(`const_${this.#shared.size}`, make());
      this.#shared.set(key, known);
    }
    return known;
  }

  #value(name: string, shape: readonly number[], dtype: DType): Placed {
    if (shape.some((dim) => !Number.isInteger(dim) || dim < 0)) {
      throw new KerfError('internal', `shape [${shape.join(', ')}] of '${name}' is not static`);
    }
    const id = this.#fresh(name);
    this.#values.set(id, { id, name: id, type: tensorType(dtype, shape) });
    return { id, shape, dtype };
  }

  #fresh(name: string): ValueId {
    let id = name;
    for (let suffix = 2; this.#values.has(id); suffix += 1) id = `${name}_${suffix}`;
    return id;
  }
}
