import { KerfError } from '../../ir/errors.ts';

/** One line for a person. */
export function describe(error: unknown): string {
  if (KerfError.is(error)) return error.line;
  return error instanceof Error ? error.message : JSON.stringify(error);
}

/** Ours, or VS Code's `CancellationError`, which is told by its name so that this file needs no `vscode`. */
export function isCancellation(error: unknown): boolean {
  return KerfError.is(error, 'cancelled') || (error instanceof Error && error.name === 'Canceled');
}
