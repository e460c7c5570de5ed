import { builtinOptions, builtinOptions2 } from './optionTables.ts';
import { enums as enumLines, structureTables, unions as unionLines } from './tables.ts';

export type ScalarType =
  | 'bool'
  | 'byte'
  | 'ubyte'
  | 'short'
  | 'ushort'
  | 'int'
  | 'uint'
  | 'long'
  | 'ulong'
  | 'float';

/** Bytes of each scalar. */
export const widthOf: Readonly<Record<ScalarType, number>> = {
  bool: 1,
  byte: 1,
  ubyte: 1,
  short: 2,
  ushort: 2,
  int: 4,
  uint: 4,
  long: 8,
  ulong: 8,
  float: 4,
};

export type FieldType =
  | { readonly kind: 'scalar'; readonly scalar: ScalarType; readonly enum?: readonly string[] }
  | { readonly kind: 'string' }
  /** A vector of bytes: read as a slice of the file, never element by element. */
  | { readonly kind: 'blob'; readonly align: number }
  | { readonly kind: 'scalars'; readonly scalar: ScalarType; readonly align: number }
  | { readonly kind: 'table'; readonly table: string }
  | { readonly kind: 'tables'; readonly table: string }
  /** The tag stands in the slot before. */
  | { readonly kind: 'union'; readonly members: readonly string[] };

export interface Field {
  readonly name: string;
  /** Position in the vtable; for a union the slot of the value. */
  readonly slot: number;
  readonly type: FieldType;
  readonly default: number;
}

export interface TableSchema {
  readonly name: string;
  readonly fields: readonly Field[];
  readonly slots: number;
}

const lines = (text: string) => text.trim().split('\n');

const enums = new Map(
  lines(enumLines).map((line) => {
    const [name = '', storage = '', ...members] = line.trim().split(' ');
    return [name, { storage: storage as ScalarType, members }];
  }),
);

const firstWords = (text: string) => lines(text).map((line) => line.split(' ')[0] as string);

const unions = new Map<string, readonly string[]>([
  ...Object.entries(unionLines).map(([name, members]) => [name, members.split(' ')] as const),
  ['BuiltinOptions', firstWords(builtinOptions)],
  ['BuiltinOptions2', firstWords(builtinOptions2)],
]);

function fieldType(text: string): FieldType {
  const [, element, align] = /^\[(\w+)\](?:@(\d+))?$/.exec(text) ?? [];
  if (element !== undefined) {
    if (element === 'ubyte') return { kind: 'blob', align: Number(align ?? 1) };
    if (!(element in widthOf)) return { kind: 'tables', table: element };
    const scalar = element as ScalarType;
    return { kind: 'scalars', scalar, align: Math.max(widthOf[scalar], Number(align ?? 1)) };
  }
  if (text === 'string') return { kind: 'string' };
  if (text in widthOf) return { kind: 'scalar', scalar: text as ScalarType };
  const named = enums.get(text);
  if (named !== undefined) return { kind: 'scalar', scalar: named.storage, enum: named.members };
  const members = unions.get(text);
  return members === undefined ? { kind: 'table', table: text } : { kind: 'union', members };
}

function parseTable(line: string): TableSchema {
  const [name = '', ...words] = line.trim().split(' ');
  const fields: Field[] = [];
  let slot = 0;
  for (const word of words) {
    const [field = '', rest = ''] = word.split(':');
    const [type = '', initial] = rest.split('=');
    const parsed = fieldType(type);
    if (parsed.kind === 'union') slot += 1;
    fields.push({ name: field, slot, type: parsed, default: Number(initial ?? 0) });
    slot += 1;
  }
  return { name, fields, slots: slot };
}

const tables = new Map(
  [structureTables, builtinOptions, builtinOptions2]
    .flatMap((text) => lines(text))
    .map((line) => parseTable(line))
    .map((table) => [table.name, table] as const),
);

const looseNames = new Map([...tables.keys()].map((name) => [name.toLowerCase(), name]));

/** The table called `name`; the schema names only tables that it has. */
export function tableOf(name: string): TableSchema {
  return tables.get(name) as TableSchema;
}

/** The table whose name is this one when upper and lower case do not matter. */
export function tableByLooseName(name: string): string | undefined {
  return looseNames.get(name.toLowerCase());
}

export function membersOf(union: 'BuiltinOptions' | 'BuiltinOptions2'): readonly string[] {
  return unions.get(union) ?? [];
}
