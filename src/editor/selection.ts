import * as vscode from 'vscode';
import type { ModelDocument } from './document/document.ts';

interface Selected {
  readonly document: ModelDocument;
  readonly layer: string | null;
  /** The view it comes from, which need not follow itself. */
  readonly from: object | undefined;
}

/** One selected layer per document; graph, table, tree and text form follow it. */
export interface Selection extends vscode.Disposable {
  readonly onDidSelect: vscode.Event<Selected>;
  of(document: ModelDocument): string | null;
  select(selected: Selected): void;
}

export function createSelection(): Selection {
  const event = new vscode.EventEmitter<Selected>();
  const layers = new WeakMap<ModelDocument, string | null>();
  const of = (document: ModelDocument): string | null => layers.get(document) ?? null;
  return {
    onDidSelect: event.event,
    of,
    select(selected) {
      // Views answer a selection by selecting; without this they would answer each other forever.
      if (of(selected.document) === selected.layer) return;
      layers.set(selected.document, selected.layer);
      event.fire(selected);
    },
    dispose: () => event.dispose(),
  };
}
