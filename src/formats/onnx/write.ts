import type { Attribute, FunctionDef, Graph, Node, OnnxModel, Value } from '../../ir/model.ts';
import type { Bytes } from '../../ir/bytes.ts';
import { memoryBytes } from '../../ir/bytes.ts';
import { byteSize } from '../../ir/dtype.ts';
import { KerfError } from '../../ir/errors.ts';
import { sizeOf } from '../../ir/numbers.ts';
import type { Tensor } from '../../ir/tensor.ts';
import type { ValueType } from '../../ir/types.ts';
import { dataTypeNumber } from '../../ir/onnxDataTypes.ts';
import type { ExternalReference, GraphLeftover, Leftover, TensorLeftover } from './origin.ts';
import { infoOriginOf, originOf } from './origin.ts';
import type { ModelLeftover } from './read.ts';
import { attributeTypes } from './readAttribute.ts';
import { WireWriter } from './wireWriter.ts';

/** Decides where a tensor's data goes; `undefined` keeps it in the model file (or where it was). */
type Placement = (tensor: Tensor, name: string) => ExternalReference | undefined;

/**
 * Encodes a model as parts to be written one after another. A model as it was read gives the file's own bytes; in a
 * changed one, every object that is still the same value is copied as it was stored.
 * With `place`, tensors for which it gives a reference are written as external data.
 */
export function encodeOnnx(model: OnnxModel, place?: Placement): readonly Bytes[] {
  const origin = originOf(model);
  if (origin !== undefined && place === undefined) return [origin];
  return new Encoder(place).model(model).parts();
}

class Encoder {
  readonly #place: Placement | undefined;

  constructor(place: Placement | undefined) {
    this.#place = place;
  }

  model(model: OnnxModel): WireWriter {
    const extra = model.extra as ModelLeftover | undefined;
    const writer = new WireWriter();
    writer.int(1, model.irVersion);
    if (model.producerName !== '') writer.text(2, model.producerName);
    if (model.producerVersion !== '') writer.text(3, model.producerVersion);
    if (extra?.domain) writer.text(4, extra.domain);
    if (extra?.modelVersion !== undefined) writer.int(5, extra.modelVersion);
    if (extra?.docString !== undefined) writer.text(6, extra.docString);
    this.#copyOr(writer, 7, model.graphs[0], () => this.graph(model.graphs[0]));
    for (const [domain, version] of model.opsets) writer.message(8, opsetImport(domain, version));
    for (const [key, value] of model.metadata)
      writer.message(14, new WireWriter().text(1, key).text(2, value));
    for (const def of model.functions) this.#copyOr(writer, 25, def, () => this.#functionDef(def));
    return leftover(writer, extra);
  }

  graph(graph: Graph): WireWriter {
    const extra = graph.extra as GraphLeftover | undefined;
    const writer = new WireWriter();
    for (const node of graph.nodes) this.#copyOr(writer, 1, node, () => this.#node(node));
    if (graph.name !== '') writer.text(2, graph.name);
    for (const value of ordered(graph, extra?.initializers, (each) => each.constant !== undefined)) {
      this.#initializer(writer, value);
    }
    for (const id of graph.inputs) info(writer, 11, valueOf(graph, id));
    for (const id of graph.outputs) info(writer, 12, valueOf(graph, id));
    for (const value of valueInfos(graph, extra)) info(writer, 13, value);
    return leftover(writer, extra);
  }

