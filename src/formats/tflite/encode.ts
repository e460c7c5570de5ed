import type { Bytes } from '../../ir/bytes.ts';
import { memoryBytes } from '../../ir/bytes.ts';
import { KerfError } from '../../ir/errors.ts';
import type { Cell, Row, Scalar } from './row.ts';
import type { Field, ScalarType } from './schema.ts';
import { tableOf, widthOf } from './schema.ts';

/** Byte vectors longer than this are not copied into the structure. */
const inlineBytes = 1 << 16;
/** Offsets are unsigned 32-bit, but runtimes verify against 2 GiB. */
const largestFlatbuffer = 2 ** 31 - 1;

/** Content that is stored after the flatbuffer; the row's 64-bit `offset` and `size` fields are filled in. */
export interface Outside {
  readonly data: Bytes;
  readonly offset: string;
  readonly size: string;
}

interface Layout {
  readonly identifier: string;
  readonly outside: ReadonlyMap<Row, Outside>;
}

/**
 * Encodes rows as a flatbuffer: structure first, then the byte vectors one after another, then what lies outside.
 * The parts are to be written one after the other; weights are passed on as they are, never copied together.
 * Throws `KerfError('unsupported')` for rows that hold what the schema table does not know.
 */
export function encode(root: Row, layout: Layout): readonly Bytes[] {
  const builder = new Builder(layout);
  return builder.finish(builder.table(root));
}

interface Entry {
  readonly slot: number;
  readonly width: number;
  readonly field: Field;
  readonly cell: Cell;
  readonly tag: boolean;
}

class Builder {
  readonly #layout: Layout;
  #bytes = new Uint8Array(1 << 16);
  #view = new DataView(this.#bytes.buffer);
  #end = 8;
  readonly #vtables = new Map<string, number>();
  readonly #later: { readonly slot: number; readonly data: Bytes; readonly align: number }[] = [];
  readonly #outside: { readonly offset: number; readonly size: number; readonly data: Bytes }[] = [];

  constructor(layout: Layout) {
    this.#layout = layout;
  }

  /** Writes a table with everything it refers to; gives its position. */
  table(row: Row): number {
    if (row.problem !== undefined) {
      throw new KerfError('unsupported', `cannot be written again without loss: ${row.problem}`, {
        place: row.table,
      });
    }
    const entries = entriesOf(row);
    const offsets = new Map<Entry, number>();
    let length = 4;
    for (const entry of entries) {
      offsets.set(entry, length);
      length += entry.width;
    }
    const vtable = this.#vtable(entries, offsets, length);
    const wide = entries[0]?.width === 8;
    this.#align(wide ? 8 : 4, wide ? 4 : 0);
    const at = this.#reserve(length);
    this.#view.setInt32(at, at - vtable, true);
    const references: (readonly [number, Entry])[] = [];
    for (const entry of entries) {
      const position = at + (offsets.get(entry) as number);
      if (entry.tag) this.#view.setUint8(position, entry.cell.kind === 'choice' ? entry.cell.value.tag : 0);
      else if (entry.cell.kind === 'scalar' && entry.field.type.kind === 'scalar')
        this.#set(entry.field.type.scalar, position, entry.cell.value);
      else references.push([position, entry]);
    }
    this.#noteOutside(row, at, entries, offsets);
    for (const [slot, entry] of references) this.#reference(slot, entry);
    return at;
  }

  /** Closes the buffer and lays the large contents out behind the structure. */
  finish(root: number): readonly Bytes[] {
    this.#view.setUint32(0, root, true);
    for (let index = 0; index < 4; index += 1)
      this.#bytes[4 + index] = this.#layout.identifier.charCodeAt(index);
    let position = this.#end;
    const tails: Bytes[] = [];
    for (const { slot, data, align } of this.#later) {
      const head = new Uint8Array(padding(position + 4, align) + 4);
      const at = position + head.length - 4;
      new DataView(head.buffer).setUint32(head.length - 4, data.length, true);
      this.#view.setUint32(slot, at - slot, true);
      tails.push(memoryBytes(head), data);
      position = at + 4 + data.length;
    }
    if (position > largestFlatbuffer)
      throw new KerfError('internal', `a flatbuffer of ${position} bytes: its buffers must lie outside`);
    for (const { offset, size, data } of this.#outside) {
      const pad = padding(position, 16);
      if (pad > 0) tails.push(memoryBytes(new Uint8Array(pad)));
      this.#set('ulong', offset, position + pad);
      this.#set('ulong', size, data.length);
      tails.push(data);
      position += pad + data.length;
    }
    return [memoryBytes(this.#bytes.subarray(0, this.#end)), ...tails];
  }

  #vtable(entries: readonly Entry[], offsets: ReadonlyMap<Entry, number>, length: number): number {
    const slotCount = Math.max(0, ...entries.map((entry) => entry.slot + 1));
    const slots = Array.from({ length: slotCount }, () => 0);
    for (const [entry, offset] of offsets) slots[entry.slot] = offset;
    const words = [4 + 2 * slots.length, length, ...slots];
    const key = words.join(' ');
    let at = this.#vtables.get(key);
    if (at === undefined) {
      this.#align(2);
      at = this.#reserve(2 * words.length);
      for (const [index, word] of words.entries()) this.#view.setUint16(at + 2 * index, word, true);
      this.#vtables.set(key, at);
    }
    return at;
  }

  #noteOutside(row: Row, at: number, entries: readonly Entry[], offsets: ReadonlyMap<Entry, number>): void {
    const outside = this.#layout.outside.get(row);
    if (outside === undefined) return;
    const position = (name: string) => {
      const entry = entries.find((each) => each.field.name === name) as Entry;
      return at + (offsets.get(entry) as number);
    };
    const { data } = outside;
    this.#outside.push({ offset: position(outside.offset), size: position(outside.size), data });
  }

