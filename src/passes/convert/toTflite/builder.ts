import type { Attribute } from '../../../ir/attribute.ts';
import { KerfError } from '../../../ir/errors.ts';
import type { Graph, Node, TfliteModel, Value, ValueId } from '../../../ir/model.ts';
import { floatTensor, intTensor } from '../../../ir/numbers.ts';
import type { Tensor } from '../../../ir/tensor.ts';
import { tensorType } from '../../../ir/types.ts';

export type Layout = 'onnx' | 'nhwc';

/** A value of the TFLite graph under construction; its shape is in its own layout. */
export interface Placed {
  readonly id: ValueId;
  readonly shape: readonly number[];
  readonly layout: Layout;
}

const activations = { NONE: 0, RELU: 1, RELU_N1_TO_1: 2, RELU6: 3 } as const;
export type Activation = keyof typeof activations;

const toNhwc = [0, 2, 3, 1];
const toNchw = [0, 3, 1, 2];

export function permuted<T>(items: readonly T[], order: readonly number[]): T[] {
  return order.map((from) => items[from] as T);
}

export const option = {
  padding: (same: boolean): Attribute => ({
    kind: 'enum',
    value: same ? 0 : 1,
    name: same ? 'SAME' : 'VALID',
  }),
  activation: (name: Activation): Attribute => ({ kind: 'enum', value: activations[name], name }),
};

/** Builds a float TFLite graph; converts layouts on demand and remembers each conversion. */
export class TfliteBuilder {
  readonly #values = new Map<ValueId, Value>();
  readonly #nodes: Node[] = [];
  readonly #converted = new Map<string, Placed>();
  readonly #constants = new Map<string, ValueId>();

  input(name: string, shape: readonly number[]): Placed {
    return this.#value(name, shape, 'onnx');
  }

  /** Emits an operator with one float output. */
  emit(
    op: string,
    inputs: readonly (ValueId | null)[],
    shape: readonly number[],
    name: string,
    attributes: readonly (readonly [string, Attribute])[] = [],
    layout: Layout = 'onnx',
  ): Placed {
    const output = this.#value(name, shape, layout);
    this.#nodes.push({
      id: output.id,
      name: '',
      op,
      domain: '',
      inputs,
      outputs: [output.id],
      attributes: new Map(attributes),
    });
    return output;
  }

  constant(name: string, tensor: Tensor): ValueId {
    const id = this.#fresh(name);
    this.#values.set(id, { id, name: id, type: tensorType(tensor.dtype, tensor.dims), constant: tensor });
    return id;
  }

  /** An int32 vector; equal ones are shared. */
  integers(values: readonly number[], dims: readonly number[] = [values.length]): ValueId {
    const key = `${dims.join('x')}:${values.join(',')}`;
    let id = this.#constants.get(key);
    if (id === undefined) {
      id = this.constant(`const_${this.#constants.size}`, intTensor('int32', dims, values));
      this.#constants.set(key, id);
    }
    return id;
  }

  scalar(value: number): ValueId {
    const key = `scalar:${value}`;
    let id = this.#constants.get(key);
    if (id === undefined) {
      id = this.constant(`const_${this.#constants.size}`, floatTensor([], Float32Array.of(value)));
      this.#constants.set(key, id);
    }
    return id;
  }

  /** The value in the wanted layout; a transpose that moves no data becomes a reshape. */
  inLayout(value: Placed, layout: Layout): Placed {
    if (value.layout === layout) return value;
    if (value.shape.length !== 4) return { ...value, layout };
    const key = `${value.id}:${layout}`;
    let converted = this.#converted.get(key);
    if (converted === undefined) {
      const order = layout === 'nhwc' ? toNhwc : toNchw;
      const shape = permuted(value.shape, order);
      const moved = (list: readonly number[]) => list.filter((dim) => dim !== 1).join();
      converted =
        moved(value.shape) === moved(shape)
          ? this.reshape(value.id, shape, `${value.id}_${layout}`, layout)
          : this.emit(
              'TRANSPOSE',
              [value.id, this.integers(order)],
              shape,
              `${value.id}_${layout}`,
              [],
              layout,
            );
      this.#converted.set(key, converted);
    }
    return converted;
  }

  reshape(id: ValueId, shape: readonly number[], name: string, layout: Layout = 'onnx'): Placed {
    const attributes = [['new_shape', { kind: 'ints', value: shape }]] as const;
    return this.emit('RESHAPE', [id, this.integers(shape)], shape, name, attributes, layout);
  }

  finish(
    name: string,
    inputs: readonly Placed[],
    outputs: readonly Placed[],
    description: string,
  ): TfliteModel {
    const graph: Graph = {
      name,
      inputs: inputs.map((each) => each.id),
      outputs: outputs.map((each) => each.id),
      nodes: this.#nodes,
      values: this.#values,
    };
    const named = (all: readonly Placed[]) => all.map((each) => [each.id, each.id] as const);
    const signature = { key: 'serving_default', graph: 0, inputs: named(inputs), outputs: named(outputs) };
    return {
      dialect: 'tflite',
      version: 3,
      description,
      graphs: [graph],
      metadata: [],
      signatures: [signature],
    };
  }

  #value(name: string, shape: readonly number[], layout: Layout): Placed {
    if (shape.some((dim) => !Number.isInteger(dim) || dim < 0)) {
      throw new KerfError('internal', `shape [${shape.join(', ')}] of '${name}' is not static`);
    }
    const id = this.#fresh(name);
    this.#values.set(id, { id, name: id, type: tensorType('float32', shape) });
    return { id, shape, layout };
  }

  #fresh(name: string): ValueId {
    let id = name;
    for (let suffix = 2; this.#values.has(id); suffix += 1) id = `${name}_${suffix}`;
    return id;
  }
}
