import * as vscode from 'vscode';
import type { Fix } from '../../rules/rule.ts';
import { stepOf } from '../commands/actions.ts';
import { previewScheme, textExtension } from '../contributions.ts';
import type { ModelDocument } from './document.ts';
import { plainTitle } from '../commands/fixResult.ts';
import type { Services } from '../services.ts';
import { textUri } from '../text/forms.ts';

/** Texts of models that do not exist yet: what a fix would make of one, for VS Code's own diff. */
export interface Previews extends vscode.Disposable {
  /** Shows the model's text form beside what the fix would make of it. */
  show(document: ModelDocument, fix: Fix): Promise<vscode.Uri>;
}

const kept = 8;

export function createPreviews(services: Services): Previews {
  const texts = new Map<string, string>();
  const provider = vscode.workspace.registerTextDocumentContentProvider(previewScheme, {
    provideTextDocumentContent: (uri) => texts.get(uri.toString()) ?? '',
  });
  let count = 0;
  return {
    async show(document, fix) {
      const step = await stepOf(services, document, fix);
      const handle = await document.variant([step]);
      const { text } = await services.engine.call('text', { handle });
      const uri = vscode.Uri.from({
        scheme: previewScheme,
        path: document.uri.path + textExtension,
        query: String(++count),
      });
      texts.set(uri.toString(), text);
      for (const key of [...texts.keys()].slice(0, Math.max(0, texts.size - kept))) texts.delete(key);
      const title = vscode.l10n.t('{0}: {1} (preview)', document.fileName, plainTitle(fix));
      await vscode.commands.executeCommand('vscode.diff', textUri(document.uri), uri, title, {
        preview: true,
      });
      return uri;
    },
    dispose: () => provider.dispose(),
  };
}
