import { setImmediate } from 'node:timers/promises';
import * as vscode from 'vscode';
import type { LayerRow } from '../engine/protocol.ts';
import { passesFor } from './catalog.ts';
import { textLanguage, textScheme } from './contributions.ts';
import { commandLink, type FindingsView } from './findings.ts';
import { findingsOf, keyOfFinding } from './findingView.ts';
import { formatBytes, formatCount, formatPercent } from './format.ts';
import type { Services } from './services.ts';
import type { ShownText, TextForms } from './textForms.ts';
import { heaviestLayers, layerLabel, type TextSpan } from './textModel.ts';

const lensLimit = 12;

/** Everything VS Code only offers for text: light bulb, lenses, hover, outline, definitions, references, inlay hints. */
export function registerTextFeatures(
  services: Services,
  texts: TextForms,
  findings: FindingsView,
): vscode.Disposable {
  const selector: vscode.DocumentSelector = { scheme: textScheme, language: textLanguage };
  const { languages } = vscode;
  return vscode.Disposable.from(
    languages.registerCodeActionsProvider(selector, codeActions(services, texts, findings), {
      providedCodeActionKinds: [vscode.CodeActionKind.QuickFix, vscode.CodeActionKind.RefactorRewrite],
    }),
    languages.registerCodeLensProvider(selector, codeLenses(services, texts, findings)),
    languages.registerHoverProvider(selector, hover(texts, findings)),
    languages.registerDocumentSymbolProvider(selector, symbols(texts)),
    languages.registerInlayHintsProvider(selector, inlayHints(texts)),
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

/** Fixes of the line's findings first, then every pass that can work on the layer alone. */
function codeActions(
  { catalog }: Services,
  texts: TextForms,
  findings: FindingsView,
): vscode.CodeActionProvider {
  return {
    async provideCodeActions({ uri }, range, context) {
      const shown = texts.shown(uri);
      if (shown === undefined) return [];
      const layer = shown.index.layerAt(range.start.line) ?? null;
      if (layer === null && range.start.line !== 0) return [];
      const fixes = fixActions(shown, findings, layer, context);
      return layer === null ? fixes : [...fixes, ...(await passActions(shown, catalog, layer))];
    },
  };
}

function fixActions(
  { document }: ShownText,
  findings: FindingsView,
  layer: string | null,
  { diagnostics }: vscode.CodeActionContext,
): vscode.CodeAction[] {
  return findingsOf(findings.known(document), layer).flatMap((finding) =>
    finding.fixes.map((fix, index) => {
      const action = new vscode.CodeAction(fix.title, vscode.CodeActionKind.QuickFix);
      action.diagnostics = diagnostics.filter(({ message }) => message === finding.message);
      action.isPreferred = index === 0;
      action.command = {
        command: 'kerf.applyFix',
        title: fix.title,
        arguments: [document.uri.toString(), keyOfFinding(finding), index],
      };
      return action;
    }),
  );
}

async function passActions(
  { document }: ShownText,
  catalog: Services['catalog'],
  layer: string,
): Promise<vscode.CodeAction[]> {
  const { passes } = await document.ask('node', { id: layer });
  const known = passesFor(await catalog.passes(), document.format);
  return known
    .filter(({ id }) => passes.includes(id))
    .map(({ id, title }) => {
      const label = vscode.l10n.t('{0}: this layer…', title);
      const action = new vscode.CodeAction(label, vscode.CodeActionKind.RefactorRewrite);
      const args = { uri: document.uri.toString(), pass: id, layers: [layer] };
      action.command = { command: 'kerf.applyPass', title: label, arguments: [args] };
      return action;
    });
}

/** Cost and the nearest cure above the layers that make up most of the model. */
function codeLenses(
  { settings }: Services,
  texts: TextForms,
  findings: FindingsView,
): vscode.CodeLensProvider & vscode.Disposable {
  const changed = new vscode.EventEmitter<void>();
  const subscriptions = [
    changed,
    findings.onDidChange(() => changed.fire()),
    texts.onDidPrint(() => changed.fire()),
    settings.onDidChange(() => changed.fire()),
  ];
  return {
    onDidChangeCodeLenses: changed.event,
    provideCodeLenses({ uri }) {
      const shown = texts.shown(uri);
      if (shown === undefined) return [];
      return heaviestLayers([...shown.rows.values()], lensLimit).flatMap(({ row, share }) => {
        const line = shown.index.lineOf(row.id);
        if (line === undefined) return [];
        const range = new vscode.Range(line, 0, line, 0);
        return [costLens(shown, range, row, share), ...fixLenses(shown, findings, range, row)];
      });
    },
    dispose: () => vscode.Disposable.from(...subscriptions).dispose(),
  };
}

function costLens(
  { document }: ShownText,
  range: vscode.Range,
  row: LayerRow,
  share: number,
): vscode.CodeLens {
  const cost = `${formatBytes(row.weightBytes)} · ${formatCount(row.macs, 'MACs')} · ${formatPercent(share)}`;
  return new vscode.CodeLens(range, {
    title: cost,
    tooltip: vscode.l10n.t('Weights, work, and the share of the model. Shows the layer in the graph.'),
    command: 'kerf.revealLayer',
    arguments: [document.uri.toString(), row.id],
  });
}

function fixLenses(
  { document }: ShownText,
  findings: FindingsView,
  range: vscode.Range,
  row: LayerRow,
): vscode.CodeLens[] {
  const uri = document.uri.toString();
  const cures = findingsOf(findings.known(document), row.id)
    .flatMap((finding) => finding.fixes.slice(0, 1).map((fix) => ({ finding, fix })))
    .slice(0, 2)
    .map(({ finding, fix }) => {
      const args = [uri, keyOfFinding(finding), 0];
      return new vscode.CodeLens(range, { title: fix.title, command: 'kerf.applyFix', arguments: args });
    });
  const pass = { title: vscode.l10n.t('Apply pass…'), command: 'kerf.applyPass' };
  return [...cures, new vscode.CodeLens(range, { ...pass, arguments: [{ uri, layers: [row.id] }] })];
}

/** The layer's card, or the value's type when the pointer is on a value of another kind of line. */
function hover(texts: TextForms, findings: FindingsView): vscode.HoverProvider {
  return {
    async provideHover({ uri }, { line }) {
      const shown = texts.shown(uri);
      const layer = shown?.index.layerAt(line);
      if (shown === undefined || layer === undefined) return undefined;
      const details = await shown.document.ask('node', { id: layer });
      const { cost } = details;
      const text = new vscode.MarkdownString(undefined, true);
      text.isTrusted = { enabledCommands: ['kerf.applyFix', 'kerf.showRule', 'kerf.revealLayer'] };
      text.appendMarkdown(`**${escape(layerLabel(details))}** — ${escape(details.op)}\n\n`);
      text.appendMarkdown(
        [
          `| | |`,
          `|---|---|`,
          `| ${vscode.l10n.t('Weights')} | ${formatBytes(cost.weightBytes)}, ${vscode.l10n.t('{0} parameters', formatCount(cost.params))} |`,
          `| ${vscode.l10n.t('Work')} | ${formatCount(cost.macs, 'MACs')}, ${formatCount(cost.flops, 'FLOPs')} |`,
          `| ${vscode.l10n.t('Activations')} | ${formatBytes(cost.inputBytes)} → ${formatBytes(cost.activationBytes)} |`,
          ...details.inputs.map((value) => `| ${escape(value.role)} | ${escape(value.type)} |`),
          ...details.outputs.map((value) => `| → ${escape(value.role)} | ${escape(value.type)} |`),
          '',
        ].join('\n'),
      );
      if (cost.formula !== '') text.appendMarkdown(`\n\`${cost.formula}\`\n`);
      for (const finding of findingsOf(findings.known(shown.document), layer)) {
        const link = commandLink('kerf.applyFix', [shown.document.uri.toString(), keyOfFinding(finding)]);
        const fix = finding.fixes[0];
        text.appendMarkdown(`\n\n$(warning) ${escape(finding.message)}`);
        if (fix !== undefined) text.appendMarkdown(` [${escape(fix.title)}](${link.toString()})`);
      }
      return new vscode.Hover(text);
    },
  };
}

function escape(text: string): string {
  return text.replaceAll(/[\\`*_{}[\]()#+\-.!|<>]/g, String.raw`\$&`);
}

/** The work of each layer before its line, so that it is seen without scrolling; unknown is said, nothing is not. */
function inlayHints(texts: TextForms): vscode.InlayHintsProvider {
  return {
    provideInlayHints({ uri }, range) {
      const shown = texts.shown(uri);
      if (shown === undefined) return [];
      const hints: vscode.InlayHint[] = [];
      for (let { line } = range.start; line <= range.end.line; line++) {
        const row = shown.rows.get(shown.index.layerAt(line) ?? '');
        if (row === undefined || row.macs === 0) continue;
        const work = row.macs === null ? vscode.l10n.t('MACs unknown') : formatCount(row.macs, 'MACs');
        const hint = new vscode.InlayHint(new vscode.Position(line, 2), work);
        hint.paddingRight = true;
        hints.push(hint);
      }
      return hints;
    },
  };
}

/** Symbols made between two turns of the event loop: an outline of 10,000 layers must not hold up the others. */
const symbolsPerTurn = 1000;

/** One symbol per layer, named as the graph names it. */
function symbols(texts: TextForms): vscode.DocumentSymbolProvider {
  return {
    async provideDocumentSymbols({ uri, lineCount }, token) {
      const shown = texts.shown(uri);
      if (shown === undefined) return [];
      const { text, layers } = shown.index.form;
      const lines = text.split('\n');
      const found: vscode.DocumentSymbol[] = [];
      for (const [index, { id, line }] of layers.entries()) {
        if (index % symbolsPerTurn === symbolsPerTurn - 1) await setImmediate();
        if (token.isCancellationRequested) return [];
        if (line >= lineCount) continue;
        const row = shown.rows.get(id);
        const range = new vscode.Range(line, 0, line, lines[line]?.length ?? 0);
        const name = row === undefined ? id : layerLabel(row);
        const detail = row === undefined ? '' : `${row.op}  ${row.outputShapes.join(', ')}`;
        found.push(new vscode.DocumentSymbol(name, detail, vscode.SymbolKind.Function, range, range));
      }
      return found;
    },
  };
}
