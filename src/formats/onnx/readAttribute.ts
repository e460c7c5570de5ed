import type { Attribute, Graph } from '../../ir/model.ts';
import type { Tensor } from '../../ir/tensor.ts';
import type { ValueType } from '../../ir/types.ts';
import { tensorType } from '../../ir/types.ts';
import { setOrigin } from './origin.ts';
import type { ReadContext } from './readContext.ts';
import { readTensor } from './readTensor.ts';
import { readType } from './readType.ts';
import type { WireReader } from './wire.ts';
import { wire } from './wire.ts';

const deepestBody = 32;

/** `AttributeProto.AttributeType` numbers. */
export const attributeTypes = {
  float: 1,
  int: 2,
  string: 3,
  tensor: 4,
  graph: 5,
  floats: 6,
  ints: 7,
  strings: 8,
  tensors: 9,
  graphs: 10,
  sparseTensor: 11,
  sparseTensors: 12,
  type: 13,
  types: 14,
} as const;

interface Draft {
  name: string;
  type: number;
  ref: string;
  f: number;
  i: number | bigint;
  s: Uint8Array;
  t: Tensor | undefined;
  g: Graph | undefined;
  tp: ValueType | undefined;
  floats: number[];
  ints: (number | bigint)[];
  strings: Uint8Array[];
  tensors: Tensor[];
  graphs: Graph[];
  types: ValueType[];
  seen: number;
}

/** Reads an `AttributeProto` in `[reader.pos, end)`. Attributes with sparse tensors stay opaque. */
export function readAttribute(
  reader: WireReader,
  end: number,
  place: string,
  context: ReadContext,
): [string, Attribute] {
  const payload = reader.bytes.slice(reader.pos, end - reader.pos);
  const draft: Draft = {
    name: '',
    type: 0,
    ref: '',
    f: 0,
    i: 0,
    s: new Uint8Array(0),
    t: undefined,
    g: undefined,
    tp: undefined,
    floats: [],
    ints: [],
    strings: [],
    tensors: [],
    graphs: [],
    types: [],
    seen: 0,
  };
  while (reader.pos < end) readField(reader, end, place, context, draft);
  const attribute = attributeOf(draft) ?? { kind: 'opaque', value: { payload } };
  setOrigin(attribute, payload);
  return [draft.name, attribute];
}

function readField(reader: WireReader, end: number, place: string, context: ReadContext, draft: Draft): void {
  const { field, type } = reader.tag(end);
  const within = () => reader.length(end) + reader.pos;
  const typeByField: Record<number, number> = {
    2: 1,
    3: 2,
    4: 3,
    5: 4,
    6: 5,
    7: 6,
    8: 7,
    9: 8,
    10: 9,
    11: 10,
    14: 13,
    15: 14,
  };
  draft.seen ||= typeByField[field] ?? 0;
  if (field === 1) draft.name = reader.text(end);
  else if (field === 2) draft.f = reader.float(end);
  else if (field === 3) draft.i = reader.varint64(end);
  else if (field === 4) draft.s = reader.blob(end);
  else if (field === 5) draft.t = tensorAt(reader, within(), place, draft.name, context);
  else if (field === 6) draft.g = bodyAt(reader, within(), `${place}.${draft.name}`, context);
  else if (field === 7) readPacked(reader, end, type, () => draft.floats.push(reader.float(end)));
  else if (field === 8) readPacked(reader, end, type, () => draft.ints.push(reader.varint64(end)));
  else if (field === 9) draft.strings.push(reader.blob(end));
  else if (field === 10) draft.tensors.push(tensorAt(reader, within(), place, draft.name, context));
  else if (field === 11) draft.graphs.push(bodyAt(reader, within(), `${place}.${draft.name}`, context));
  else if (field === 14) draft.tp = readType(reader, within());
  else if (field === 15) draft.types.push(readType(reader, within()) ?? tensorType('undefined'));
  else if (field === 20) draft.type = reader.varint(end);
  else if (field === 21) draft.ref = reader.text(end);
  else reader.skip(type, end);
}

/** Repeated numbers occur packed (proto3 writers) and unpacked (onnx.proto is proto2). */
function readPacked(reader: WireReader, end: number, type: number, readOne: () => void): void {
  if (type !== wire.bytes) readOne();
  else {
    const packedEnd = reader.length(end) + reader.pos;
    while (reader.pos < packedEnd) readOne();
  }
}

function tensorAt(
  reader: WireReader,
  end: number,
  place: string,
  name: string,
  context: ReadContext,
): Tensor {
  const { tensor, damage } = readTensor(reader, end, context.resolve);
  for (const message of damage)
    context.damage.push({ severity: 'error', place: `${place}.${name}`, message });
  return tensor;
}

function bodyAt(reader: WireReader, end: number, place: string, context: ReadContext): Graph {
  if (place.split('.node[').length > deepestBody)
    throw reader.malformed(`graphs nested more than ${deepestBody} deep`);
  return context.graph(reader, end, place);
}

function attributeOf(draft: Draft): Attribute | undefined {
  if (draft.ref !== '') return { kind: 'ref', value: draft.ref };
  const type = draft.type || draft.seen;
  if (type === attributeTypes.float) return { kind: 'float', value: draft.f };
  if (type === attributeTypes.int) return { kind: 'int', value: draft.i };
  if (type === attributeTypes.string) return { kind: 'string', value: draft.s };
  if (type === attributeTypes.tensor && draft.t) return { kind: 'tensor', value: draft.t };
  if (type === attributeTypes.graph && draft.g) return { kind: 'graph', value: draft.g };
  if (type === attributeTypes.floats) return { kind: 'floats', value: draft.floats };
  if (type === attributeTypes.ints) return { kind: 'ints', value: draft.ints };
  if (type === attributeTypes.strings) return { kind: 'strings', value: draft.strings };
  if (type === attributeTypes.tensors) return { kind: 'tensors', value: draft.tensors };
  if (type === attributeTypes.graphs) return { kind: 'graphs', value: draft.graphs };
  if (type === attributeTypes.type && draft.tp) return { kind: 'type', value: draft.tp };
  if (type === attributeTypes.types) return { kind: 'types', value: draft.types };
  return undefined;
}