  #reference(slot: number, { cell, field }: Entry): void {
    if (cell.kind === 'blob' && cell.value.length > 0) {
      const align = field.type.kind === 'blob' ? field.type.align : 1;
      if (align >= 16 || cell.value.length > inlineBytes) {
        this.#later.push({ slot, data: cell.value, align: Math.max(4, align) });
        return;
      }
    }
    const at = this.#referenced(cell, field);
    this.#view.setUint32(slot, at - slot, true);
  }

  #referenced(cell: Cell, field: Field): number {
    switch (cell.kind) {
      case 'row':
        return this.table(cell.value);
      case 'choice':
        return this.table(cell.value.row);
      case 'rows':
        return this.#tables(cell.value);
      case 'string':
        return this.#octets(cell.value, 4, 1);
      case 'blob':
        return this.#octets(cell.value.read(), field.type.kind === 'blob' ? field.type.align : 1, 0);
      case 'floats':
        return this.#scalars('float', 4, Array.from(cell.value));
      case 'integers':
      case 'scalar': {
        const values = cell.kind === 'integers' ? cell.value : [cell.value];
        if (field.type.kind === 'scalars') return this.#scalars(field.type.scalar, field.type.align, values);
        throw new KerfError('internal', `${field.name} cannot hold integers`);
      }
    }
  }

  #tables(rows: readonly Row[]): number {
    this.#align(4);
    const at = this.#reserve(4 + 4 * rows.length);
    this.#view.setUint32(at, rows.length, true);
    rows.forEach((row, index) => {
      const slot = at + 4 + 4 * index;
      const target = this.table(row);
      this.#view.setUint32(slot, target - slot, true);
    });
    return at;
  }

  #octets(octets: Uint8Array, align: number, terminators: number): number {
    this.#alignElements(align);
    const at = this.#reserve(4 + octets.length + terminators);
    this.#view.setUint32(at, octets.length, true);
    this.#bytes.set(octets, at + 4);
    return at;
  }

  #scalars(type: ScalarType, align: number, values: readonly Scalar[]): number {
    const width = widthOf[type];
    this.#alignElements(align);
    const at = this.#reserve(4 + width * values.length);
    this.#view.setUint32(at, values.length, true);
    values.forEach((value, index) => this.#set(type, at + 4 + width * index, value));
    return at;
  }

  /** Aligns so that what follows a 32-bit length is aligned. */
  #alignElements(align: number): void {
    this.#align(Math.max(4, align), Math.max(4, align) - 4);
  }

  /** Moves to the next position whose remainder by `unit` is `remainder`. */
  #align(unit: number, remainder = 0): void {
    this.#reserve(padding(this.#end - remainder + unit, unit));
  }

  /** Room for `length` zero bytes. */
  #reserve(length: number): number {
    const at = this.#end;
    this.#end += length;
    if (this.#end > this.#bytes.length) {
      if (this.#end > largestFlatbuffer) throw new KerfError('unsupported', 'the structure exceeds 2 GiB');
      const grown = new Uint8Array(Math.max(this.#end, 2 * this.#bytes.length));
      grown.set(this.#bytes);
      this.#bytes = grown;
      this.#view = new DataView(grown.buffer);
    }
    return at;
  }

  #set(type: ScalarType, at: number, value: Scalar): void {
    const view = this.#view;
    const number = Number(value);
    switch (type) {
      case 'bool':
      case 'byte':
      case 'ubyte':
        return view.setUint8(at, number & 0xff);
      case 'short':
      case 'ushort':
        return view.setUint16(at, number & 0xffff, true);
      case 'int':
      case 'uint':
        return view.setUint32(at, number >>> 0, true);
      case 'long':
      case 'ulong':
        return view.setBigUint64(at, BigInt.asUintN(64, BigInt(value)), true);
      case 'float':
        return view.setFloat32(at, number, true);
    }
  }
}

function padding(position: number, unit: number): number {
  return (unit - (position % unit)) % unit;
}

/** The row's fields as they go into the table: widest first, so that each is aligned without gaps. */
function entriesOf(row: Row): readonly Entry[] {
  const entries: Entry[] = [];
  for (const field of tableOf(row.table).fields) {
    const cell = row.cells.get(field.name);
    if (cell === undefined) continue;
    const width = field.type.kind === 'scalar' ? widthOf[field.type.scalar] : 4;
    entries.push({ slot: field.slot, width, field, cell, tag: false });
    if (field.type.kind === 'union') entries.push({ slot: field.slot - 1, width: 1, field, cell, tag: true });
  }
  return entries.sort((a, b) => b.width - a.width || a.slot - b.slot);
}
