import type { GraphView } from '../../src/engine/view.ts';
import { fieldNamed, fields, states } from './query.ts';

export interface Suggestion {
  /** The query with the suggestion taken. */
  readonly query: string;
  readonly title: string;
  readonly note: string;
}

const most = 12;

/** How the term under the caret may go on: fields, operators, and what the model holds of them. */
export function suggestionsFor(
  query: string,
  {
    view,
    rules,
    history,
  }: { readonly view: GraphView; readonly rules: readonly string[]; readonly history: readonly string[] },
): readonly Suggestion[] {
  const begin = query.lastIndexOf(' ') + 1;
  const [head, term] = [query.slice(0, begin), query.slice(begin)];
  const sign = term.startsWith('-') ? '-' : '';
  const plain = term.slice(sign.length);
  const take = (text: string, title: string, note: string): Suggestion => ({
    query: head + sign + text,
    title,
    note,
  });
  if (query.trim() === '') {
    const former = history.map((each) => ({ query: each, title: each, note: 'used before' }));
    return [...former.slice(0, 6), ...fieldSuggestions('', take)].slice(0, most);
  }
  const [, name, operator, value = ''] = /^([a-z]+)([:=])(.*)$/i.exec(plain) ?? [];
  const field = name === undefined ? undefined : fieldNamed(name);
  if (field === undefined) {
    if (plain === '') return [];
    return [...fieldSuggestions(plain.toLowerCase(), take), ...operatorSuggestions(view, plain, take)].slice(
      0,
      most,
    );
  }
  return valuesOf(field.name, view, rules)
    .filter(([text]) => text.toLowerCase().includes(value.toLowerCase()) && text !== value)
    .slice(0, most)
    .map(([text, note]) => take(`${name}${operator}${quoted(text)}`, text, note));
}

type Take = (text: string, title: string, note: string) => Suggestion;

function quoted(text: string): string {
  return text.includes(' ') ? `"${text}"` : text;
}

function fieldSuggestions(start: string, take: Take): readonly Suggestion[] {
  return fields
    .filter(({ name }) => name.startsWith(start))
    .map(({ name, help }) => {
      const sign = ['macs', 'flops', 'params', 'bytes', 'act', 'time', 'measured'].includes(name) ? '>' : ':';
      return take(`${name}${sign}`, `${name}${sign}`, help);
    });
}

function operatorSuggestions(view: GraphView, start: string, take: Take): readonly Suggestion[] {
  return counted(view, view.op)
    .filter(([op]) => op.toLowerCase().startsWith(start.toLowerCase()))
    .map(([op, note]) => take(`op=${op}`, op, `operator, ${note}`));
}

function valuesOf(
  field: string,
  view: GraphView,
  rules: readonly string[],
): readonly (readonly [string, string])[] {
  switch (field) {
    case 'op':
      return counted(view, view.op);
    case 'type':
      return counted(view, view.precision);
    case 'family':
      return counted(view, view.family);
    case 'shape':
      return counted(view, view.shape);
    case 'weight':
      return counted(view, view.weight);
    case 'in':
      return counted(view, view.scope);
    case 'finding':
      return [['any', 'layers with findings'], ...rules.map((rule) => [rule, 'rule'] as const)];
    case 'severity':
      return ['hint', 'information', 'warning', 'error'].map((each) => [each, 'severity'] as const);
    case 'is':
      return Object.entries(states);
    default:
      return [];
  }
}

/** What the layers hold in a column, most frequent first. */
function counted(view: GraphView, column: Uint32Array): readonly (readonly [string, string])[] {
  const counts = new Map<number, number>();
  for (let v = 0; v < view.nodeCount; v++) {
    if (view.kind[v] === 0) counts.set(column[v]!, (counts.get(column[v]!) ?? 0) + 1);
  }
  return [...counts]
    .filter(([index]) => view.strings[index] !== '')
    .sort((a, b) => b[1] - a[1])
    .map(([index, many]) => [view.strings[index]!, `${many}×`] as const);
}
