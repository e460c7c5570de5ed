import type { Attribute, Node, Value, ValueId } from '../../ir/model.ts';
import type { Bytes } from '../../ir/bytes.ts';
import type { NodeExtra, Report } from './extra.ts';
import type { Names } from './names.ts';
import { builtinOperators, customCode } from './opcodes.ts';
import { blobOf, choiceOf, integersOf, scalarOf, textOf, type Cell, type Row } from './row.ts';
import type { Field } from './schema.ts';
import { tableOf } from './schema.ts';

/** What reading operators needs of the rest of the model. */
interface OperatorSource {
  readonly bytes: Bytes;
  readonly codes: readonly Row[];
  /** Node ids are unique across all subgraphs. */
  readonly names: Names;
  readonly report: Report;
}

/** Name, domain and version behind an operator code; names that the schema does not have start with `BUILTIN_`. */
export function operatorCode(code: Row): { op: string; domain: string; version: number } {
  const builtin = Math.max(scalarOf(code, 'builtin_code'), scalarOf(code, 'deprecated_builtin_code'));
  const version = scalarOf(code, 'version', 1);
  if (builtin === customCode) return { op: textOf(code, 'custom_code') ?? '', domain: 'custom', version };
  return { op: builtinOperators[builtin] ?? `BUILTIN_${builtin}`, domain: '', version };
}

export function readOperator(
  row: Row,
  values: readonly Value[],
  source: OperatorSource,
  place: string,
  index: number,
): Node {
  const { code, known } = codeOf(row, source, place);
  const ids = (name: string): (ValueId | null)[] =>
    (integersOf(row, name) ?? []).map((each) => {
      const id = values[each]?.id;
      if (id === undefined && each !== -1)
        source.report.lost(`${place}.${name}`, `refers to tensor ${each} of ${values.length}`);
      return id ?? null;
    });
  const outputs = ids('outputs');
  const intermediates = ids('intermediates').filter((id) => id !== null);
  const attributes = new Map<string, Attribute>();
  const options = readOptions(row, attributes);
  const custom = customOptions(row, source, place);
  if (custom !== undefined) attributes.set('custom_options', { kind: 'bytes', value: custom });
  const inputs = ids('inputs');
  const operands = ['inputs', 'outputs'].flatMap((name) =>
    (integersOf(row, name) ?? []).map((each) => values[each]),
  );
  const as: Node = {
    id: source.names.unique(outputs.find((id) => id !== null) ?? `${known.op}_${index}`),
    name: '',
    op: known.op,
    domain: known.domain,
    version: known.version,
    inputs,
    outputs,
    attributes,
    ...(intermediates.length > 0 && { intermediates }),
  };
  const extra: NodeExtra = { codec: 'tflite.operator', row, code, options, operands, as };
  return { ...as, extra };
}

function codeOf(row: Row, source: OperatorSource, place: string) {
  const index = scalarOf(row, 'opcode_index');
  const code = source.codes[index];
  if (code !== undefined) return { code, known: operatorCode(code) };
  source.report.lost(place, `refers to operator code ${index} of ${source.codes.length}`);
  return { code, known: { op: `MISSING_CODE_${index}`, domain: '', version: 1 } };
}

function readOptions(row: Row, attributes: Map<string, Attribute>): NodeExtra['options'] {
  const name = row.cells.has('builtin_options') ? 'builtin_options' : 'builtin_options_2';
  const choice = choiceOf(row, name);
  if (choice === undefined) return undefined;
  for (const field of tableOf(choice.row.table).fields) {
    const attribute = attributeOf(field, choice.row.cells.get(field.name));
    if (attribute !== undefined) attributes.set(field.name, attribute);
  }
  return name;
}

/** The attribute of an option field. Scalars have their default when the file leaves them out, vectors are absent. */
function attributeOf(field: Field, cell: Cell | undefined): Attribute | undefined {
  if (field.type.kind === 'scalar') {
    const value = cell?.kind === 'scalar' ? cell.value : field.default;
    if (field.type.enum !== undefined) {
      return { kind: 'enum', value: Number(value), name: field.type.enum[Number(value)] ?? String(value) };
    }
    if (field.type.scalar === 'bool') return { kind: 'bool', value: Number(value) !== 0 };
    return field.type.scalar === 'float' ? { kind: 'float', value: Number(value) } : { kind: 'int', value };
  }
  switch (cell?.kind) {
    case 'integers':
      return { kind: 'ints', value: cell.value };
    case 'floats':
      return { kind: 'floats', value: [...cell.value] };
    case 'string':
      return { kind: 'string', value: cell.value };
    case 'blob':
      return { kind: 'bytes', value: cell.value };
    default:
      return undefined;
  }
}

function customOptions(row: Row, source: OperatorSource, place: string): Bytes | undefined {
  const offset = scalarOf(row, 'large_custom_options_offset');
  const length = scalarOf(row, 'large_custom_options_size');
  if (offset <= 1) return blobOf(row, 'custom_options');
  if (offset + length <= source.bytes.length) return source.bytes.slice(offset, length);
  source.report.lost(place, `its custom options at byte ${offset} lie outside the file`);
  return undefined;
}
