import type { Bytes } from '../../ir/bytes.ts';
import type { Damage } from '../../ir/errors.ts';
import { KerfError } from '../../ir/errors.ts';
import { Cursor } from './cursor.ts';
import type { Cell, Row, Scalar } from './row.ts';
import type { Field, FieldType, ScalarType, TableSchema } from './schema.ts';
import { tableOf, widthOf } from './schema.ts';

/** A flatbuffer as rows. */
interface Decoded {
  readonly root: Row;
  readonly damage: readonly Damage[];
  /** End of the farthest byte that the structure refers to. */
  readonly extent: number;
}

const damageKept = 200;
/** An error takes about as long as decoding so many bytes. */
const errorCost = 1024;

/**
 * Decodes the tables of a flatbuffer from `rootTable` down. A field that points outside the file or makes no sense is
 * left out and reported; offsets only point forward through a schema without recursion, so there are no cycles.
 * Throws `KerfError('truncated' | 'malformed')` when the root itself cannot be read.
 */
export function decode(bytes: Bytes, rootTable: string): Decoded {
  const decoder = new Decoder(bytes);
  const root = decoder.table(tableOf(rootTable), decoder.cursor.number('uint', 0));
  return { root, damage: decoder.damage(), extent: decoder.cursor.extent };
}

class Decoder {
  readonly cursor: Cursor;
  readonly #damage: Damage[] = [];
  #unlisted = 0;
  readonly #path: (string | number)[] = [];
  /** Bytes of structure that may still be decoded: shared tables are read once per reference, hostile ones without end. */
  #budget: number;

  constructor(bytes: Bytes) {
    this.cursor = new Cursor(bytes);
    this.#budget = Math.min(16 * bytes.length + 2 ** 20, 2 ** 28);
  }

  damage(): readonly Damage[] {
    if (this.#unlisted === 0) return this.#damage;
    const message = `${this.#unlisted} more places are damaged`;
    return [...this.#damage, { severity: 'error', place: '', message }];
  }

  table(schema: TableSchema, at: number): Row {
    const { cursor } = this;
    const vtable = at - cursor.number('int', at);
    const vtableLength = cursor.number('ushort', vtable);
    const length = cursor.number('ushort', vtable + 2);
    cursor.require(vtable, vtableLength);
    cursor.require(at, length);
    if (vtableLength < 4 || vtableLength % 2 !== 0 || length < 4)
      throw new KerfError('malformed', `the ${schema.name} table at byte ${at} has no valid vtable`);
    this.#spend(vtableLength + length + 24);
    const slots = (vtableLength - 4) / 2;
    const offsetOf = (slot: number) => (slot < slots ? cursor.number('ushort', vtable + 4 + 2 * slot) : 0);
    const cells = new Map<string, Cell>();
    let problem: string | undefined;
    const depth = this.#path.length;
    for (const field of schema.fields) {
      this.#path.push(field.name);
      try {
        const cell = this.#field(field, at, length, offsetOf);
        if (cell === 'unknown')
          problem ??= `${schema.name}.${field.name} is of a kind this version does not know`;
        else if (cell !== undefined) cells.set(field.name, cell);
      } catch (error) {
        this.#report(error);
        problem ??= `${schema.name}.${field.name} is damaged`;
        this.#path.length = depth + 1;
      }
      this.#path.pop();
    }
    for (let slot = schema.slots; slot < slots; slot += 1)
      if (offsetOf(slot) !== 0)
        problem ??= `${schema.name} has a field (slot ${slot}) this version does not know`;
    return problem === undefined ? { table: schema.name, cells } : { table: schema.name, cells, problem };
  }

  #field(
    field: Field,
    at: number,
    length: number,
    offsetOf: (slot: number) => number,
  ): Cell | 'unknown' | undefined {
    const offset = offsetOf(field.slot);
    const inside = (from: number, width: number) => {
      if (from < 4 || from + width > length) throw new KerfError('malformed', 'lies outside its table');
      return at + from;
    };
    if (field.type.kind === 'scalar') {
      if (offset === 0) return undefined;
      const { scalar } = field.type;
      return { kind: 'scalar', value: this.cursor.scalar(scalar, inside(offset, widthOf[scalar])) };
    }
    let tag = 0;
    if (field.type.kind === 'union') {
      const tagOffset = offsetOf(field.slot - 1);
      tag = tagOffset === 0 ? 0 : this.cursor.number('ubyte', inside(tagOffset, 1));
      if (tag > field.type.members.length) return 'unknown';
    }
    if (offset === 0) {
      if (tag !== 0) throw new KerfError('malformed', `names union member ${tag} but holds nothing`);
      return undefined;
    }
    const slot = inside(offset, 4);
    const target = slot + this.cursor.number('uint', slot);
    return this.#reference(field.type, target, tag);
  }

  #reference(type: FieldType, target: number, tag: number): Cell | undefined {
    switch (type.kind) {
      case 'string': {
        const { at, count } = this.#vector(target, 1);
        this.#spend(count);
        return { kind: 'string', value: this.cursor.copy(at, count) };
      }
      case 'blob': {
        const { at, count } = this.#vector(target, 1);
        return { kind: 'blob', value: this.cursor.bytes.slice(at, count) };
      }
      case 'scalars':
        return this.#scalars(type.scalar, target);
      case 'table':
        return { kind: 'row', value: this.table(tableOf(type.table), target) };
      case 'tables':
        return { kind: 'rows', value: this.#tables(tableOf(type.table), target) };
      case 'union': {
        const member = type.members[tag - 1];
        if (member === undefined) return undefined;
        return { kind: 'choice', value: { tag, row: this.table(tableOf(member), target) } };
      }
      case 'scalar':
        return undefined;
    }
  }

  #vector(target: number, width: number): { at: number; count: number } {
    const count = this.cursor.number('uint', target);
    this.cursor.require(target + 4, count * width);
    return { at: target + 4, count };
  }

