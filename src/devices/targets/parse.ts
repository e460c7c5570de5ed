import { KerfError } from '../../ir/errors.ts';
import type { TargetRules } from './target.ts';

const types = ['int4', 'uint4', 'int8', 'uint8', 'int16', 'uint16'];

type Check = (value: unknown) => boolean;

const isRecord = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);
const text: Check = (value) => typeof value === 'string' && value !== '';
const positive: Check = (value) => typeof value === 'number' && value > 0;
const boolean: Check = (value) => typeof value === 'boolean';
const oneOf =
  (choices: readonly string[]): Check =>
  (value) =>
    choices.some((choice) => choice === value);
const listOf =
  (check: Check): Check =>
  (value) =>
    Array.isArray(value) && value.every(check);
const entriesOf =
  (check: Check): Check =>
  (value) =>
    isRecord(value) && Object.values(value).every(check);
const encoded: Check = (value) =>
  Array.isArray(value) && value.length === 2 && positive(value[0]) && Number.isInteger(value[1]);

/** Fields and their checks; a name with a question mark may be absent. */
type Fields = Readonly<Record<string, Check>>;

const object =
  (fields: Fields): Check =>
  (value) =>
    isRecord(value) && faultOf(value, fields) === undefined;

const fields: Fields = {
  '$schema?': text,
  id: (value) => typeof value === 'string' && /^[a-z0-9][a-z0-9-]*$/.test(value),
  name: text,
  'aliases?': listOf(text),
  dialect: oneOf(['onnx', 'tflite']),
  activations: object({ types: listOf(oneOf(types)), 'symmetric?': boolean }),
  weights: object({
    types: listOf(oneOf(types)),
    'bits?': positive,
    symmetric: boolean,
    perChannel: listOf(text),
    'fourBits?': listOf(text),
    'shift?': object({
      zeroPoint: Number.isInteger,
      operators: listOf(text),
      products: positive,
      windowFilters: positive,
      positions: positive,
    }),
  }),
  placement: oneOf(['kernels', 'whole', 'inputs']),
  quantizedResult: listOf(text),
  oneType: boolean,
  elsewhere: oneOf(['float', 'processor']),
  border: oneOf(['any', 'integer']),
  'staticShapes?': boolean,
  'maxRank?': positive,
  'batch?': positive,
  'prefix?': boolean,
  'hybrid?': boolean,
  'leastRange?': positive,
  operators: object({
    weighted: listOf(text),
    free: listOf(text),
    same: listOf(text),
    'all?': listOf(text),
    'fixed?': entriesOf(entriesOf(encoded)),
    'known?': entriesOf(positive),
    'sink?': listOf(text),
    'given?': listOf(text),
    'residual?': listOf(text),
  }),
  'rewrites?': listOf(oneOf(['dense-bias', 'hard-swish', 'mean'])),
  'layout?': object({
    inputs: positive,
    outputs: positive,
    leastOutputs: positive,
    depthwise: positive,
    rows: positive,
    'folding?': object({ lanes: positive, products: positive }),
  }),
  'channels?': object({ outputs: positive, inputs: positive, 'start?': positive, 'narrow?': positive }),
  'notes?': listOf(text),
  source: text,
};

/**
 * Checks the content of a file of target rules against what `schemas/target.schema.json` says.
 * Throws `KerfError('malformed')` naming the file and the field.
 */
export function parseTarget(value: unknown, file: string): TargetRules {
  const fault = isRecord(value) ? faultOf(value, fields) : 'the file is no object';
  if (fault !== undefined) throw new KerfError('malformed', `target rules: ${fault}`, { file });
  return value as unknown as TargetRules;
}

function faultOf(value: Record<string, unknown>, fields: Fields): string | undefined {
  const names = new Set(Object.keys(fields).map((name) => name.replace('?', '')));
  const stranger = Object.keys(value).find((name) => !names.has(name));
  if (stranger !== undefined) return `${stranger} is not a field`;
  for (const [key, check] of Object.entries(fields)) {
    const name = key.replace('?', '');
    const found = value[name];
    if (found === undefined && key.endsWith('?')) continue;
    if (!check(found)) return found === undefined ? `${name} is missing` : `${name} is not well-formed`;
  }
  return undefined;
}
