import * as vscode from 'vscode';
import { reportScheme } from '../contributions.ts';

/** Markdown that the extension writes and VS Code's preview shows; nothing touches the disk. */
export interface ReportDocuments extends vscode.Disposable {
  show(title: string, markdown: string): Promise<void>;
}

const kept = 30;

export function createReportDocuments(): ReportDocuments {
  const changed = new vscode.EventEmitter<vscode.Uri>();
  const texts = new Map<string, string>();
  const provider = vscode.workspace.registerTextDocumentContentProvider(reportScheme, {
    onDidChange: changed.event,
    provideTextDocumentContent: (uri) => texts.get(uri.toString()) ?? '',
  });
  return {
    async show(title, markdown) {
      const uri = vscode.Uri.from({ scheme: reportScheme, path: `/${title.replaceAll(/[/\\]/g, '-')}.md` });
      texts.delete(uri.toString());
      texts.set(uri.toString(), markdown);
      const oldest = [...texts.keys()].slice(0, Math.max(0, texts.size - kept));
      for (const key of oldest) texts.delete(key);
      changed.fire(uri);
      await vscode.commands.executeCommand('markdown.showPreviewToSide', uri);
    },
    dispose: () => vscode.Disposable.from(changed, provider).dispose(),
  };
}
