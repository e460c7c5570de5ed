import * as vscode from 'vscode';
import type { CallOptions } from '../../engine/protocol.ts';
import { describe, isCancellation } from './errorText.ts';

/** VS Code's token as an engine call's signal. */
export function callOptions(token: vscode.CancellationToken): CallOptions & { readonly signal: AbortSignal } {
  const controller = new AbortController();
  if (token.isCancellationRequested) controller.abort();
  token.onCancellationRequested(() => controller.abort());
  return { signal: controller.signal };
}

/** A long job with a notification that says what it does and can be cancelled at once. */
export function withProgress<T>(title: string, job: (options: CallOptions) => Promise<T>): Promise<T> {
  const location = vscode.ProgressLocation.Notification;
  return Promise.resolve(
    vscode.window.withProgress({ location, title, cancellable: true }, (progress, token) => {
      let reported = 0;
      const onProgress = (fraction: number, message: string): void => {
        progress.report({ message, increment: Math.max(0, fraction - reported) * 100 });
        reported = Math.max(reported, fraction);
      };
      return job({ ...callOptions(token), onProgress });
    }),
  );
}

/** Runs a command's work and tells the person how it failed; a cancellation is no failure. */
export async function reportErrors<T>(work: () => Promise<T>): Promise<T | undefined> {
  try {
    return await work();
  } catch (error) {
    if (isCancellation(error)) return undefined;
    vscode.window.showErrorMessage(`Kerf: ${describe(error)}`).then(undefined, () => undefined);
    return undefined;
  }
}
