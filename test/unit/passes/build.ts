import type { Attribute, Graph, Node, OnnxModel, Value, Model } from '../../../src/ir/model.ts';
import { attr } from '../../../src/ir/attribute.ts';
import type { DType } from '../../../src/ir/dtype.ts';
import { floatTensor, intTensor } from '../../../src/ir/numbers.ts';
import type { Tensor } from '../../../src/ir/tensor.ts';
import type { Dim } from '../../../src/ir/types.ts';
import { tensorType } from '../../../src/ir/types.ts';
import type { PassContext, PassResult, OptionValues, Calibrator } from '../../../src/passes/pass.ts';
import { passById } from '../../../src/passes/registry.ts';
import { onnxModel } from '../support/onnxModel.ts';
import { random } from './runtime.ts';

type Plain = number | string | readonly number[] | Tensor | Graph | Attribute;

/** Builds small ONNX graphs, node by node, in execution order. */
export class OnnxBuilder {
  readonly #nodes: Node[] = [];
  readonly #values = new Map<string, Value>();
  readonly #inputs: string[] = [];
  readonly #outputs: string[] = [];
  readonly #next: () => number;

  constructor(seed = 1) {
    this.#next = random(seed);
  }

  /** Uniform in [-1, 1). */
  number(): number {
    return this.#next() * 2 - 1;
  }

  /** An integer from 0 to `below` - 1. */
  choose(below: number): number {
    return Math.floor(this.#next() * below);
  }

  input(id: string, shape: readonly Dim[], dtype: DType = 'float32'): string {
    this.#values.set(id, { id, name: id, type: tensorType(dtype, shape) });
    this.#inputs.push(id);
    return id;
  }

  output(id: string): this {
    this.#outputs.push(id);
    return this;
  }

  constant(id: string, tensor: Tensor): string {
    this.#values.set(id, { id, name: id, type: tensorType(tensor.dtype, tensor.dims), constant: tensor });
    return id;
  }

  floats(id: string, dims: readonly number[], value: (i: number) => number = () => this.number()): string {
    const count = dims.reduce((product, dim) => product * dim, 1);
    return this.constant(
      id,
      floatTensor(
        dims,
        Float32Array.from({ length: count }, (_, i) => value(i)),
      ),
    );
  }

  integers(id: string, values: readonly number[], dims: readonly number[] = [values.length]): string {
    return this.constant(id, intTensor('int64', dims, values));
  }

  /** Adds a node and gives its first output, which is named `name`. */
  node(
    op: string,
    inputs: readonly (string | null)[],
    name: string,
    attributes: Readonly<Record<string, Plain>> = {},
    more: readonly string[] = [],
  ): string {
    const outputs = [name, ...more];
    for (const id of outputs) this.#values.set(id, this.#values.get(id) ?? { id, name: id });
    const entries = Object.entries(attributes).map(([key, value]) => [key, attributeOf(key, value)] as const);
    this.#nodes.push({
      id: `${op}:${name}`,
      name: `${op}:${name}`,
      op,
      domain: '',
      inputs,
      outputs,
      attributes: new Map(entries),
    });
    return name;
  }

  /** Batch normalization with parameters of its own, well away from zero variance. */
  norm(input: string, channels: number, name: string): string {
    const positive = () => 0.5 + Math.abs(this.number());
    return this.node(
      'BatchNormalization',
      [
        input,
        this.floats(`${name}.gamma`, [channels]),
        this.floats(`${name}.beta`, [channels]),
        this.floats(`${name}.mean`, [channels]),
        this.floats(`${name}.var`, [channels], positive),
      ],
      name,
      { epsilon: attr.float(1e-5) },
    );
  }

  graph(name = 'main'): Graph {
    for (const id of this.#outputs) {
      const value = this.#values.get(id);
      if (value !== undefined && value.type === undefined)
        this.#values.set(id, { ...value, type: tensorType('float32') });
    }
    return { name, inputs: this.#inputs, outputs: this.#outputs, nodes: this.#nodes, values: this.#values };
  }

  model(opset = 13): OnnxModel {
    return onnxModel(this.graph(), opset, { irVersion: 7 });
  }
}

/** Integers without a point are ints; floats are given as `attr.float`. */
function attributeOf(key: string, value: Plain): Attribute {
  if (typeof value === 'number')
    return key === 'alpha' || key === 'beta' ? attr.float(value) : attr.int(value);
  if (typeof value === 'string') return attr.string(value);
  if ('kind' in value) return value;
  if ('nodes' in value) return { kind: 'graph', value };
  if ('dtype' in value) return attr.tensor(value);
  return attr.ints(value);
}

export interface RunOptions {
  readonly options?: OptionValues;
  readonly layers?: readonly string[];
  readonly calibrator?: Calibrator;
}

/** Runs a pass by id. */
export async function runPass<M extends Model>(
  id: string,
  model: M,
  { options = {}, layers, calibrator }: RunOptions = {},
): Promise<PassResult & { readonly model: M }> {
  const pass = passById(id);
  if (pass === undefined) throw new Error(`no pass ${id}`);
  const context: PassContext = {
    seed: 1,
    step: async () => {},
    ...(layers && { layers: new Set(layers) }),
    ...(calibrator && { calibrator }),
  };
  return (await pass.run(model, options, context)) as PassResult & { readonly model: M };
}

/** Operators with their counts: `Conv:2 Relu:1`, in order of first appearance. */
export function operatorsOf(model: Model): string {
  const counts = new Map<string, number>();
  for (const node of model.graphs[0].nodes) counts.set(node.op, (counts.get(node.op) ?? 0) + 1);
  return [...counts].map(([op, count]) => `${op}:${count}`).join(' ');
}
