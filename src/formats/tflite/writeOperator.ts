import type { Attribute, Node, TfliteModel, ValueId } from '../../ir/model.ts';
import { KerfError } from '../../ir/errors.ts';
import { nodeExtra } from './extra.ts';
import { builtinCode, customCode, optionsTableOf } from './opcodes.ts';
import { operatorCode } from './readOperator.ts';
import { cell, choiceOf, row, withCells, type Cell, type Choice, type Row } from './row.ts';
import type { Field } from './schema.ts';
import { membersOf, tableOf } from './schema.ts';
import { versionToWrite } from './versions.ts';
import type { IndexOf } from './writeTensor.ts';

/** The operator codes of the file to be written; each is listed once. */
export interface CodePlan {
  readonly rows: readonly Row[];
  indexOf(node: Node): number;
}

/** Codes in their old order, without those nobody uses, new ones behind. */
export function planCodes(model: TfliteModel, oldCodes: readonly Row[]): CodePlan {
  const versions = new Map<Node, number>();
  const wanted = new Map<string, Node>();
  for (const graph of model.graphs) {
    for (const node of graph.nodes) {
      const version = versionToWrite(node, graph);
      versions.set(node, version);
      wanted.set(codeKey(node.op, node.domain, version), node);
    }
  }
  const rows = new Map<string, Row>();
  for (const old of oldCodes) {
    const { op, domain, version } = operatorCode(old);
    const key = codeKey(op, domain, version);
    if (wanted.has(key) && !rows.has(key)) rows.set(key, old);
  }
  for (const [key, node] of wanted)
    if (!rows.has(key)) rows.set(key, codeRow(node, versions.get(node) as number));
  const indices = new Map([...rows.keys()].map((key, index) => [key, index]));
  return {
    rows: [...rows.values()],
    indexOf: (node) => indices.get(codeKey(node.op, node.domain, versions.get(node) as number)) as number,
  };
}

const codeKey = (op: string, domain: string, version: number) => JSON.stringify([op, domain, version]);

/** `deprecated_builtin_code` is a byte that saturates at 127; readers take the larger of the two codes. */
function codeRow(node: Node, version: number): Row {
  const custom = node.domain === 'custom';
  const code = custom ? customCode : builtinCode(node.op);
  if (code === undefined) {
    const place = `layer "${node.id}"`;
    throw new KerfError('unsupported', `TFLite has no operator ${node.domain}${node.op}`, { place });
  }
  return row('OperatorCode', [
    ['deprecated_builtin_code', cell.unless(0, Math.min(code, 127))],
    ['custom_code', custom ? cell.text(node.op) : undefined],
    ['version', cell.unless(1, version)],
    ['builtin_code', cell.unless(0, code)],
  ]);
}

/** The row of an operator: as it was read, with what has changed since. */
export function writeOperator(node: Node, codes: CodePlan, indexOf: IndexOf): Row {
  const extra = nodeExtra(node);
  const base = extra?.row ?? row('Operator');
  const indices = (ids: readonly (ValueId | null)[]) => ids.map((id) => (id === null ? -1 : indexOf(id)));
  const code = codes.indexOf(node);
  const changes: (readonly [string, Cell | undefined])[] = [
    ['opcode_index', code === 0 && !base.cells.has('opcode_index') ? undefined : cell.scalar(code)],
    ['inputs', vector(base, 'inputs', indices(node.inputs), extra === undefined)],
    ['outputs', vector(base, 'outputs', indices(node.outputs), extra === undefined)],
    ['intermediates', vector(base, 'intermediates', indices(node.intermediates ?? []), false)],
    ...optionCells(node),
    ...customCells(node),
  ];
  if (extra !== undefined && node.inputs.length !== extra.as.inputs.length)
    changes.push(['mutating_variable_inputs', mutating(base, node.inputs.length)]);
  return withCells(base, changes);
}

/** An absent vector stays absent and an empty one empty. */
function vector(base: Row, name: string, values: readonly number[], required: boolean): Cell | undefined {
  return values.length > 0 || required || base.cells.has(name) ? cell.integers(values) : undefined;
}

