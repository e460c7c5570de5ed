import * as vscode from 'vscode';
import type { Handle } from '../../engine/protocol.ts';
import type { ModelDocument } from '../document/document.ts';
import { describe } from '../support/errorText.ts';
import { formatMs } from '../support/format.ts';
import type { Services } from '../services.ts';

/** Larger models take too long to load twice without being asked. */
const largest = 256e6;

/**
 * Times a model before and after a pass that may have made it slower, in the background, and warns with the numbers when
 * it did. What cannot be run here is left alone.
 */
export async function warnIfSlower(
  services: Services,
  document: ModelDocument,
  title: string,
  before: { readonly handle: Handle; readonly fileBytes: number },
): Promise<void> {
  if (!vscode.workspace.isTrusted || before.fileBytes > largest) return;
  const key = document.modelKey;
  try {
    const after = await document.handle();
    const { threads, bind } = services.settings.bench(document.uri);
    const options = { ...(threads !== undefined && { threads }), ...(bind !== undefined && { bind }) };
    const report = await services.engine.call('speed', { before: before.handle, after, options });
    const times = `${formatMs(report.beforeMs)} → ${formatMs(report.afterMs)} (${report.speedup.toFixed(2)}×)`;
    services.log.info(`${title}: ${times}, ${report.runtime}, ${report.threads} threads`);
    if (!report.slower) return;
    const undo = vscode.l10n.t('Undo');
    const message = vscode.l10n.t(
      '{0} made {1} slower on this machine: {2}',
      title,
      document.fileName,
      times,
    );
    // An edit that came after this one is not the one to take back.
    const choices = document.modelKey === key ? [undo] : [];
    const answer = await vscode.window.showWarningMessage(message, ...choices);
    if (answer === undo && document.modelKey === key)
      await vscode.commands.executeCommand('kerf.undo', document.uri);
  } catch (error) {
    services.log.warn(`${title}: not timed: ${describe(error)}`);
  }
}
