import { mkdir, rm, writeFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import type * as vscode from 'vscode';
import { describe } from '../support/errorText.ts';
import type { Backup } from './journal.ts';
import type { Log } from '../support/log.ts';

/** Backups of one document that VS Code has asked for and not yet taken back. */
export interface Backups {
  write(destination: vscode.Uri, backup: Backup): Promise<vscode.CustomDocumentBackup>;
  /** True while one may still have to be restored. */
  any(): boolean;
}

export function createBackups(log: Log): Backups {
  let live = 0;
  return {
    async write(destination, backup) {
      await mkdir(dirname(destination.fsPath), { recursive: true });
      await writeFile(destination.fsPath, JSON.stringify(backup));
      live++;
      return {
        id: destination.toString(),
        delete() {
          live--;
          rm(destination.fsPath, { force: true }).catch((error: unknown) =>
            log.warn(`a backup stays behind: ${describe(error)}`),
          );
        },
      };
    },
    any: () => live > 0,
  };
}
