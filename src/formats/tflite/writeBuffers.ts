import type { Bytes } from '../../ir/bytes.ts';
import { KerfError } from '../../ir/errors.ts';
import type { TfliteModel, Value } from '../../ir/model.ts';
import type { Tensor } from '../../ir/tensor.ts';
import { writeStrings } from './constants.ts';
import type { Outside } from './encode.ts';
import type { BufferSlot } from './extra.ts';
import { modelExtra, slotOfData, tensorExtra, valueExtra } from './extra.ts';
import { cell, row, scalarOf, withCells, type Row } from './row.ts';

/** Above this much content the buffers go behind the flatbuffer, whose offsets end at 2 GiB; 64 MiB stay for structure. */
const largestInside = 2 ** 31 - 2 ** 26;

interface Entry {
  readonly order: number;
  readonly data?: Bytes;
  readonly row?: Row;
}

/** The buffer list of the file to be written, and who finds which buffer where. */
export interface BufferPlan {
  readonly rows: readonly Row[];
  readonly outside: ReadonlyMap<Row, Outside>;
  indexOf(value: Value): number;
  indexOfData(data: Bytes): number;
  /** New index of a buffer as read, or `undefined` when it is gone. */
  indexOfSlot(index: number): number | undefined;
}

/** True for the content of a sparse or string constant that is still what was read. */
export function storedForm(tensor: Tensor): ReturnType<typeof tensorExtra> {
  const extra = tensorExtra(tensor);
  const valid = extra !== undefined && (extra.content === tensor.data || extra.content === tensor.strings);
  return valid ? extra : undefined;
}

/**
 * Collects the buffers that tensors and metadata need, in their old order with new ones behind. Tensors with the
 * same `data` share a buffer; buffer 0 is empty. Buffers that were empty or unused before stay.
 */
export function planBuffers(model: TfliteModel, limit = largestInside): BufferPlan {
  const extra = modelExtra(model);
  const strings = new Map<Tensor, Bytes>();
  const keyOf = (value: Value) => bufferKey(value, strings);
  const entries = new Map<object, Entry>();
  const add = (key: object | undefined) => {
    if (key === undefined || entries.has(key)) return;
    entries.set(key, isSlot(key) ? entryOf(key) : { order: Number.POSITIVE_INFINITY, data: key as Bytes });
  };
  for (const graph of model.graphs) for (const value of graph.values.values()) add(keyOf(value));
  for (const { data } of model.metadata) add(slotOfData.get(data) ?? data);
  for (const slot of extra?.orphans ?? []) add(slot);
  const sorted = [...entries].sort(([, a], [, b]) => (a.order === b.order ? 0 : a.order - b.order));
  const first = extra?.slots[0];
  const indices = new Map<object, number>(sorted.map(([key], index) => [key, index + 1]));
  const sentinel: Entry = first === undefined || first.data !== undefined ? { order: 0 } : entryOf(first);
  const contents = [sentinel, ...sorted.map(([, entry]) => entry)];
  const total = contents.reduce((sum, entry) => sum + (entry.data?.length ?? 0), 0);
  const outside = new Map<Row, Outside>();
  const rows = contents.map((entry) => bufferRow(entry, total > limit, outside));
  const found = (key: object | undefined) => (key === undefined ? 0 : (indices.get(key) ?? 0));
  return {
    rows,
    outside,
    indexOf: (value) => found(keyOf(value)),
    indexOfData: (data) => found(slotOfData.get(data) ?? data),
    indexOfSlot: (index) => {
      const slot = extra?.slots[index];
      return slot === undefined || index === 0 ? undefined : indices.get(slot);
    },
  };
}

const isSlot = (key: object): key is BufferSlot => 'index' in key && 'row' in key;

function entryOf(slot: BufferSlot): Entry {
  return { order: slot.index, row: slot.row, ...(slot.data && { data: slot.data }) };
}

/** What a value's buffer is known by: its slot as read, or the bytes themselves; `undefined` is buffer 0. */
function bufferKey(value: Value, strings: Map<Tensor, Bytes>): object | undefined {
  const extra = valueExtra(value);
  const { constant } = value;
  if (extra !== undefined && constant === extra.as.constant) {
    return extra.slot === undefined || extra.slot.index === 0 ? undefined : extra.slot;
  }
  if (constant === undefined) return undefined;
  const data =
    storedForm(constant)?.stored ??
    (constant.dtype === 'string' ? stringData(constant, strings) : constant.data);
  if (data.missing !== undefined)
    throw new KerfError('missing-weights', data.missing, { place: `tensor "${value.name}"` });
  return slotOfData.get(data) ?? data;
}

function stringData(tensor: Tensor, strings: Map<Tensor, Bytes>): Bytes {
  let data = strings.get(tensor);
  if (data === undefined) {
    data = writeStrings(tensor.strings ?? []);
    strings.set(tensor, data);
  }
  return data;
}

function bufferRow(entry: Entry, large: boolean, outside: Map<Row, Outside>): Row {
  const base = entry.row ?? row('Buffer');
  const { data } = entry;
  const wasOutside = scalarOf(base, 'offset') > 1;
  if (data === undefined || data.length === 0) return base;
  if (!large && !wasOutside) {
    return withCells(base, [
      ['data', cell.blob(data)],
      ['offset', undefined],
      ['size', undefined],
    ]);
  }
  const made = withCells(base, [
    ['data', undefined],
    ['offset', cell.scalar(2)],
    ['size', cell.scalar(2)],
  ]);
  outside.set(made, { data, offset: 'offset', size: 'size' });
  return made;
}
