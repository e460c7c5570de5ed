import type { Bytes } from '../../../../src/ir/bytes.ts';
import type { Damage } from '../../../../src/ir/errors.ts';
import { KerfError } from '../../../../src/ir/errors.ts';
import { Cursor } from '../../../../src/formats/tflite/cursor.ts';
import type { FieldType, TableSchema } from '../../../../src/formats/tflite/schema.ts';
import { tableOf, widthOf } from '../../../../src/formats/tflite/schema.ts';

/**
 * Checks what the flatbuffer format asks of a file beyond what reading needs: bounds, alignment of tables, scalars and
 * vectors (16 bytes for buffers), strings that end in a zero. Gives every violation.
 */
export function verifyTflite(bytes: Bytes): readonly Damage[] {
  const verifier = new Verifier(new Cursor(bytes));
  verifier.guarded('', () => verifier.table(tableOf('Model'), verifier.cursor.number('uint', 0), ''));
  return verifier.damage;
}

class Verifier {
  readonly cursor: Cursor;
  readonly damage: Damage[] = [];
  readonly #seen = new Set<number>();

  constructor(cursor: Cursor) {
    this.cursor = cursor;
  }

  /** Notes what cannot be read as damage. */
  guarded(place: string, check: () => void): void {
    try {
      check();
    } catch (error) {
      if (!KerfError.is(error, 'truncated')) throw error;
      this.#report('error', place, error.message);
    }
  }

  table(schema: TableSchema, at: number, place: string): void {
    if (this.#seen.has(at)) return;
    this.#seen.add(at);
    const { cursor } = this;
    this.#aligned(at, 4, place);
    const vtable = at - cursor.number('int', at);
    this.#aligned(vtable, 2, `${place} (vtable)`);
    const vtableLength = cursor.number('ushort', vtable);
    const length = cursor.number('ushort', vtable + 2);
    cursor.require(vtable, vtableLength);
    cursor.require(at, length);
    for (const field of schema.fields) {
      const slots = field.type.kind === 'union' ? [field.slot - 1, field.slot] : [field.slot];
      const offsets = slots.map((slot) =>
        4 + 2 * slot < vtableLength ? cursor.number('ushort', vtable + 4 + 2 * slot) : 0,
      );
      const offset = offsets.at(-1) as number;
      if (offset === 0) continue;
      const tag = offsets.length === 2 ? cursor.number('ubyte', at + (offsets[0] as number)) : 0;
      const where = place === '' ? field.name : `${place}.${field.name}`;
      const width = field.type.kind === 'scalar' ? widthOf[field.type.scalar] : 4;
      if (offset + width > length) this.#report('error', where, 'lies outside its table');
      this.#aligned(at + offset, width, where);
      if (field.type.kind !== 'scalar')
        this.guarded(where, () => this.#reference(field.type, at + offset, tag, where));
    }
  }

  #reference(type: FieldType, slot: number, tag: number, place: string): void {
    const target = slot + this.cursor.number('uint', slot);
    switch (type.kind) {
      case 'table':
        return this.table(tableOf(type.table), target, place);
      case 'union': {
        const member = type.members[tag - 1];
        return member === undefined ? undefined : this.table(tableOf(member), target, place);
      }
      case 'tables':
        return this.#tables(tableOf(type.table), target, place);
      case 'string': {
        const count = this.#vector(target, 1, 4, place);
        if (this.cursor.number('ubyte', target + 4 + count) !== 0)
          this.#report('error', place, 'does not end in a zero');
        return undefined;
      }
      case 'blob':
        this.#vector(target, 1, type.align, place);
        return undefined;
      case 'scalars':
        this.#vector(target, widthOf[type.scalar], type.align, place);
        return undefined;
      case 'scalar':
        return undefined;
    }
  }

  #tables(schema: TableSchema, target: number, place: string): void {
    const count = this.#vector(target, 4, 4, place);
    for (let index = 0; index < count; index += 1) {
      const slot = target + 4 + 4 * index;
      const where = `${place}[${index}]`;
      this.guarded(where, () => this.table(schema, slot + this.cursor.number('uint', slot), where));
    }
  }

  #vector(target: number, width: number, align: number, place: string): number {
    this.#aligned(target, 4, place);
    const count = this.cursor.number('uint', target);
    this.cursor.require(target + 4, count * width);
    if (count > 0) this.#aligned(target + 4, align, place);
    return count;
  }

  #aligned(at: number, unit: number, place: string): void {
    if (at % unit !== 0) this.#report('warning', place, `byte ${at} is not aligned to ${unit}`);
  }

  #report(severity: Damage['severity'], place: string, message: string): void {
    this.damage.push({ severity, place, message });
  }
}
