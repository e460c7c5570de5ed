import * as vscode from 'vscode';
import { configured } from '../../rules/configured.ts';
import { damageFindings } from '../../rules/damage.ts';
import type { Finding, Severity } from '../../rules/rule.ts';
import { textScheme } from '../contributions.ts';
import type { ModelDocument } from '../document/document.ts';
import { describe, isCancellation } from '../support/errorText.ts';
import { type FindingGroup, groupFindings, layersOf } from './findingView.ts';
import type { Services } from '../services.ts';
import { textUri, type TextForms } from '../text/forms.ts';
import { findingLines, type TextIndex } from '../text/model.ts';

/** Rules with more findings than this become one row of Problems. */
const rowsPerRule = 10;
/** VS Code drops what is beyond this, per file. */
const rowsPerFile = 1000;
/** Larger models are not printed just to link rows to lines. */
const linkedLayers = 20_000;

/** What hurts, for every surface: Problems, the text form, the page, the quick pick. */
export interface FindingsView extends vscode.Disposable {
  readonly onDidChange: vscode.Event<ModelDocument>;
  /** Findings of the current model on the current device, as the settings want them. */
  of(document: ModelDocument): Promise<readonly Finding[]>;
  /** The same, when they are known already. */
  known(document: ModelDocument): readonly Finding[];
  groups(document: ModelDocument): readonly FindingGroup[];
  /** Publishes findings of a file that is not open as a document. */
  publish(uri: vscode.Uri, findings: readonly Finding[]): void;
}

interface Entry {
  key: string;
  findings: Promise<readonly Finding[]>;
  known: readonly Finding[];
}

export function createFindings(services: Services, texts: TextForms): FindingsView {
  const { store, settings, engine, log } = services;
  const changed = new vscode.EventEmitter<ModelDocument>();
  const models = vscode.languages.createDiagnosticCollection('kerf');
  const lines = vscode.languages.createDiagnosticCollection('kerf-text');
  const entries = new WeakMap<ModelDocument, Entry>();

  const of = (document: ModelDocument): Promise<readonly Finding[]> => {
    const key = JSON.stringify([document.modelKey, settings.revision, engine.generation]);
    const entry = entries.get(document);
    if (entry?.key === key) return entry.findings;
    const findings = check(services, document);
    const next: Entry = { key, findings, known: entry?.known ?? [] };
    entries.set(document, next);
    findings.then(
      (known) => {
        next.known = known;
        if (entries.get(document) === next) changed.fire(document);
      },
      // A failed check is asked again by whoever looks next.
      () => {
        next.key = '';
      },
    );
    return findings;
  };
  const known = (document: ModelDocument): readonly Finding[] => entries.get(document)?.known ?? [];
  const refresh = (document: ModelDocument): void => {
    publishAll(document).catch((error: unknown) => {
      if (!isCancellation(error)) log.warn(`check of ${document.fileName}: ${describe(error)}`);
    });
  };
  const publishAll = async (document: ModelDocument): Promise<void> => {
    const key = document.modelKey;
    const findings = await of(document);
    const { layers } = await document.inspection();
    const linked = layers.length <= linkedLayers && findings.some(({ layer }) => layer !== undefined);
    const index = linked ? (await texts.print(document)).index : undefined;
    if (document.modelKey !== key || store.find(document.uri) !== document) return;
    const uri = textUri(document.uri);
    const inText = index !== undefined && isInTab(uri) ? findingLines(index, findings) : [];
    const elsewhere = new Set(inText.map(({ finding }) => finding));
    const onFile = findings.filter((finding) => !elsewhere.has(finding));
    models.set(document.uri, modelDiagnostics(document.uri, onFile, index?.lineOf));
    lines.set(uri, index === undefined ? [] : lineDiagnostics(index, inText));
  };
  const follow = (document: ModelDocument): void => {
    refresh(document);
    let soon: NodeJS.Timeout | undefined;
    const changes = document.onDidChange((reason) => {
      if (reason === 'saved') return;
      clearTimeout(soon);
      // The picture is asked for first; the engine answers one question after the other.
      soon = setTimeout(() => refresh(document));
    });
    document.onDidDispose(() => {
      clearTimeout(soon);
      changes.dispose();
      models.delete(document.uri);
      lines.delete(textUri(document.uri));
    });
  };
  const subscriptions = [
    changed,
    models,
    lines,
    store.onDidOpen(follow),
    settings.onDidChange(() => store.documents.forEach(refresh)),
    // Rows set before the text followed the model have moved with the old text.
    vscode.workspace.onDidChangeTextDocument(({ document: text }) => {
      const document = text.uri.scheme === textScheme ? texts.shown(text.uri)?.document : undefined;
      if (document !== undefined && !text.isDirty) refresh(document);
    }),
    vscode.window.tabGroups.onDidChangeTabs(({ opened, closed }) => {
      if ([...opened, ...closed].some(isTextTab)) store.documents.forEach(refresh);
    }),
  ];
  return {
    onDidChange: changed.event,
    of,
    known,
    groups: (document) => groupFindings(known(document), rowsPerRule),
    publish: (uri, findings) => models.set(uri, modelDiagnostics(uri, findings)),
    dispose: () => vscode.Disposable.from(...subscriptions).dispose(),
  };
}

