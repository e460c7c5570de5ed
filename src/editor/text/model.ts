import type { TextForm } from '../../engine/protocol.ts';
import type { LayerRow } from '../../engine/answers.ts';
import type { Finding } from '../../rules/rule.ts';
import { layersOf } from '../findings/findingView.ts';

/** Lookups over a printed model; columns are UTF-16, end exclusive. No `vscode` import. */

/** One place where a value's name stands in the text. */
export interface TextSpan {
  /** Number of the value: the same in all its places. */
  readonly value: number;
  readonly line: number;
  readonly start: number;
  readonly end: number;
  readonly role: 'definition' | 'use';
}

export interface TextIndex {
  readonly form: TextForm;
  /** Lines of the text, without line ends; split once. */
  readonly lines: readonly string[];
  /** The layer whose line this is. */
  layerAt(line: number): string | undefined;
  lineOf(layer: string): number | undefined;
  valueAt(line: number, column: number): TextSpan | undefined;
  /** The names on a line, from left to right. */
  spansOn(line: number): readonly TextSpan[];
  nameOf(span: TextSpan): string;
  /** All places of the value that stands at `span`, definition first. */
  places(span: TextSpan): readonly TextSpan[];
  definition(span: TextSpan): TextSpan | undefined;
}

export function indexText(form: TextForm): TextIndex {
  const { names } = form;
  const lines = form.text.split('\n');
  /** 1 + number of the layer that stands on a line; 0 is none. */
  const layerOfLine = new Uint32Array(lines.length);
  form.layerLines.forEach((line, index) => (layerOfLine[line] = index + 1));
  let lineOfLayer: ReadonlyMap<string, number> | undefined;
  const firstOnLine = startsOf(names.line, lines.length);
  const byValue = placesByValue(names.value, names.values.length);
  const span = (place: number): TextSpan => ({
    value: names.value[place] as number,
    line: names.line[place] as number,
    start: names.start[place] as number,
    end: names.end[place] as number,
    role: names.definition[place] === 1 ? 'definition' : 'use',
  });
  const spansOn = (line: number): TextSpan[] => {
    const found: TextSpan[] = [];
    const end = firstOnLine[line + 1] ?? 0;
    for (let place = firstOnLine[line] ?? end; place < end; place += 1) found.push(span(place));
    return found;
  };
  const places = ({ value }: TextSpan): readonly TextSpan[] => {
    const all = Array.from(byValue.order.subarray(byValue.first[value], byValue.first[value + 1]), span);
    return [...all.filter(isDefinition), ...all.filter((place) => !isDefinition(place))];
  };
  return {
    form,
    lines,
    layerAt: (line) => form.layers[(layerOfLine[line] ?? 0) - 1],
    lineOf(layer) {
      lineOfLayer ??= new Map(form.layers.map((id, index) => [id, form.layerLines[index] as number]));
      return lineOfLayer.get(layer);
    },
    valueAt: (line, column) => spansOn(line).find(({ start, end }) => start <= column && column <= end),
    spansOn,
    nameOf: ({ value }) => names.values[value] ?? '',
    places,
    definition: (at) => places(at).find(isDefinition),
  };
}

/** For ascending `keys`: the index of the first entry of each key below `count`, and the number of entries at the end. */
function startsOf(keys: Uint32Array, count: number): Uint32Array {
  const first = new Uint32Array(count + 1);
  let at = 0;
  for (let key = 0; key <= count; key += 1) {
    while (at < keys.length && (keys[at] as number) < key) at += 1;
    first[key] = at;
  }
  return first;
}

/** Places sorted by value: those of value `v` are `order[first[v]]` to `order[first[v + 1]]`, in the order of the text. */
function placesByValue(values: Uint32Array, count: number): { first: Uint32Array; order: Uint32Array } {
  const first = new Uint32Array(count + 1);
  for (const value of values) first[value + 1] = (first[value + 1] ?? 0) + 1;
  for (let value = 0; value < count; value += 1)
    first[value + 1] = (first[value + 1] ?? 0) + (first[value] ?? 0);
  const next = first.slice();
  const order = new Uint32Array(values.length);
  for (let place = 0; place < values.length; place += 1) {
    const value = values[place] as number;
    order[next[value] as number] = place;
    next[value] = (next[value] as number) + 1;
  }
  return { first, order };
}

function isDefinition(span: TextSpan): boolean {
  return span.role === 'definition';
}

/** Share of a model's cost that one layer has, by the larger of weights and work. */
interface HeavyLayer {
  readonly row: LayerRow;
  readonly share: number;
}

/**
 * The layers worth a code lens: those that together make up most of the weights or of the work, at most `limit`.
 * A layer with an unknown cost counts by what is known of it.
 */
