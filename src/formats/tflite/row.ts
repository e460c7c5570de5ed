import type { Bytes } from '../../ir/bytes.ts';

export type Scalar = number | bigint;

/** A union's value: the member's tag and its table. */
export interface Choice {
  readonly tag: number;
  readonly row: Row;
}

/**
 * One field's content. Booleans are 0 and 1; 64-bit integers are bigints only where numbers are unsafe; strings are
 * their bytes; byte vectors are slices of the file.
 */
export type Cell =
  | { readonly kind: 'scalar'; readonly value: Scalar }
  | { readonly kind: 'string'; readonly value: Uint8Array }
  | { readonly kind: 'blob'; readonly value: Bytes }
  | { readonly kind: 'floats'; readonly value: Float32Array }
  | { readonly kind: 'integers'; readonly value: readonly Scalar[] }
  | { readonly kind: 'row'; readonly value: Row }
  | { readonly kind: 'rows'; readonly value: readonly Row[] }
  | { readonly kind: 'choice'; readonly value: Choice };

/** A table of the file, as stored: a field that the file leaves out is absent here, even where it has a default. */
export interface Row {
  readonly table: string;
  readonly cells: ReadonlyMap<string, Cell>;
  /** Why this row cannot be written again: content that the schema table does not know, or damage. */
  readonly problem?: string;
}

const decoder = new TextDecoder();
const encoder = new TextEncoder();

export function row(table: string, cells: Iterable<readonly [string, Cell | undefined]> = []): Row {
  const kept = new Map<string, Cell>();
  for (const [name, cell] of cells) if (cell !== undefined) kept.set(name, cell);
  return { table, cells: kept };
}

/** The row with some cells replaced; `undefined` takes a cell away. */
export function withCells(base: Row, changes: Iterable<readonly [string, Cell | undefined]>): Row {
  const cells = new Map(base.cells);
  for (const [name, cell] of changes) {
    if (cell === undefined) cells.delete(name);
    else cells.set(name, cell);
  }
  return { ...base, cells };
}

export const cell = {
  scalar: (value: Scalar | boolean): Cell => ({ kind: 'scalar', value: Number(value) }),
  /** Absent when the value is the default. */
  unless: (initial: number, value: Scalar | boolean): Cell | undefined =>
    Number(value) === initial ? undefined : { kind: 'scalar', value: Number(value) },
  long: (value: Scalar): Cell => ({ kind: 'scalar', value }),
  text: (value: string): Cell => ({ kind: 'string', value: encoder.encode(value) }),
  blob: (value: Bytes): Cell => ({ kind: 'blob', value }),
  floats: (value: ArrayLike<number>): Cell => ({ kind: 'floats', value: Float32Array.from(value) }),
  integers: (value: readonly Scalar[]): Cell => ({ kind: 'integers', value }),
  row: (value: Row): Cell => ({ kind: 'row', value }),
  rows: (value: readonly Row[]): Cell => ({ kind: 'rows', value }),
  choice: (tag: number, value: Row): Cell => ({ kind: 'choice', value: { tag, row: value } }),
};

export function scalarOf(from: Row, name: string, fallback = 0): number {
  const found = from.cells.get(name);
  return found?.kind === 'scalar' ? Number(found.value) : fallback;
}

export function textOf(from: Row, name: string): string | undefined {
  const found = from.cells.get(name);
  return found?.kind === 'string' ? decoder.decode(found.value) : undefined;
}

export function blobOf(from: Row, name: string): Bytes | undefined {
  const found = from.cells.get(name);
  return found?.kind === 'blob' ? found.value : undefined;
}

/** `undefined` when absent: an absent vector is not an empty one. */
export function integersOf(from: Row, name: string): readonly number[] | undefined {
  const found = from.cells.get(name);
  return found?.kind === 'integers' ? found.value.map(Number) : undefined;
}

export function floatsOf(from: Row, name: string): Float32Array | undefined {
  const found = from.cells.get(name);
  return found?.kind === 'floats' ? found.value : undefined;
}

export function rowOf(from: Row, name: string): Row | undefined {
  const found = from.cells.get(name);
  return found?.kind === 'row' ? found.value : undefined;
}

export function rowsOf(from: Row, name: string): readonly Row[] {
  const found = from.cells.get(name);
  return found?.kind === 'rows' ? found.value : [];
}

export function choiceOf(from: Row, name: string): Choice | undefined {
  const found = from.cells.get(name);
  return found?.kind === 'choice' ? found.value : undefined;
}
