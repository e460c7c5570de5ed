import * as vscode from 'vscode';
import { eventually, textFormUri } from './models.ts';

/** The layers of an outline, without the graphs and scopes around them. */
export function layersOfOutline(symbols: readonly vscode.DocumentSymbol[]): readonly vscode.DocumentSymbol[] {
  return symbols.flatMap((symbol) => [
    ...(symbol.kind === vscode.SymbolKind.Function ? [symbol] : []),
    ...layersOfOutline(symbol.children),
  ]);
}

export async function outline(model: vscode.Uri): Promise<readonly vscode.DocumentSymbol[]> {
  await vscode.workspace.openTextDocument(textFormUri(model));
  return eventually('the outline', async () => {
    const found = await vscode.commands.executeCommand<vscode.DocumentSymbol[] | undefined>(
      'vscode.executeDocumentSymbolProvider',
      textFormUri(model),
    );
    return found !== undefined && found.length > 0 ? found : undefined;
  });
}
