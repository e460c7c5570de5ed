import * as vscode from 'vscode';
import { textLanguage, textScheme } from '../contributions.ts';
import type { FindingsView } from '../findings/findings.ts';
import type { LayerTimes } from '../layerTimes.ts';
import type { Services } from '../services.ts';
import { codeActions } from './actions.ts';
import { callHierarchy } from './calls.ts';
import type { TextForms } from './forms.ts';
import { inlayHints } from './hints.ts';
import { hover } from './hover.ts';
import { codeLenses } from './lenses.ts';
import type { TextSpan } from './model.ts';
import { documentSymbols, foldingRanges, workspaceSymbols } from './symbols.ts';
import { lineTokens, tokenModifiers, tokenTypes } from './tokens.ts';

/** Everything VS Code only offers for text, in one place: each feature has a file of its own. */
export function registerTextFeatures(
  services: Services,
  texts: TextForms,
  findings: FindingsView,
  times: LayerTimes,
): vscode.Disposable {
  const selector: vscode.DocumentSelector = { scheme: textScheme, language: textLanguage };
  const { languages } = vscode;
  const lenses = codeLenses(services, texts, findings, times);
  const hints = inlayHints(services, texts, times);
  return vscode.Disposable.from(
    lenses,
    hints,
    languages.registerCodeActionsProvider(selector, codeActions(services, texts, findings), {
      providedCodeActionKinds: [vscode.CodeActionKind.QuickFix, vscode.CodeActionKind.RefactorRewrite],
    }),
    languages.registerCodeLensProvider(selector, lenses),
    languages.registerHoverProvider(selector, hover(texts, findings, times)),
    languages.registerDocumentSymbolProvider(selector, documentSymbols(texts)),
    languages.registerWorkspaceSymbolProvider(workspaceSymbols(services, texts)),
    languages.registerFoldingRangeProvider(selector, foldingRanges(texts)),
    languages.registerInlayHintsProvider(selector, hints),
    languages.registerCallHierarchyProvider(selector, callHierarchy(services, texts)),
    languages.registerDocumentRangeSemanticTokensProvider(selector, semanticTokens(texts), legend),
    languages.registerDefinitionProvider(selector, {
      provideDefinition: ({ uri }, position) => {
        const shown = texts.shown(uri);
        const span = shown?.index.valueAt(position.line, position.character);
        const definition = span === undefined ? undefined : shown?.index.definition(span);
        return definition === undefined ? undefined : new vscode.Location(uri, rangeOf(definition));
      },
    }),
    languages.registerReferenceProvider(selector, {
      provideReferences: ({ uri }, position, { includeDeclaration }) =>
        places(texts, uri, position)
          .filter((span) => includeDeclaration || span.role !== 'definition')
          .map((span) => new vscode.Location(uri, rangeOf(span))),
    }),
    languages.registerDocumentHighlightProvider(selector, {
      provideDocumentHighlights: ({ uri }, position) =>
        places(texts, uri, position).map((span) => {
          const write = span.role === 'definition';
          const kind = vscode.DocumentHighlightKind[write ? 'Write' : 'Read'];
          return new vscode.DocumentHighlight(rangeOf(span), kind);
        }),
    }),
  );
}

const legend = new vscode.SemanticTokensLegend([...tokenTypes], [...tokenModifiers]);

/** Only for the lines in sight: a whole text of 100,000 layers would be a million tokens. */
function semanticTokens(texts: TextForms): vscode.DocumentRangeSemanticTokensProvider {
  return {
    provideDocumentRangeSemanticTokens({ uri }, { start, end }) {
      const index = texts.shown(uri)?.index;
      const builder = new vscode.SemanticTokensBuilder(legend);
      for (let { line } = start; line <= end.line; line++) {
        for (const token of lineTokens(index?.lines[line] ?? '', index?.spansOn(line) ?? []))
          builder.push(
            line,
            token.start,
            token.length,
            tokenTypes.indexOf(token.type),
            token.declaration ? 1 : 0,
          );
      }
      return builder.build();
    },
  };
}

function rangeOf({ line, start, end }: TextSpan): vscode.Range {
  return new vscode.Range(line, start, line, end);
}

function places(
  texts: TextForms,
  uri: vscode.Uri,
  { line, character }: vscode.Position,
): readonly TextSpan[] {
  const index = texts.shown(uri)?.index;
  const span = index?.valueAt(line, character);
  return index === undefined || span === undefined ? [] : index.places(span);
}
