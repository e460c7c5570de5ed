import type { Bytes } from '../../ir/bytes.ts';
import { memoryBytes, missingBytes } from '../../ir/bytes.ts';
import type { DType } from '../../ir/dtype.ts';
import { bitsOf, byteSize } from '../../ir/dtype.ts';
import { KerfError } from '../../ir/errors.ts';
import { encodeNumbers } from '../../ir/numbers.ts';
import type { Tensor } from '../../ir/tensor.ts';
import { dtypeOf } from '../../ir/onnxDataTypes.ts';
import type { ExternalReference, TensorLeftover } from './origin.ts';
import { setOrigin } from './origin.ts';
import { WireReader, wire } from './wire.ts';

/** Finds the bytes of an external file named by a model; gives missing bytes when it is not there. */
export type ExternalResolver = (reference: ExternalReference, bytes: number) => Bytes;

interface ReadTensor {
  readonly name: string;
  readonly tensor: Tensor;
  /** What is wrong with it, when it could still be read. */
  readonly damage: readonly string[];
}

/** Numbers of `TensorProto`'s typed data fields. */
const typedFields = { float: 4, int32: 5, string: 6, int64: 7, double: 10, uint64: 11 } as const;

interface Draft {
  name: string;
  dims: number[];
  type: number;
  raw: Bytes | undefined;
  typed: { field: number; type: number; payload: Bytes }[];
  strings: Uint8Array[];
  external: Map<string, string>;
  isExternal: boolean;
  unknown: Bytes[];
}

/** Reads one `TensorProto` in `[reader.pos, end)` without touching its data. */
export function readTensor(reader: WireReader, end: number, resolve: ExternalResolver): ReadTensor {
  const payload = reader.bytes.slice(reader.pos, end - reader.pos);
  const draft = readDraft(reader, end);
  const damage: string[] = [];
  const dtype = dtypeOf(draft.type);
  if (dtype === undefined) damage.push(`data type ${draft.type} is unknown`);
  const known = dtype ?? 'undefined';
  const count = draft.dims.reduce((product, dim) => product * dim, 1);
  if (draft.dims.some((dim) => dim < 0)) damage.push(`negative dimension in [${draft.dims.join(', ')}]`);
  const external = draft.isExternal ? externalReference(draft.external) : undefined;
  const data = dataOf(draft, known, Math.max(0, count), external, resolve, damage);
  const extra: TensorLeftover = { name: draft.name, fields: draft.unknown, ...(external && { external }) };
  const strings = known === 'string' ? { strings: draft.strings } : {};
  const tensor: Tensor = { dtype: known, dims: draft.dims, data, ...strings, extra };
  setOrigin(tensor, payload);
  return { name: draft.name, tensor, damage };
}

function readDraft(reader: WireReader, end: number): Draft {
  const draft: Draft = {
    name: '',
    dims: [],
    type: 0,
    raw: undefined,
    typed: [],
    strings: [],
    external: new Map(),
    isExternal: false,
    unknown: [],
  };
  while (reader.pos < end) {
    const start = reader.pos;
    const { field, type } = reader.tag(end);
    if (field === 1 && type === wire.bytes) {
      const packedEnd = reader.length(end) + reader.pos;
      while (reader.pos < packedEnd) draft.dims.push(Number(reader.varint64(packedEnd)));
    } else if (field === 1) draft.dims.push(Number(reader.varint64(end)));
    else if (field === 2) draft.type = reader.varint(end);
    else if (field === 8) draft.name = reader.text(end);
    else if (field === 9) draft.raw = reader.lazy(end);
    else if (field === typedFields.string) draft.strings.push(reader.blob(end));
    else if (Object.values<number>(typedFields).includes(field)) {
      const from = reader.pos;
      if (type === wire.bytes) draft.typed.push({ field, type, payload: reader.lazy(end) });
      else {
        reader.skip(type, end);
        draft.typed.push({ field, type, payload: reader.bytes.slice(from, reader.pos - from) });
      }
    } else if (field === 13) {
      const [key, value] = readEntry(reader, reader.length(end) + reader.pos);
      draft.external.set(key, value);
    } else if (field === 14) draft.isExternal = reader.varint(end) === 1;
    else {
      reader.skip(type, end);
      draft.unknown.push(reader.bytes.slice(start, reader.pos - start));
    }
  }
  return draft;
}

