import * as vscode from 'vscode';
import type { NodeDetails } from '../../engine/answers.ts';
import type { Services } from '../services.ts';
import { modelUri, textUri, type ShownText, type TextForms } from './forms.ts';
import { withDocument } from '../targets.ts';

/**
 * Who feeds a layer and who reads it, in VS Code's call hierarchy: producers are the incoming calls, consumers the
 * outgoing ones.
 */
export function callHierarchy({ store }: Services, texts: TextForms): vscode.CallHierarchyProvider {
  const around = (
    item: vscode.CallHierarchyItem,
    peersOf: (details: NodeDetails) => readonly string[],
  ): Promise<readonly vscode.CallHierarchyItem[]> =>
    withDocument(store, modelUri(item.uri), async (document) => {
      const shown = await texts.print(document);
      const id = shown.index.layerAt(item.selectionRange.start.line);
      if (id === undefined) return [];
      const peers = peersOf(await document.ask('node', { id, brief: true }));
      return [...new Set(peers)].flatMap((peer) => itemOf(shown, peer) ?? []);
    });
  return {
    prepareCallHierarchy({ uri }, { line }) {
      const shown = texts.shown(uri);
      const id = shown?.index.layerAt(line);
      return shown === undefined || id === undefined ? undefined : itemOf(shown, id);
    },
    async provideCallHierarchyIncomingCalls(item) {
      const from = await around(item, ({ inputs }) => inputs.flatMap(({ peers }) => peers));
      return from.map((each) => new vscode.CallHierarchyIncomingCall(each, [each.selectionRange]));
    },
    async provideCallHierarchyOutgoingCalls(item) {
      const to = await around(item, ({ outputs }) => outputs.flatMap(({ peers }) => peers));
      return to.map((each) => new vscode.CallHierarchyOutgoingCall(each, [item.selectionRange]));
    },
  };
}

function itemOf({ document, index, rows }: ShownText, id: string): vscode.CallHierarchyItem | undefined {
  const line = index.lineOf(id);
  if (line === undefined) return undefined;
  const row = rows.get(id);
  const range = new vscode.Range(line, 0, line, (index.lines[line] ?? '').length);
  const name = row === undefined || row.name === '' ? id : row.name;
  const detail = row === undefined ? '' : `${row.op}  ${row.outputShapes.join(', ')}`;
  return new vscode.CallHierarchyItem(
    vscode.SymbolKind.Function,
    name,
    detail,
    textUri(document.uri),
    range,
    range,
  );
}
