import type { Attribute, Graph, Node, OnnxModel, Value, ValueId } from '../../../../src/ir/model.ts';
import { attr } from '../../../../src/ir/attribute.ts';
import type { DType } from '../../../../src/ir/dtype.ts';
import { numberTensor } from '../../../../src/ir/numbers.ts';
import type { Tensor } from '../../../../src/ir/tensor.ts';
import type { Shape } from '../../../../src/ir/types.ts';
import { tensorType } from '../../../../src/ir/types.ts';
import { onnxModel as plainModel } from '../../support/onnxModel.ts';

/** An operand of a one-operator model: fed at run time, or stored in the model. */
export type Operand =
  | { readonly feed: DType; readonly dims: readonly number[]; readonly shape?: Shape }
  | { readonly constant: Tensor }
  | null;

export const f32 = (...dims: number[]): Operand => ({ feed: 'float32', dims });
export const fed = (dtype: DType, ...dims: number[]): Operand => ({ feed: dtype, dims });
export const ints = (...values: number[]): Operand => ({
  constant: numberTensor('int64', [values.length], values),
});
export const scalar = (dtype: DType, value: number): Operand => ({
  constant: numberTensor(dtype, [], [value]),
});
export const floats = (...values: number[]): Operand => ({
  constant: numberTensor('float32', [values.length], values),
});
export const filled = (dtype: DType, dims: readonly number[], value = 1): Operand => ({
  constant: numberTensor(dtype, dims, Array(dims.reduce((a, b) => a * b, 1)).fill(value)),
});

export type Attributes = Readonly<Record<string, Attribute | number | string | readonly number[]>>;

/** Plain numbers are integers, arrays integer lists; floats are written with `attr.float`. */
function attributes(plain: Attributes): ReadonlyMap<string, Attribute> {
  return new Map(
    Object.entries(plain).map(([name, value]) => {
      if (typeof value === 'number') return [name, attr.int(value)];
      if (typeof value === 'string') return [name, attr.string(value)];
      return [name, Array.isArray(value) ? attr.ints(value) : (value as Attribute)];
    }),
  );
}

export function node(
  op: string,
  inputs: readonly (ValueId | null)[],
  outputs: readonly ValueId[],
  more: Attributes = {},
  domain = '',
): Node {
  return { id: `${op}:${outputs[0]}`, name: '', op, domain, inputs, outputs, attributes: attributes(more) };
}

export function value(id: ValueId, dtype?: DType, shape?: Shape): Value {
  return { id, name: id, ...(dtype && { type: tensorType(dtype, shape) }) };
}

export function constant(id: ValueId, tensor: Tensor): Value {
  return { id, name: id, type: tensorType(tensor.dtype, tensor.dims), constant: tensor };
}

export function graph(
  name: string,
  parts: {
    inputs?: readonly Value[];
    outputs?: readonly ValueId[];
    nodes?: readonly Node[];
    values?: readonly Value[];
  },
): Graph {
  const all = [...(parts.inputs ?? []), ...(parts.values ?? [])];
  const values = new Map(all.map((each) => [each.id, each]));
  for (const each of parts.nodes ?? []) {
    for (const id of each.outputs) if (id !== null && !values.has(id)) values.set(id, value(id));
  }
  return {
    name,
    inputs: (parts.inputs ?? []).map((each) => each.id),
    outputs: parts.outputs ?? [],
    nodes: parts.nodes ?? [],
    values,
  };
}

/** A model that may use ONNX Runtime's own operators beside those of `opset`. */
export function onnxModel(main: Graph, opset = 17, more: Partial<OnnxModel> = {}): OnnxModel {
  const opsets = new Map([
    ['', opset],
    ['com.microsoft', 1],
  ]);
  return plainModel(main, opset, { opsets, ...more });
}

export interface OperatorCase {
  readonly op: string;
  readonly domain?: string;
  readonly opset?: number;
  readonly irVersion?: number;
  readonly inputs: readonly Operand[];
  readonly attributes?: Attributes;
  readonly outputs?: number;
}

/** A model with one node; inputs are `x0`, `x1`, … and outputs `y0`, `y1`, …. */
export function operatorModel(each: OperatorCase): OnnxModel {
  const names = each.inputs.map((operand, index) => (operand === null ? null : `x${index}`));
  const inputs: Value[] = [];
  const values: Value[] = [];
  each.inputs.forEach((operand, index) => {
    if (operand === null) return;
    if ('constant' in operand) values.push(constant(`x${index}`, operand.constant));
    else inputs.push(value(`x${index}`, operand.feed, operand.shape ?? operand.dims));
  });
  const outputs = Array.from({ length: each.outputs ?? 1 }, (_, index) => `y${index}`);
  const nodes = [node(each.op, names, outputs, each.attributes ?? {}, each.domain ?? '')];
  const model = onnxModel(graph('case', { inputs, outputs, nodes, values }), each.opset ?? 17);
  return each.irVersion === undefined ? model : { ...model, irVersion: each.irVersion };
}
