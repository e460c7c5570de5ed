import * as vscode from 'vscode';

/** The output channel; names and paths stay on this machine. */
export type Log = Pick<vscode.LogOutputChannel, 'info' | 'warn' | 'error' | 'debug' | 'show' | 'dispose'>;

export function createLog(): Log {
  return vscode.window.createOutputChannel('Kerf', { log: true });
}
