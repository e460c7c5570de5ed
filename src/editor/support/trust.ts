import * as vscode from 'vscode';
import { KerfError } from '../../ir/errors.ts';

/** Running a model hands its bytes to native code: not in a workspace that nobody vouched for. */
export function requireTrust(): void {
  if (vscode.workspace.isTrusted) return;
  throw new KerfError(
    'unsupported',
    'this workspace is not trusted: models can be looked at, not run (see Workspaces: Manage Workspace Trust)',
  );
}
