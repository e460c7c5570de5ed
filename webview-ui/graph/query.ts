import type { GraphView } from '../../src/engine/view.ts';
import type { Change } from '../compare/comparison.ts';
import { type Amount, amountOf } from './queryAmount.ts';

/** What a query may look at beside the columns of the graph. */
export interface QueryContext {
  readonly view: GraphView;
  /** Rules and messages of findings by layer id in the model. */
  readonly findings?: ReadonlyMap<string, readonly string[]>;
  /** Measured milliseconds by layer id. */
  readonly measured?: ReadonlyMap<string, number>;
  readonly changes?: ReadonlyMap<string, Change>;
}

/** Layers that a query finds, in file order; `problem` says what of it was not understood. */
export interface QueryResult {
  readonly found: readonly number[];
  readonly problem?: string;
}

type Test = (v: number) => boolean;
type Compiler = (context: QueryContext, operator: Operator, value: string) => Test;
type Operator = ':' | '=' | '~' | '>' | '<' | '>=' | '<=';

/** A field of the language, as the help shows it. */
interface Field {
  readonly name: string;
  readonly also: readonly string[];
  readonly help: string;
  readonly compile: Compiler;
}

class QueryProblem extends Error {}

/**
 * Finds layers by words and fields: `op:conv macs>1M -name~^head | finding:any`. Words are looked for in operator, name,
 * shape and id; all terms must hold, `|` separates alternatives, `-` negates, quotes keep spaces.
 */
export function runQuery(context: QueryContext, query: string): QueryResult {
  const alternatives = splitAlternatives(tokensOf(query));
  if (alternatives.length === 0) return { found: [] };
  try {
    const tests = alternatives.map((terms) => terms.map((term) => compileTerm(context, term)));
    const found: number[] = [];
    for (let v = 0; v < context.view.nodeCount; v++) {
      if (tests.some((terms) => terms.every((test) => test(v)))) found.push(v);
    }
    return { found };
  } catch (error) {
    if (error instanceof QueryProblem) return { found: [], problem: error.message };
    throw error;
  }
}

