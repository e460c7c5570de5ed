import type { Dim, ValueType } from '../../ir/types.ts';
import { tensorType } from '../../ir/types.ts';
import { dtypeOf } from '../../ir/onnxDataTypes.ts';
import { setOrigin } from './origin.ts';
import type { WireReader } from './wire.ts';

const deepestType = 16;

/** Reads a `TypeProto` in `[reader.pos, end)`; `undefined` when it says nothing. */
export function readType(reader: WireReader, end: number, depth = 0): ValueType | undefined {
  if (depth > deepestType) throw reader.malformed(`a type nested more than ${deepestType} deep`);
  const payload = reader.bytes.slice(reader.pos, end - reader.pos);
  let type: ValueType | undefined;
  while (reader.pos < end) {
    const { field, type: wireType } = reader.tag(end);
    if (field === 1 || field === 8) {
      const inner = readTensorType(reader, reader.length(end) + reader.pos);
      type = field === 8 ? { ...inner, kind: 'sparse' } : inner;
    } else if (field === 4 || field === 9) {
      const element = readElement(reader, reader.length(end) + reader.pos, depth);
      type = { kind: field === 4 ? 'sequence' : 'optional', element };
    } else if (field === 5) type = readMap(reader, reader.length(end) + reader.pos, depth);
    else if (field === 7) type = readOpaque(reader, reader.length(end) + reader.pos);
    else reader.skip(wireType, end);
  }
  if (type !== undefined) setOrigin(type, payload);
  return type;
}

function readTensorType(reader: WireReader, end: number) {
  let element = 0;
  let shape: Dim[] | undefined;
  while (reader.pos < end) {
    const { field, type } = reader.tag(end);
    if (field === 1) element = reader.varint(end);
    else if (field === 2) shape = readShape(reader, reader.length(end) + reader.pos);
    else reader.skip(type, end);
  }
  return tensorType(dtypeOf(element) ?? 'undefined', shape);
}

function readShape(reader: WireReader, end: number): Dim[] {
  const dims: Dim[] = [];
  while (reader.pos < end) {
    const { field, type } = reader.tag(end);
    if (field === 1) dims.push(readDim(reader, reader.length(end) + reader.pos));
    else reader.skip(type, end);
  }
  return dims;
}

function readDim(reader: WireReader, end: number): Dim {
  let dim: Dim = null;
  while (reader.pos < end) {
    const { field, type } = reader.tag(end);
    if (field === 1) {
      const value = Number(reader.varint64(end));
      dim = value < 0 ? null : value;
    } else if (field === 2) dim = reader.text(end) || null;
    else reader.skip(type, end);
  }
  return dim;
}

function readElement(reader: WireReader, end: number, depth: number): ValueType {
  let element: ValueType | undefined;
  while (reader.pos < end) {
    const { field, type } = reader.tag(end);
    if (field === 1) element = readType(reader, reader.length(end) + reader.pos, depth + 1);
    else reader.skip(type, end);
  }
  return element ?? tensorType('undefined');
}

function readMap(reader: WireReader, end: number, depth: number): ValueType {
  let key = 0;
  let value: ValueType | undefined;
  while (reader.pos < end) {
    const { field, type } = reader.tag(end);
    if (field === 1) key = reader.varint(end);
    else if (field === 2) value = readType(reader, reader.length(end) + reader.pos, depth + 1);
    else reader.skip(type, end);
  }
  return { kind: 'map', key: dtypeOf(key) ?? 'undefined', value: value ?? tensorType('undefined') };
}

function readOpaque(reader: WireReader, end: number): ValueType {
  let domain = '';
  let name = '';
  while (reader.pos < end) {
    const { field, type } = reader.tag(end);
    if (field === 1) domain = reader.text(end);
    else if (field === 2) name = reader.text(end);
    else reader.skip(type, end);
  }
  return { kind: 'opaque', domain, name };
}