async function check({ settings }: Services, document: ModelDocument): Promise<readonly Finding[]> {
  const device = settings.device(document.uri);
  const { findings } = await document.ask('check', {
    budget: settings.budget(document.uri),
    ...(device === null ? {} : { device }),
  });
  const { damage } = await document.inspection();
  return configured([...damageFindings(damage), ...findings], settings.checks(document.uri), document.path);
}

const severities: Readonly<Record<Severity, vscode.DiagnosticSeverity>> = {
  error: vscode.DiagnosticSeverity.Error,
  warning: vscode.DiagnosticSeverity.Warning,
  information: vscode.DiagnosticSeverity.Information,
  hint: vscode.DiagnosticSeverity.Hint,
};

type LineOf = (layer: string) => number | undefined;

/** A link to a command, for places where only links can act. */
export function commandLink(command: string, args: readonly unknown[]): vscode.Uri {
  return vscode.Uri.parse(`command:${command}?${encodeURIComponent(JSON.stringify(args))}`);
}

/**
 * Rows of Problems for a binary file. There is no light bulb for those, so the row's code is a link that runs the fix,
 * or opens the rule's manual where there is none.
 */
function modelDiagnostics(
  uri: vscode.Uri,
  findings: readonly Finding[],
  lineOf?: LineOf,
): readonly vscode.Diagnostic[] {
  return groupFindings(findings, rowsPerRule)
    .slice(0, rowsPerFile)
    .map((group) => {
      const diagnostic = diagnosticOf(group, new vscode.Range(0, 0, 0, 0));
      const command = group.fixes.length > 0 ? 'kerf.applyFix' : 'kerf.showRule';
      const args = group.fixes.length > 0 ? [uri.toString(), group.key] : [group.rule];
      diagnostic.code = { value: group.rule, target: commandLink(command, args) };
      diagnostic.relatedInformation = related(uri, group, lineOf);
      return diagnostic;
    });
}

/** Where the layers are in the text form, as links; at most a handful. */
function related(
  uri: vscode.Uri,
  group: FindingGroup,
  lineOf: LineOf | undefined,
): vscode.DiagnosticRelatedInformation[] {
  return group.findings
    .flatMap(layersOf)
    .slice(0, 20)
    .map((layer) => {
      const line = lineOf?.(layer) ?? 0;
      const location = new vscode.Location(textUri(uri), new vscode.Position(line, 0));
      return new vscode.DiagnosticRelatedInformation(location, layer);
    });
}

function diagnosticOf(
  { severity, message, rule }: Pick<FindingGroup, 'severity' | 'message' | 'rule'>,
  range: vscode.Range,
): vscode.Diagnostic {
  const diagnostic = new vscode.Diagnostic(range, message, severities[severity]);
  diagnostic.source = 'kerf';
  diagnostic.code = rule;
  return diagnostic;
}

function lineDiagnostics(
  { form }: TextIndex,
  found: ReturnType<typeof findingLines>,
): readonly vscode.Diagnostic[] {
  const text = form.text.split('\n');
  return found.slice(0, rowsPerFile).map(({ line, finding }) => {
    const content = text[line] ?? '';
    const start = content.length - content.trimStart().length;
    const diagnostic = diagnosticOf(
      finding,
      new vscode.Range(line, start, line, Math.max(content.length, 1)),
    );
    diagnostic.code = { value: finding.rule, target: commandLink('kerf.showRule', [finding.rule]) };
    return diagnostic;
  });
}

function isTextTab({ input }: vscode.Tab): boolean {
  return input instanceof vscode.TabInputText && input.uri.scheme === textScheme;
}

/** A text form in a tab takes over the rows of its layers: Problems would list every finding twice. */
function isInTab(uri: vscode.Uri): boolean {
  return vscode.window.tabGroups.all
    .flatMap((group) => group.tabs)
    .some(({ input }) => input instanceof vscode.TabInputText && input.uri.toString() === uri.toString());
}
