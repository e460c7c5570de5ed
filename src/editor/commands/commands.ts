import type { CommandParts, CommandTable } from './command.ts';
import * as vscode from 'vscode';
import { reportErrors } from '../support/cancel.ts';
import { analysisCommands } from './analysisCommands.ts';
import { commandIds } from '../contributions.ts';
import { editCommands } from './editCommands.ts';
import { fixCommands } from './fixCommands.ts';
import { targetCommands } from './targetCommands.ts';

export function registerCommands(parts: CommandParts): vscode.Disposable {
  const table: CommandTable = {
    ...editCommands(parts),
    ...fixCommands(parts),
    ...analysisCommands(parts),
    ...targetCommands(parts),
  };
  return vscode.Disposable.from(
    ...commandIds.map((id) =>
      vscode.commands.registerCommand(id, (...args: unknown[]) => reportErrors(() => table[id](...args))),
    ),
  );
}