/** A `StringStringEntryProto`. */
export function readEntry(reader: WireReader, end: number): [string, string] {
  let key = '';
  let value = '';
  while (reader.pos < end) {
    const { field, type } = reader.tag(end);
    if (field === 1) key = reader.text(end);
    else if (field === 2) value = reader.text(end);
    else reader.skip(type, end);
  }
  return [key, value];
}

function externalReference(entries: ReadonlyMap<string, string>): ExternalReference {
  const length = entries.get('length');
  return {
    location: entries.get('location') ?? '',
    offset: Number(entries.get('offset') ?? 0),
    length: length === undefined ? undefined : Number(length),
    checksum: entries.get('checksum'),
  };
}

function dataOf(
  draft: Draft,
  dtype: DType,
  count: number,
  external: ExternalReference | undefined,
  resolve: ExternalResolver,
  damage: string[],
): Bytes {
  const size = byteSize(dtype, count);
  if (external !== undefined) return resolve(external, external.length ?? size ?? 0);
  if (size === undefined) return memoryBytes(new Uint8Array(0));
  if (draft.raw !== undefined) {
    if (draft.raw.length >= size) return draft.raw.slice(0, size);
    damage.push(`holds ${draft.raw.length} bytes where its shape needs ${size}`);
    return missingBytes(size, `the data of '${draft.name}' is shorter than its shape needs`);
  }
  if (draft.typed.length === 0) {
    if (size === 0) return memoryBytes(new Uint8Array(0));
    damage.push('has no data');
    return missingBytes(size, `'${draft.name}' has no data`);
  }
  return typedBytes(draft.typed, dtype, size, draft.name);
}

/** Lazily turns `float_data`, `int32_data`, … into the flat form. */
function typedBytes(runs: Draft['typed'], dtype: DType, size: number, name: string): Bytes {
  let flat: Uint8Array | undefined;
  const decode = (): Uint8Array => {
    flat ??= flatten(runs, dtype, size, name);
    return flat;
  };
  const view = (start: number, length: number): Bytes => ({
    length,
    read: (offset = 0, count = length - offset) =>
      decode().subarray(start + offset, start + Math.min(offset + count, length)),
    slice: (offset, count) => view(start + offset, Math.min(count, length - offset)),
  });
  return view(0, size);
}

function flatten(runs: Draft['typed'], dtype: DType, size: number, name: string): Uint8Array {
  const field = runs[0]?.field;
  const raw = field === typedFields.float || field === typedFields.double;
  const bytes = raw ? joinRaw(runs) : encodeStored(dtype, integersOf(runs));
  if (bytes.length < size) {
    throw new KerfError('truncated', `'${name}' holds ${bytes.length} bytes where its shape needs ${size}`);
  }
  return bytes.subarray(0, size);
}

function joinRaw(runs: Draft['typed']): Uint8Array {
  const joined = new Uint8Array(runs.reduce((sum, run) => sum + run.payload.length, 0));
  let at = 0;
  for (const run of runs) {
    joined.set(run.payload.read(), at);
    at += run.payload.length;
  }
  return joined;
}

function integersOf(runs: Draft['typed']): (number | bigint)[] {
  const values: (number | bigint)[] = [];
  for (const run of runs) {
    const reader = new WireReader(run.payload);
    while (reader.pos < run.payload.length) values.push(reader.varint64(run.payload.length));
  }
  return values;
}

/** `int32_data` holds bit patterns for 16-bit floats and whole bytes for sub-byte types (onnx.proto, TensorProto). */
function encodeStored(dtype: DType, values: readonly (number | bigint)[]): Uint8Array {
  if (dtype === 'int64' || dtype === 'uint64') {
    const view = new DataView(new ArrayBuffer(values.length * 8));
    values.forEach((value, i) => view.setBigInt64(i * 8, BigInt.asIntN(64, BigInt(value)), true));
    return new Uint8Array(view.buffer);
  }
  const bits = bitsOf(dtype);
  const stored: DType = bits <= 8 ? 'uint8' : bits === 16 ? 'uint16' : 'int32';
  return encodeNumbers(stored, values.map(Number));
}
