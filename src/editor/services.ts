import type * as vscode from 'vscode';
import type { Catalog } from './catalog.ts';
import type { EngineService } from './engineService.ts';
import type { Log } from './support/log.ts';
import type { RunHistory } from './reports/runHistory.ts';
import type { Selection } from './selection.ts';
import type { Settings } from './settings.ts';
import type { ModelStore } from './document/store.ts';

/** The parts of the editor that most others need; made once, in `extension.ts`. */
export interface Services {
  readonly engine: EngineService;
  readonly store: ModelStore;
  readonly settings: Settings;
  readonly selection: Selection;
  readonly catalog: Catalog;
  readonly runs: RunHistory;
  readonly log: Log;
  readonly extensionUri: vscode.Uri;
}
