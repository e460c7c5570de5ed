import * as vscode from 'vscode';
import { textScheme, viewType } from './contributions.ts';
import type { ModelDocument } from './document/document.ts';
import type { Services } from './services.ts';
import { activeModelUri } from './targets.ts';

/** The model that trees, status bar and palette commands are about: the last one that had the focus and is open. */
export interface ActiveModel extends vscode.Disposable {
  readonly document: ModelDocument | undefined;
  /** Another model, or other content of the same. */
  readonly onDidChange: vscode.Event<ModelDocument | undefined>;
}

export function createActiveModel({ store, settings }: Services): ActiveModel {
  const changed = new vscode.EventEmitter<ModelDocument | undefined>();
  let document: ModelDocument | undefined;
  let following: vscode.Disposable | undefined;
  const set = (next: ModelDocument | undefined): void => {
    if (next === document) return;
    following?.dispose();
    document = next;
    const follow = next?.onDidChange(() => changed.fire(next));
    const end = next?.onDidDispose(() => set(store.documents.find((other) => other !== next)));
    following = new vscode.Disposable(() =>
      vscode.Disposable.from(...[follow, end].flatMap((each) => each ?? [])).dispose(),
    );
    vscode.commands
      .executeCommand('setContext', 'kerf.hasModel', next !== undefined)
      .then(undefined, () => undefined);
    changed.fire(next);
  };
  const look = (): void => {
    const uri = activeModelUri();
    const found = uri === undefined ? undefined : store.find(uri);
    if (found !== undefined) set(found);
    else if (document === undefined) set(shownDocument(store.documents));
  };
  const subscriptions = [
    changed,
    vscode.window.tabGroups.onDidChangeTabs(look),
    vscode.window.tabGroups.onDidChangeTabGroups(look),
    store.onDidOpen(look),
    settings.onDidChange(() => changed.fire(document)),
  ];
  look();
  return {
    get document() {
      return document;
    },
    onDidChange: changed.event,
    dispose() {
      following?.dispose();
      vscode.Disposable.from(...subscriptions).dispose();
    },
  };
}

/** A document that some tab shows; those that a command holds for a moment do not count. */
function shownDocument(documents: readonly ModelDocument[]): ModelDocument | undefined {
  const tabs = vscode.window.tabGroups.all.flatMap((group) => group.tabs);
  const shown = new Set(
    tabs.flatMap(({ input }) => {
      if (input instanceof vscode.TabInputCustom && input.viewType === viewType)
        return [input.uri.toString()];
      if (input instanceof vscode.TabInputText && input.uri.scheme === textScheme)
        return [input.uri.toString()];
      return [];
    }),
  );
  return documents.find((document) => shown.has(document.uri.toString()));
}
