import type { Attribute, Node, OnnxModel, Value } from '../../../../../src/ir/model.ts';
import { memoryBytes } from '../../../../../src/ir/bytes.ts';
import type { DType } from '../../../../../src/ir/dtype.ts';
import { byteSize, isFloat } from '../../../../../src/ir/dtype.ts';
import { decodeNumbers, numberTensor, sizeOf } from '../../../../../src/ir/numbers.ts';
import type { TensorType, ValueType } from '../../../../../src/ir/types.ts';
import { tensorType } from '../../../../../src/ir/types.ts';
import { analyse } from '../../../../../src/analysis/analyse.ts';
import type { BackendTest } from './data.ts';
import { onnxModel } from '../../../support/onnxModel.ts';

/**
 * A one-operator test as a line of text: operator and version, attributes, types of the inputs (with the content that
 * shapes follow from) and types of the outputs of the run.
 */
type Row = string;

type Plain = number | string | readonly (number | string)[] | { readonly [kind: string]: unknown };

const decoder = new TextDecoder();
const encoder = new TextEncoder();

function plainAttribute(attribute: Attribute): Plain | undefined {
  switch (attribute.kind) {
    case 'int':
      return Number(attribute.value);
    case 'string':
      return decoder.decode(attribute.value);
    case 'ints':
      return attribute.value.map(Number);
    case 'float':
      return { f: attribute.value };
    case 'floats':
      return { fs: attribute.value };
    case 'strings':
      return { ss: attribute.value.map((text) => decoder.decode(text)) };
    case 'tensor':
      return { t: attribute.value.dtype, dims: attribute.value.dims };
    default:
      return undefined;
  }
}

function attributeFrom(plain: Plain): Attribute {
  if (typeof plain === 'number') return { kind: 'int', value: plain };
  if (typeof plain === 'string') return { kind: 'string', value: encoder.encode(plain) };
  if (Array.isArray(plain)) return { kind: 'ints', value: plain as number[] };
  const other = plain as { f?: number; fs?: number[]; ss?: string[]; t?: DType; dims?: number[] };
  if (other.f !== undefined) return { kind: 'float', value: other.f };
  if (other.fs !== undefined) return { kind: 'floats', value: other.fs };
  if (other.ss !== undefined) return { kind: 'strings', value: other.ss.map((text) => encoder.encode(text)) };
  // Elements do not matter to shapes.
  const { t: dtype = 'float32', dims = [] } = other;
  const bytes = byteSize(
    dtype,
    dims.reduce((a, b) => a * b, 1),
  );
  return { kind: 'tensor', value: { dtype, dims, data: memoryBytes(new Uint8Array(bytes ?? 0)) } };
}

const typeText = (type: TensorType): string => `${type.dtype}[${type.shape?.join() ?? ''}]`;

function operandText(value: Value): string | undefined {
  if (value.type?.kind !== 'tensor') return undefined;
  const { constant } = value;
  if (constant === undefined) return typeText(value.type);
  const numbers = Array.from(decodeNumbers(constant.dtype, constant.data.read(), sizeOf(constant)));
  return `${typeText(value.type)}{${numbers.join()}}`;
}

/** The test's line, or `undefined` when it is not one operator on tensors without bodies. */
export function rowOf({ model, outputs }: BackendTest): Row | undefined {
  const [graph] = model.graphs;
  const [node] = graph.nodes;
  if (node === undefined || graph.nodes.length !== 1 || model.functions.length > 0) return undefined;
  const attributes: Record<string, Plain> = {};
  for (const [name, attribute] of node.attributes) {
    const plain = plainAttribute(attribute);
    if (plain === undefined) return undefined;
    attributes[name] = plain;
  }
  const needed = withoutNeedless(model);
  const inputs = node.inputs.map((id) =>
    id === null || id === '' ? '-' : operandText(needed.get(id) as Value),
  );
  const results = node.outputs.map((id) => {
    const type = id === null || id === '' ? undefined : outputs.get(id);
    if (type === undefined) return '-';
    return 'kind' in type && type.kind === 'tensor' ? typeText(type) : undefined;
  });
  if ([...inputs, ...results].includes(undefined)) return undefined;
  const version = model.opsets.get(node.domain) ?? 1;
  const name = `${node.domain === '' ? '' : `${node.domain}.`}${node.op}-${version}`;
  return [name, JSON.stringify(attributes), inputs.join(' '), results.join(' ')].join('\t');
}

/** Content stays where the result would be less certain without it. */
function withoutNeedless(model: OnnxModel): ReadonlyMap<string, Value> {
  const [graph] = model.graphs;
  let values: ReadonlyMap<string, Value> = graph.values;
  const result = (each: ReadonlyMap<string, Value>) => {
    const changed = { ...graph, values: each };
    const types = analyse({ ...model, graphs: [changed] }).types.get(changed);
    return JSON.stringify(graph.outputs.map((id) => types?.get(id)));
  };
  const best = result(values);
  for (const [id, value] of graph.values) {
    if (value.constant === undefined) continue;
    const { constant: _, ...rest } = value;
    const fewer = new Map(values).set(id, rest);
    if (result(fewer) === best) values = fewer;
  }
  return values;
}

function operandFrom(text: string, id: string): Value {
  const [, dtype = '', dims = '', content] = /^(\w+)\[([\d,]*)\](?:\{(.*)\})?$/.exec(text) ?? [];
  const shape = dims === '' ? [] : dims.split(',').map(Number);
  const type = tensorType(dtype as DType, shape);
  if (content === undefined) return { id, name: id, type };
  const numbers = content === '' ? [] : content.split(',').map(Number);
  const constant = numberTensor(
    dtype as DType,
    shape,
    isFloat(dtype as DType) ? Float64Array.from(numbers) : numbers,
  );
  return { id, name: id, type, constant };
}

/** The model a line describes, and the types its outputs had. */
export function testOf(row: Row): BackendTest {
  const [name = '', attributes = '{}', inputs = '', results = ''] = row.split('\t');
  const dash = name.lastIndexOf('-');
  const dot = name.slice(0, dash).lastIndexOf('.');
  const domain = dot < 0 ? '' : name.slice(0, dot);
  const values = new Map<string, Value>();
  const ids = (text: string, prefix: string) =>
    text === '' ? [] : text.split(' ').map((each, index) => (each === '-' ? null : `${prefix}${index}`));
  const operands = ids(inputs, 'x');
  operands.forEach((id, index) => {
    if (id !== null) values.set(id, operandFrom(inputs.split(' ')[index] ?? '', id));
  });
  const made = ids(results, 'y');
  const outputs = new Map<string, ValueType>();
  made.forEach((id, index) => {
    if (id === null) return;
    values.set(id, { id, name: id });
    outputs.set(id, operandFrom(results.split(' ')[index] ?? '', id).type as ValueType);
  });
  const plain = JSON.parse(attributes) as Record<string, Plain>;
  const node: Node = {
    id: 'node',
    name: '',
    op: name.slice(dot + 1, dash),
    domain,
    inputs: operands,
    outputs: made,
    attributes: new Map(Object.entries(plain).map(([key, value]) => [key, attributeFrom(value)])),
  };
  const fed = operands.filter((id) => id !== null);
  const main = { name: '', inputs: fed, outputs: [...outputs.keys()], nodes: [node], values };
  const opset = Number(name.slice(dash + 1));
  const model = onnxModel(main, opset, { irVersion: 10, opsets: new Map([[domain, opset]]) });
  return { name, model, outputs };
}