  /** Copies the stored message of an object that is still as read. External placement forces a rewrite of tensors. */
  #copyOr(writer: WireWriter, field: number, object: object, encode: () => WireWriter): void {
    const origin = this.#place === undefined ? originOf(object) : undefined;
    if (origin === undefined) writer.message(field, encode());
    else writer.lazy(field, origin);
  }

  #initializer(writer: WireWriter, value: Value): void {
    const tensor = value.constant as Tensor;
    const external = this.#place?.(tensor, value.name);
    const leftoverOf = tensor.extra as TensorLeftover | undefined;
    const origin = external === undefined && leftoverOf?.name === value.name ? originOf(tensor) : undefined;
    if (origin === undefined) writer.message(5, this.#tensor(tensor, value.name, external));
    else writer.lazy(5, origin);
  }

  #tensor(tensor: Tensor, name: string, external?: ExternalReference): WireWriter {
    const stored = tensor.extra as TensorLeftover | undefined;
    const writer = new WireWriter();
    for (const dim of tensor.dims) writer.int(1, dim);
    writer.int(2, dataTypeNumber(tensor.dtype));
    if (tensor.dtype === 'string') for (const text of tensor.strings ?? []) writer.blob(6, text);
    if (name !== '') writer.text(8, name);
    const reference = external ?? (tensor.data.missing !== undefined ? stored?.external : undefined);
    if (reference !== undefined) externalData(writer, reference);
    else if (tensor.dtype !== 'string') writer.lazy(9, dataOf(tensor, name));
    return leftover(writer, stored);
  }

  #node(node: Node): WireWriter {
    const writer = new WireWriter();
    for (const input of node.inputs) writer.text(1, input ?? '');
    for (const output of node.outputs) writer.text(2, output ?? '');
    if (node.name !== '') writer.text(3, node.name);
    writer.text(4, node.op);
    for (const [name, attribute] of node.attributes) {
      this.#copyOr(writer, 5, attribute, () => this.#attribute(name, attribute));
    }
    if (node.domain !== '') writer.text(7, node.domain);
    if (node.overload !== undefined) writer.text(8, node.overload);
    return leftover(writer, node.extra as Leftover | undefined);
  }

  #attribute(name: string, attribute: Attribute): WireWriter {
    const writer = new WireWriter().text(1, name);
    const stamp = (type: number) => writer.int(20, type);
    switch (attribute.kind) {
      case 'float':
        writer.float(2, attribute.value);
        return stamp(attributeTypes.float);
      case 'int':
        writer.int(3, attribute.value);
        return stamp(attributeTypes.int);
      case 'string':
        writer.blob(4, attribute.value);
        return stamp(attributeTypes.string);
      case 'tensor':
        writer.message(5, this.#tensor(attribute.value, tensorName(attribute.value)));
        return stamp(attributeTypes.tensor);
      case 'graph':
        this.#copyOr(writer, 6, attribute.value, () => this.graph(attribute.value));
        return stamp(attributeTypes.graph);
      case 'floats':
        for (const value of attribute.value) writer.float(7, value);
        return stamp(attributeTypes.floats);
      case 'ints':
        for (const value of attribute.value) writer.int(8, value);
        return stamp(attributeTypes.ints);
      case 'strings':
        for (const value of attribute.value) writer.blob(9, value);
        return stamp(attributeTypes.strings);
      case 'tensors':
        for (const value of attribute.value) writer.message(10, this.#tensor(value, tensorName(value)));
        return stamp(attributeTypes.tensors);
      case 'graphs':
        for (const value of attribute.value) this.#copyOr(writer, 11, value, () => this.graph(value));
        return stamp(attributeTypes.graphs);
      case 'type':
        writer.message(14, typeProto(attribute.value));
        return stamp(attributeTypes.type);
      case 'types':
        for (const value of attribute.value) writer.message(15, typeProto(value));
        return stamp(attributeTypes.types);
      case 'ref':
        return writer.text(21, attribute.value);
      case 'opaque':
        return copied(attribute);
      case 'bool':
      case 'enum':
      case 'bytes':
        throw new KerfError('unsupported', `ONNX has no ${attribute.kind} attributes ('${name}')`);
    }
  }

  #functionDef(def: FunctionDef): WireWriter {
    const writer = new WireWriter().text(1, def.name);
    for (const input of def.graph.inputs) writer.text(4, input);
    for (const output of def.graph.outputs) writer.text(5, output);
    for (const attribute of def.attributes) writer.text(6, attribute);
    for (const node of def.graph.nodes) this.#copyOr(writer, 7, node, () => this.#node(node));
    for (const [domain, version] of def.opsets) writer.message(9, opsetImport(domain, version));
    writer.text(10, def.domain);
    for (const [name, attribute] of def.defaults) {
      this.#copyOr(writer, 11, attribute, () => this.#attribute(name, attribute));
    }
    for (const value of def.graph.values.values()) if (value.type !== undefined) info(writer, 12, value);
    if (def.overload !== '') writer.text(13, def.overload);
    return leftover(writer, def.extra as Leftover | undefined);
  }
}

/** Attributes that hold what the IR does not model can only be copied. */
function copied(attribute: Attribute): WireWriter {
  const origin = originOf(attribute);
  if (origin === undefined) throw new KerfError('internal', 'an opaque attribute lost its stored form');
  return new WireWriter().raw(origin);
}

