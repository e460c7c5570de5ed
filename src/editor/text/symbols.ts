import * as vscode from 'vscode';
import type { ModelDocument } from '../document/document.ts';
import { formatCount } from '../support/format.ts';
import type { Services } from '../services.ts';
import type { ShownText, TextForms } from './forms.ts';
import { textUri } from './forms.ts';
import { layerLabel } from './model.ts';
import { layersIn, type ScopeNode, scopesOf } from './scopes.ts';

/** Outline and breadcrumbs: graphs, name scopes, layers. */
export function documentSymbols(texts: TextForms): vscode.DocumentSymbolProvider {
  return {
    provideDocumentSymbols({ uri, lineCount }, token) {
      const shown = texts.shown(uri);
      if (shown === undefined || token.isCancellationRequested) return [];
      return scopesOf(shown.index, shown.rows)
        .filter(({ end }) => end < lineCount)
        .map((node) => symbolOf(shown, node));
    },
  };
}

function symbolOf(shown: ShownText, node: ScopeNode): vscode.DocumentSymbol {
  const { lines } = shown.index;
  const first = lines[node.line] ?? '';
  const range = new vscode.Range(node.line, 0, node.end, (lines[node.end] ?? '').length);
  const head = new vscode.Range(node.line, 0, node.line, first.length);
  const { name, detail, kind } = describe(shown, node);
  const symbol = new vscode.DocumentSymbol(name, detail, kind, range, head);
  for (const child of node.children) symbol.children.push(symbolOf(shown, child));
  return symbol;
}

function describe(
  { rows }: ShownText,
  node: ScopeNode,
): { readonly name: string; readonly detail: string; readonly kind: vscode.SymbolKind } {
  if (node.kind === 'layer') {
    const row = rows.get(node.id);
    if (row === undefined) return { name: node.id, detail: '', kind: vscode.SymbolKind.Function };
    const detail = `${row.op}  ${row.outputShapes.join(', ')}`;
    return { name: layerLabel(row), detail, kind: vscode.SymbolKind.Function };
  }
  const detail = vscode.l10n.t('{0} layers', formatCount(layersIn(node).length));
  const name = node.name === '' ? vscode.l10n.t('graph') : node.name;
  const kind = vscode.SymbolKind[node.kind === 'graph' ? 'Module' : 'Namespace'];
  return { name, detail, kind };
}

/** Layers of all open models, by a part of their name or operator. */
export function workspaceSymbols({ store }: Services, texts: TextForms): vscode.WorkspaceSymbolProvider {
  return {
    async provideWorkspaceSymbols(query, token) {
      const found: vscode.SymbolInformation[] = [];
      for (const document of store.documents) {
        if (token.isCancellationRequested || found.length >= most) break;
        found.push(...(await symbolsIn(document, query, texts)));
      }
      return found.slice(0, most);
    },
  };
}

const most = 500;

async function symbolsIn(
  document: ModelDocument,
  query: string,
  texts: TextForms,
): Promise<readonly vscode.SymbolInformation[]> {
  const wanted = query.toLowerCase();
  const { layers } = await document.inspection();
  const rows = layers.filter((row) => `${layerLabel(row)} ${row.op}`.toLowerCase().includes(wanted));
  if (rows.length === 0) return [];
  const { index } = await texts.print(document);
  return rows.slice(0, most).flatMap((row) => {
    const line = index.lineOf(row.id);
    if (line === undefined) return [];
    const location = new vscode.Location(textUri(document.uri), new vscode.Position(line, 0));
    const container = `${row.op} · ${document.fileName}`;
    return [new vscode.SymbolInformation(layerLabel(row), vscode.SymbolKind.Function, container, location)];
  });
}

/** Graphs, bodies, functions and name scopes fold; so does the header. */
export function foldingRanges(texts: TextForms): vscode.FoldingRangeProvider {
  return {
    provideFoldingRanges({ uri }) {
      const shown = texts.shown(uri);
      if (shown === undefined) return [];
      const header = shown.index.lines.indexOf('>');
      const ranges = header > 0 ? [new vscode.FoldingRange(0, header, vscode.FoldingRangeKind.Imports)] : [];
      const add = (node: ScopeNode): void => {
        if (node.end > node.line) {
          const region = node.kind === 'scope' ? [vscode.FoldingRangeKind.Region] : [];
          // The closing brace of a graph stays in sight.
          const end = node.kind === 'graph' ? node.end - 1 : node.end;
          if (end > node.line) ranges.push(new vscode.FoldingRange(node.line, end, ...region));
        }
        node.children.forEach(add);
      };
      scopesOf(shown.index, shown.rows).forEach(add);
      return ranges;
    },
  };
}