export function heaviestLayers(rows: readonly LayerRow[], limit: number): readonly HeavyLayer[] {
  const bytes = rows.reduce((sum, row) => sum + row.weightBytes, 0);
  const macs = rows.reduce((sum, row) => sum + (row.macs ?? 0), 0);
  const share = (row: LayerRow): number =>
    Math.max(bytes === 0 ? 0 : row.weightBytes / bytes, macs === 0 ? 0 : (row.macs ?? 0) / macs);
  const large: HeavyLayer[] = [];
  for (const row of rows) {
    const part = share(row);
    if (part >= 0.02) large.push({ row, share: part });
  }
  return large.sort((a, b) => b.share - a.share).slice(0, limit);
}

/** Findings of printed layers, by the lines they stand on. Those of the whole model have no line. */
export function findingLines(
  index: TextIndex,
  findings: readonly Finding[],
): readonly { readonly line: number; readonly finding: Finding }[] {
  return findings.flatMap((finding) =>
    layersOf(finding).flatMap((layer) => {
      const line = index.lineOf(layer);
      return line === undefined ? [] : [{ finding, line }];
    }),
  );
}

/** "Conv", "MatMulInteger": the operator written on a layer's line, for outlines. */
export function layerLabel(row: Pick<LayerRow, 'name' | 'op' | 'id'>): string {
  return row.name === '' ? row.id : row.name;
}

/** A name scope with what its layers cost together; unknown work makes the sum unknown. */
interface HeavyScope {
  readonly name: string;
  readonly line: number;
  readonly layers: readonly string[];
  readonly weightBytes: number;
  readonly macs: number | null;
  readonly share: number;
}

interface ScopeTree {
  readonly kind: 'layer' | 'scope' | 'graph';
  readonly name?: string;
  readonly id?: string;
  readonly line: number;
  readonly children: readonly ScopeTree[];
}

const heavy = new WeakMap<readonly ScopeTree[], readonly HeavyScope[]>();

/** Scopes that hold or do at least a tenth of the model, the largest first, at most `limit`; found once per tree. */
export function heavyScopes(
  tree: readonly ScopeTree[],
  rows: ReadonlyMap<string, LayerRow>,
  limit: number,
): readonly HeavyScope[] {
  const known = heavy.get(tree) ?? findHeavy(tree, rows);
  heavy.set(tree, known);
  return known.slice(0, limit);
}

function findHeavy(tree: readonly ScopeTree[], rows: ReadonlyMap<string, LayerRow>): readonly HeavyScope[] {
  const total: Sum = { weightBytes: 0, known: 0, unknown: 0 };
  for (const row of rows.values()) count(total, row);
  const found: HeavyScope[] = [];
  const share = ({ weightBytes, known }: Sum): number =>
    Math.max(
      total.weightBytes === 0 ? 0 : weightBytes / total.weightBytes,
      total.known === 0 ? 0 : known / total.known,
    );
  const visit = (node: ScopeTree, outer: Sum, path: readonly string[]): void => {
    const row = node.id === undefined ? undefined : rows.get(node.id);
    if (row !== undefined) count(outer, row);
    if (node.children.length === 0) return;
    const isScope = node.kind === 'scope';
    const inner = isScope ? [...path, node.name ?? ''] : path;
    const sum: Sum = { weightBytes: 0, known: 0, unknown: 0 };
    for (const child of node.children) visit(child, sum, inner);
    if (isScope && share(sum) >= 0.1)
      found.push({
        name: inner.join('/'),
        line: node.line,
        layers: idsIn(node, rows),
        weightBytes: sum.weightBytes,
        macs: sum.unknown > 0 ? null : sum.known,
        share: share(sum),
      });
    outer.weightBytes += sum.weightBytes;
    outer.known += sum.known;
    outer.unknown += sum.unknown;
  };
  for (const node of tree) visit(node, { weightBytes: 0, known: 0, unknown: 0 }, []);
  return found.sort((a, b) => b.share - a.share);
}

interface Sum {
  weightBytes: number;
  /** MACs of the layers whose work is known. */
  known: number;
  /** Layers whose work is not. */
  unknown: number;
}

function count(sum: Sum, { weightBytes, macs }: LayerRow): void {
  sum.weightBytes += weightBytes;
  if (macs === null) sum.unknown += 1;
  else sum.known += macs;
}

function idsIn(node: ScopeTree, rows: ReadonlyMap<string, LayerRow>): readonly string[] {
  const ids: string[] = [];
  const visit = ({ id, children }: ScopeTree): void => {
    if (id !== undefined && rows.has(id)) ids.push(id);
    for (const child of children) visit(child);
  };
  visit(node);
  return ids;
}
