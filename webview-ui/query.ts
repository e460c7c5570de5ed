import type { App } from './app.ts';
import { type QueryContext, type QueryResult, runQuery } from './graph/query.ts';

/** Runs a query against everything the page knows of the layers. */
export function findLayers(app: App, query: string): QueryResult {
  const context = contextOf(app);
  return context === undefined ? { found: [] } : runQuery(context, query);
}

function contextOf(app: App): QueryContext | undefined {
  const view = app.graph.get().value?.view;
  if (view === undefined) return undefined;
  const measured = app.measured.get();
  const changes = app.changes.get();
  return {
    view,
    findings: findingsByLayer(app),
    ...(measured === undefined ? {} : { measured }),
    ...(changes === undefined ? {} : { changes }),
  };
}

const kept = new WeakMap<object, ReadonlyMap<string, readonly string[]>>();

/** Rules and messages of findings by layer. */
function findingsByLayer(app: App): ReadonlyMap<string, readonly string[]> {
  const report = app.findings.get().value;
  if (report === undefined) return new Map();
  const known = kept.get(report);
  if (known !== undefined) return known;
  const byLayer = new Map<string, string[]>();
  for (const { rule, message, layer, layers } of report.findings) {
    for (const id of layers ?? (layer === undefined ? [] : [layer]))
      byLayer.set(id, [...(byLayer.get(id) ?? []), rule, message]);
  }
  kept.set(report, byLayer);
  return byLayer;
}

export function rulesOf(app: App): readonly string[] {
  return [...new Set(app.findings.get().value?.findings.map(({ rule }) => rule))].sort();
}