/** Flags of variable inputs have as many entries as there are inputs, or none. */
function mutating(base: Row, inputs: number): Cell | undefined {
  const flags = base.cells.get('mutating_variable_inputs');
  if (flags?.kind !== 'integers' || flags.value.length === 0) return flags;
  const fitted = Array.from({ length: inputs }, (_, index) => flags.value[index] ?? 0);
  return fitted.some((flag) => Number(flag) !== 0) ? cell.integers(fitted) : undefined;
}

function optionCells(node: Node): readonly (readonly [string, Cell | undefined])[] {
  const extra = nodeExtra(node);
  const same = extra !== undefined && extra.as.op === node.op && extra.as.domain === node.domain;
  if (same && extra.as.attributes === node.attributes) return [];
  const read = same && extra.options !== undefined ? choiceOf(extra.row, extra.options) : undefined;
  const names = [...node.attributes.keys()].filter((name) => name !== 'custom_options');
  const table = read?.row.table ?? (node.domain === 'custom' ? undefined : optionsTableOf(node.op));
  const place = `layer "${node.id}"`;
  if (table === undefined) {
    if (names.length > 0)
      throw new KerfError('unsupported', `${node.op} has no options, so no "${names[0]}"`, { place });
    return [
      ['builtin_options', undefined],
      ['builtin_options_2', undefined],
    ];
  }
  if (same && read === undefined && names.length === 0) return [];
  const { fields } = tableOf(table);
  const unknown = names.find((name) => !fields.some((field) => field.name === name));
  if (unknown !== undefined)
    throw new KerfError('unsupported', `${node.op} has no option "${unknown}"`, { place });
  const options = optionRow(table, node, read, same ? extra.as.attributes : undefined);
  const tag = membersOf('BuiltinOptions').indexOf(table) + 1;
  if (tag > 0) {
    return [
      ['builtin_options', cell.choice(tag, options)],
      ['builtin_options_2', undefined],
    ];
  }
  const second = membersOf('BuiltinOptions2').indexOf(table) + 1;
  return [
    ['builtin_options', undefined],
    ['builtin_options_2', cell.choice(second, options)],
  ];
}

function optionRow(
  table: string,
  node: Node,
  read: Choice | undefined,
  before: ReadonlyMap<string, Attribute> | undefined,
): Row {
  const base = read?.row ?? row(table);
  const changes: (readonly [string, Cell | undefined])[] = [];
  for (const field of tableOf(table).fields) {
    const attribute = node.attributes.get(field.name);
    if (read !== undefined && attribute === before?.get(field.name)) continue;
    const made = attribute === undefined ? undefined : attributeCell(attribute, field, node);
    const isDefault = made?.kind === 'scalar' && Number(made.value) === field.default;
    changes.push([field.name, isDefault && !base.cells.has(field.name) ? undefined : made]);
  }
  return withCells(base, changes);
}

function attributeCell(attribute: Attribute, field: Field, node: Node): Cell {
  const { type } = field;
  switch (attribute.kind) {
    case 'int':
    case 'enum':
    case 'float':
      if (type.kind === 'scalar') return cell.long(attribute.value);
      break;
    case 'bool':
      if (type.kind === 'scalar') return cell.scalar(attribute.value);
      break;
    case 'ints':
      if (type.kind === 'scalars' && type.scalar !== 'float') return cell.integers(attribute.value);
      break;
    case 'floats':
      if (type.kind === 'scalars' && type.scalar === 'float') return cell.floats(attribute.value);
      break;
    case 'string':
      if (type.kind === 'string') return { kind: 'string', value: attribute.value };
      break;
    case 'bytes':
      if (type.kind === 'blob') return cell.blob(attribute.value);
      break;
    default:
      break;
  }
  throw new KerfError('unsupported', `the option "${field.name}" of ${node.op} cannot be ${attribute.kind}`, {
    place: `layer "${node.id}"`,
  });
}

/** Custom options go back into the structure, wherever a large file had them. */
function customCells(node: Node): readonly (readonly [string, Cell | undefined])[] {
  const extra = nodeExtra(node);
  const options = node.attributes.get('custom_options');
  const isLarge = extra?.row.cells.has('large_custom_options_offset') ?? false;
  if (!isLarge && options === extra?.as.attributes.get('custom_options')) return [];
  return [
    ['custom_options', options?.kind === 'bytes' ? cell.blob(options.value) : undefined],
    ['large_custom_options_offset', undefined],
    ['large_custom_options_size', undefined],
  ];
}
