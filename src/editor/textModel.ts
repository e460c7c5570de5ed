import type { LayerRow, TextForm } from '../engine/protocol.ts';
import type { Finding } from '../rules/rule.ts';
import { layersOf } from './findingView.ts';

/** Lookups over a printed model; columns are UTF-16, end exclusive. No `vscode` import. */

export type TextSpan = TextForm['definitions'][number];

export interface TextIndex {
  readonly form: TextForm;
  /** The layer whose line this is, or the closest one above it. */
  layerAt(line: number): string | undefined;
  lineOf(layer: string): number | undefined;
  valueAt(line: number, column: number): TextSpan | undefined;
  /** All places of the value that stands at `span`, definition first. */
  places(span: TextSpan): readonly TextSpan[];
  definition(span: TextSpan): TextSpan | undefined;
}

export function indexText(form: TextForm): TextIndex {
  const lines = new Map(form.layers.map(({ id, line }) => [id, line]));
  const layers = new Map(form.layers.map(({ id, line }) => [line, id]));
  const byLine = new Map<number, TextSpan[]>();
  const byValue = new Map<string, TextSpan[]>();
  for (const span of form.definitions) {
    append(byLine, span.line, span);
    append(byValue, nameOf(span), span);
  }
  const places = (span: TextSpan): readonly TextSpan[] => {
    const all = byValue.get(nameOf(span)) ?? [];
    return [...all.filter(isDefinition), ...all.filter((place) => !isDefinition(place))];
  };
  return {
    form,
    layerAt: (line) => layers.get(line),
    lineOf: (layer) => lines.get(layer),
    valueAt: (line, column) => byLine.get(line)?.find((span) => span.start <= column && column <= span.end),
    places,
    definition: (span) => places(span).find(isDefinition),
  };
}

function append<K>(map: Map<K, TextSpan[]>, key: K, span: TextSpan): void {
  const list = map.get(key);
  if (list === undefined) map.set(key, [span]);
  else list.push(span);
}

/** Names are unique within a printed graph only. */
function nameOf(span: TextSpan): string {
  return `${String(span.scope)} ${span.value}`;
}

function isDefinition(span: TextSpan): boolean {
  return span.role === 'definition';
}

/** Share of a model's cost that one layer has, by the larger of weights and work. */
export interface HeavyLayer {
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
  return rows
    .map((row) => ({ row, share: share(row) }))
    .filter((heavy) => heavy.share >= 0.02)
    .sort((a, b) => b.share - a.share)
    .slice(0, limit);
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