/** Terms, with what stands in quotes kept together. */
function tokensOf(query: string): readonly string[] {
  return (query.match(/(?:[^\s"]|"[^"]*"?)+/g) ?? []).map((token) => token.replaceAll('"', ''));
}

function splitAlternatives(tokens: readonly string[]): readonly (readonly string[])[] {
  const all: string[][] = [[]];
  for (const token of tokens) {
    if (token === '|' || token === 'OR') all.push([]);
    else if (token !== '' && token !== '-' && !isUnfinished(token)) all.at(-1)!.push(token);
  }
  return all.filter((terms) => terms.length > 0);
}

/** A field whose value is still to be written asks for nothing yet. */
function isUnfinished(token: string): boolean {
  const [, name] = /^-?([a-z]+)(?:>=|<=|[:=~<>])$/i.exec(token) ?? [];
  return name !== undefined && fieldNamed(name) !== undefined;
}

function compileTerm(context: QueryContext, term: string): Test {
  const negated = term.startsWith('-');
  const test = compilePlain(context, negated ? term.slice(1) : term);
  return negated ? (v) => !test(v) : test;
}

function compilePlain(context: QueryContext, term: string): Test {
  const [, name, operator, value] = /^([a-z]+)(>=|<=|[:=~<>])(.*)$/is.exec(term) ?? [];
  const field = name === undefined ? undefined : fieldNamed(name);
  if (field === undefined) return wordTest(context, term);
  return field.compile(context, operator as Operator, value!);
}

export function fieldNamed(name: string): Field | undefined {
  const wanted = name.toLowerCase();
  return fields.find((field) => field.name === wanted || field.also.includes(wanted));
}

const plain = (text: string) => text.toLowerCase().replaceAll('×', 'x');

/** Each distinct string is looked at once: operators and shapes repeat a thousand times. */
function overStrings(view: GraphView, holds: (text: string) => boolean): (column: Uint32Array) => Test {
  const known = new Int8Array(view.strings.length).fill(-1);
  return (column) => (v) => {
    const text = column[v]!;
    if (known[text] === -1) known[text] = Number(holds(plain(view.strings[text]!)));
    return known[text] === 1;
  };
}

function wordTest({ view }: QueryContext, word: string): Test {
  const wanted = plain(word);
  const over = overStrings(view, (text) => text.includes(wanted));
  const tests = [view.op, view.name, view.shape, view.weight, view.id].map(over);
  return (v) => tests.some((test) => test(v));
}

/** `:` looks inside, or matches as a whole when there is a `*`; `=` is the whole text; `~` a regular expression. */
function textPattern(operator: Operator, value: string): (text: string) => boolean {
  const wanted = plain(value).replaceAll('…', '*');
  if (operator === '=') return (text) => text === wanted;
  if (operator === '~') {
    try {
      const pattern = new RegExp(value, 'i');
      return (text) => pattern.test(text);
    } catch {
      throw new QueryProblem(`${value} is no regular expression.`);
    }
  }
  if (operator !== ':') throw new QueryProblem(`Texts are compared with : = or ~, not ${operator}.`);
  if (!wanted.includes('*')) return (text) => text.includes(wanted);
  const pattern = new RegExp(`^${wanted.split('*').map(escaped).join('.*')}$`);
  return (text) => pattern.test(text);
}

function escaped(text: string): string {
  return text.replaceAll(/[$()*+.?[\\\]^{|}]/g, '\\$&');
}

function text(
  ...columns: readonly ('op' | 'name' | 'id' | 'shape' | 'weight' | 'precision' | 'family' | 'scope')[]
): Compiler {
  return ({ view }, operator, value) => {
    const over = overStrings(view, textPattern(operator, value));
    const tests = columns.map((column) => over(view[column]));
    return (v) => tests.some((test) => test(v));
  };
}

function number(amount: Amount, valueOf: (context: QueryContext) => (v: number) => number): Compiler {
  return (context, operator, value) => {
    const limit = amountOf(value, amount);
    if (limit === undefined) throw new QueryProblem(`${value} is not a number; write 500, 1.5M or 2ms.`);
    const at = valueOf(context);
    const compare: Readonly<Record<Operator, ((x: number) => boolean) | undefined>> = {
      '>': (x) => x > limit,
      '>=': (x) => x >= limit,
      '<': (x) => x < limit,
      '<=': (x) => x <= limit,
      '=': (x) => x === limit,
      ':': (x) => x === limit,
      '~': undefined,
    };
    const test = compare[operator];
    if (test === undefined) throw new QueryProblem(`Numbers are compared with > < >= <= or =.`);
    // Unknown is neither more nor less than anything.
    return (v) => context.view.kind[v] === 0 && test(at(v));
  };
}

const column =
  (name: 'macs' | 'flops' | 'params' | 'weightBytes' | 'activationBytes' | 'estimateMs') =>
  ({ view }: QueryContext) =>
  (v: number) =>
    view[name][v]!;

const measuredAt = ({ view, measured }: QueryContext) => {
  return (v: number) => measured?.get(view.strings[view.id[v]!]!) ?? Number.NaN;
};

const severities = ['none', 'hint', 'information', 'warning', 'error'];

const severity: Compiler = ({ view }, operator, value) => {
  const wanted = severities.findIndex((name) => name.startsWith(value.toLowerCase()));
  if (wanted < 0) throw new QueryProblem(`Severities are ${severities.slice(1).join(', ')}.`);
  const atLeast = operator === '>=' || operator === '>';
  return (v) =>
    atLeast ? view.severity[v]! >= wanted + Number(operator === '>') : view.severity[v] === wanted;
};

const finding: Compiler = ({ view, findings }, operator, value) => {
  if (['any', '*', 'yes'].includes(value.toLowerCase())) return (v) => view.findings[v]! > 0;
  if (['none', 'no'].includes(value.toLowerCase()))
    return (v) => view.kind[v] === 0 && view.findings[v] === 0;
  const holds = textPattern(operator, value);
  return (v) => findings?.get(view.strings[view.layer[v]!]!)?.some((each) => holds(plain(each))) === true;
};

/** States that have no number. */
export const states: Readonly<Record<string, string>> = {
  changed: 'differs from the model beside',
  added: 'is not in the model beside',
  unsupported: 'cannot run on the device',
  nested: 'is part of a body or function',
  unknown: 'has no known work',
};

const is: Compiler = ({ view, changes }, _, value) => {
  const idOf = (v: number) => view.strings[view.id[v]!]!;
  switch (value.toLowerCase()) {
    case 'changed':
      return (v) => changes?.get(idOf(v)) !== undefined;
    case 'added':
      return (v) => changes?.get(idOf(v)) === 'added';
    case 'unsupported':
      return (v) => view.unsupported[v] === 1;
    case 'nested':
      return (v) => view.nested[v] === 1;
    case 'unknown':
      return (v) => view.kind[v] === 0 && view.nested[v] === 0 && Number.isNaN(view.macs[v]!);
    default:
      throw new QueryProblem(`is: takes ${Object.keys(states).join(', ')}.`);
  }
};

export const fields: readonly Field[] = [
  { name: 'op', also: ['operator'], help: 'operator: op:conv, op=Conv', compile: text('op') },
  { name: 'name', also: [], help: 'name: name:head, name~^/encoder', compile: text('name') },
  { name: 'shape', also: [], help: 'output or weight shape: shape:*x3x3', compile: text('shape', 'weight') },
  { name: 'weight', also: ['kernel'], help: 'weight shape: weight:*x1x1', compile: text('weight') },
  { name: 'type', also: ['dtype', 'precision'], help: 'element type: type:int8', compile: text('precision') },
  { name: 'family', also: [], help: 'operator family: family:elementwise', compile: text('family') },
  { name: 'in', also: ['scope', 'group'], help: 'name scope: in:encoder/layer.3', compile: text('scope') },
  { name: 'id', also: [], help: 'id of the layer', compile: text('id') },
  { name: 'macs', also: [], help: 'multiply-accumulates: macs>1M', compile: number('count', column('macs')) },
  { name: 'flops', also: [], help: 'arithmetic: flops>=10M', compile: number('count', column('flops')) },
  { name: 'params', also: [], help: 'parameters: params>100k', compile: number('count', column('params')) },
  {
    name: 'bytes',
    also: ['weights'],
    help: 'stored weights: bytes>64kB',
    compile: number('bytes', column('weightBytes')),
  },
  {
    name: 'act',
    also: ['activations'],
    help: 'activation memory: act>1MB',
    compile: number('bytes', column('activationBytes')),
  },
  {
    name: 'time',
    also: ['estimate'],
    help: 'estimated time: time>500us',
    compile: number('time', column('estimateMs')),
  },
  { name: 'measured', also: [], help: 'measured time: measured>1ms', compile: number('time', measuredAt) },
  { name: 'finding', also: ['rule'], help: 'finding: finding:any, finding:batch-norm', compile: finding },
  { name: 'severity', also: [], help: 'worst finding: severity>=warning', compile: severity },
  {
    name: 'is',
    also: [],
    help: `state: ${Object.keys(states)
      .map((state) => `is:${state}`)
      .join(', ')}`,
    compile: is,
  },
];