function tensorName(tensor: Tensor): string {
  return (tensor.extra as TensorLeftover | undefined)?.name ?? '';
}

function dataOf(tensor: Tensor, name: string): Bytes {
  const size = byteSize(tensor.dtype, sizeOf(tensor)) ?? 0;
  if (tensor.data.missing !== undefined) throw new KerfError('missing-weights', tensor.data.missing);
  if (tensor.data.length !== size) {
    throw new KerfError(
      'internal',
      `'${name}' holds ${tensor.data.length} bytes where its shape needs ${size}`,
    );
  }
  return size === 0 ? memoryBytes(new Uint8Array(0)) : tensor.data;
}

function externalData(writer: WireWriter, reference: ExternalReference): void {
  const entry = (key: string, value: string) =>
    writer.message(13, new WireWriter().text(1, key).text(2, value));
  entry('location', reference.location);
  entry('offset', String(reference.offset));
  if (reference.length !== undefined) entry('length', String(reference.length));
  if (reference.checksum !== undefined) entry('checksum', reference.checksum);
  writer.int(14, 1);
}

function opsetImport(domain: string, version: number): WireWriter {
  const writer = new WireWriter();
  if (domain !== '') writer.text(1, domain);
  return writer.int(2, version);
}

/** Values that satisfy `keep`: first in their stored order, then the new ones. */
function ordered(
  graph: Graph,
  order: readonly string[] | undefined,
  keep: (value: Value) => boolean,
): Value[] {
  const stored = new Set(order);
  const result: Value[] = [];
  for (const id of stored) {
    const value = graph.values.get(id);
    if (value !== undefined && keep(value)) result.push(value);
  }
  for (const value of graph.values.values()) if (!stored.has(value.id) && keep(value)) result.push(value);
  return result;
}

function valueInfos(graph: Graph, extra: GraphLeftover | undefined): Value[] {
  const stored = new Set(extra?.valueInfos);
  const ends = new Set([...graph.inputs, ...graph.outputs]);
  const declares = (value: Value) =>
    value.type !== undefined &&
    (stored.has(value.id) || (value.constant === undefined && !ends.has(value.id)));
  return ordered(graph, extra?.valueInfos, declares);
}

function valueOf(graph: Graph, id: string): Value {
  return graph.values.get(id) ?? { id, name: id };
}

function info(writer: WireWriter, field: number, value: Value): void {
  const origin = value.type === undefined ? undefined : infoOriginOf(value.type, value.name);
  if (origin !== undefined) {
    writer.lazy(field, origin);
    return;
  }
  const inner = new WireWriter().text(1, value.name);
  if (value.type !== undefined) inner.message(2, typeProto(value.type));
  writer.message(field, leftover(inner, value.extra as Leftover | undefined));
}

function typeProto(type: ValueType): WireWriter {
  const origin = originOf(type);
  const writer = new WireWriter();
  if (origin !== undefined) return writer.raw(origin);
  switch (type.kind) {
    case 'tensor':
    case 'sparse': {
      const inner = new WireWriter().int(1, dataTypeNumber(type.dtype));
      if (type.shape !== undefined) inner.message(2, shapeProto(type.shape));
      return writer.message(type.kind === 'tensor' ? 1 : 8, inner);
    }
    case 'sequence':
    case 'optional':
      return writer.message(
        type.kind === 'sequence' ? 4 : 9,
        new WireWriter().message(1, typeProto(type.element)),
      );
    case 'map':
      return writer.message(
        5,
        new WireWriter().int(1, dataTypeNumber(type.key)).message(2, typeProto(type.value)),
      );
    case 'opaque':
      return writer.message(7, new WireWriter().text(1, type.domain).text(2, type.name));
  }
}

function shapeProto(shape: readonly (number | string | null)[]): WireWriter {
  const writer = new WireWriter();
  for (const dim of shape) {
    const inner = new WireWriter();
    if (typeof dim === 'number') inner.int(1, dim);
    else if (dim !== null) inner.text(2, dim);
    writer.message(1, inner);
  }
  return writer;
}

function leftover(writer: WireWriter, extra: Leftover | undefined): WireWriter {
  for (const field of extra?.fields ?? []) writer.raw(field);
  return writer;
}