  #scalars(scalar: ScalarType, target: number): Cell {
    const width = widthOf[scalar];
    const { at, count } = this.#vector(target, width);
    this.#spend(count * width);
    if (scalar === 'float') {
      const value = new Float32Array(count);
      for (let index = 0; index < count; index += 1)
        value[index] = this.cursor.number(scalar, at + 4 * index);
      return { kind: 'floats', value };
    }
    const value: Scalar[] = [];
    for (let index = 0; index < count; index += 1) value.push(this.cursor.scalar(scalar, at + width * index));
    return { kind: 'integers', value };
  }

  #tables(schema: TableSchema, target: number): readonly Row[] {
    const { at, count } = this.#vector(target, 4);
    this.#spend(count * 4);
    const rows: Row[] = [];
    const depth = this.#path.length;
    for (let index = 0; index < count; index += 1) {
      const slot = at + 4 * index;
      this.#path.push(index);
      try {
        rows.push(this.table(schema, slot + this.cursor.number('uint', slot)));
      } catch (error) {
        this.#report(error);
        this.#path.length = depth + 1;
        rows.push({ table: schema.name, cells: new Map(), problem: `${schema.name} ${index} is damaged` });
      }
      this.#path.pop();
    }
    return rows;
  }

  #spend(bytes: number): void {
    this.#budget -= bytes;
    if (this.#budget < 0) {
      throw new KerfError('malformed', 'describes far more structure than a file of this size can hold');
    }
  }

  /** Notes damage at the current place; a spent budget ends the whole reading. */
  #report(error: unknown): void {
    const readable = KerfError.is(error, 'truncated') || KerfError.is(error, 'malformed');
    if (!readable || this.#budget < 0) throw error;
    this.#spend(errorCost);
    if (this.#damage.length >= damageKept) {
      this.#unlisted += 1;
      return;
    }
    const place = this.#path.reduce<string>(
      (text, part) =>
        typeof part === 'number' ? `${text}[${part}]` : text === '' ? part : `${text}.${part}`,
      '',
    );
    this.#damage.push({ severity: 'error', place, message: error.message });
  }
}
