import * as vscode from 'vscode';
import type { Finding, Fix } from '../../rules/rule.ts';
import { passesFor } from '../support/passes.ts';
import type { FindingsView } from '../findings/findings.ts';
import { findingsOf, joinFixes, keyOfFinding, layersOf } from '../findings/findingView.ts';
import { plainTitle } from '../commands/fixResult.ts';
import type { Services } from '../services.ts';
import type { ShownText, TextForms } from './forms.ts';

/** Fixes of the line's findings, previews, fixes of a whole kind, suppressions; then every pass for the layer alone. */
export function codeActions(
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
      const all = findings.known(shown.document);
      const here = findingsOf(all, layer);
      const fixes = here.flatMap((finding) => actionsFor(shown, finding, all, context));
      // Passes are asked of the engine, and only where somebody wants to see them.
      const wanted = context.only?.intersects(vscode.CodeActionKind.RefactorRewrite) !== false;
      return layer === null || !wanted ? fixes : [...fixes, ...(await passActions(shown, catalog, layer))];
    },
  };
}

function actionsFor(
  { document }: ShownText,
  finding: Finding,
  all: readonly Finding[],
  { diagnostics }: vscode.CodeActionContext,
): vscode.CodeAction[] {
  const uri = document.uri.toString();
  const about = diagnostics.filter(({ message }) => message === finding.message);
  const action = (title: string, command: string, args: readonly unknown[]): vscode.CodeAction => {
    const made = new vscode.CodeAction(title, vscode.CodeActionKind.QuickFix);
    made.diagnostics = about;
    made.command = { command, title, arguments: [...args] };
    return made;
  };
  const key = keyOfFinding(finding);
  const fixes = finding.fixes.map((fix, index) => {
    const made = action(fix.title, 'kerf.applyFix', [uri, key, index]);
    made.isPreferred = index === 0;
    return made;
  });
  const previews = finding.fixes.map((fix, index) =>
    action(vscode.l10n.t('Preview: {0}', plainTitle(fix)), 'kerf.previewFix', [uri, key, index]),
  );
  return [
    ...fixes,
    ...allOfKind(finding, all).map((fix) =>
      action(vscode.l10n.t('Fix all of this kind: {0}', fix.title), 'kerf.fixAllOfRule', [
        uri,
        finding.rule,
        fix.pass,
      ]),
    ),
    ...previews,
    ...suppressions(finding).map(({ title, layer }) =>
      action(title, 'kerf.suppress', [uri, finding.rule, layer]),
    ),
  ];
}

/** What cures every finding of the rule, when there is more than this one. */
function allOfKind(finding: Finding, all: readonly Finding[]): readonly Fix[] {
  const same = all.filter(({ rule, fixes }) => rule === finding.rule && fixes.length > 0);
  return same.length < 2 ? [] : joinFixes(same).slice(0, 1);
}

function suppressions(
  finding: Finding,
): readonly { readonly title: string; readonly layer: string | null }[] {
  const [layer] = layersOf(finding);
  const everywhere = { title: vscode.l10n.t("Suppress '{0}' in this model", finding.rule), layer: null };
  if (layer === undefined) return [everywhere];
  return [{ title: vscode.l10n.t("Suppress '{0}' for this layer", finding.rule), layer }, everywhere];
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
