import type * as vscode from 'vscode';
import type { EngineService } from '../engineService.ts';
import type { Log } from '../support/log.ts';

/** Why a document looks different now. `recovered`: the engine was restarted; the content is the same. */
export type ChangeReason = 'edit' | 'undo' | 'redo' | 'revert' | 'reload' | 'recovered' | 'saved';

export interface DocumentEdit {
  readonly label: string;
  undo(): Promise<void>;
  redo(): Promise<void>;
}

/** What a document needs from the rest of the editor. */
export interface DocumentContext {
  readonly engine: EngineService;
  readonly log: Log;
  /** Folder for kept originals. */
  readonly storage: string;
  /** The custom editor let go of the document; others may still hold it. */
  readonly released: () => void;
}

/** Where the document's bytes are: the file itself, or a local copy of what is not a local file. */
export interface Source {
  readonly uri: vscode.Uri;
  readonly path: string;
  /** Present when `path` is the file that saving replaces. */
  readonly local: boolean;
}
