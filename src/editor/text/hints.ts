import * as vscode from 'vscode';
import type { LayerRow } from '../../engine/answers.ts';
import { formatBytes, formatCount, formatMs } from '../support/format.ts';
import type { LayerTimes } from '../layerTimes.ts';
import type { Services } from '../services.ts';
import type { Hints } from '../settings.ts';
import type { ShownText, TextForms } from './forms.ts';

/** Facts that stand between the words of a line: of the layer before it, of an argument behind its name. */
export function inlayHints(
  { settings }: Services,
  texts: TextForms,
  times: LayerTimes,
): vscode.InlayHintsProvider & vscode.Disposable {
  const changed = new vscode.EventEmitter<void>();
  const subscriptions = [
    changed,
    settings.onDidChange(() => changed.fire()),
    times.onDidChange(() => changed.fire()),
  ];
  return {
    onDidChangeInlayHints: changed.event,
    async provideInlayHints({ uri }, range) {
      const shown = texts.shown(uri);
      if (shown === undefined) return [];
      const wanted = settings.hints(shown.document.uri);
      const known = wanted.time ? await times.of(shown.document) : undefined;
      const hints: vscode.InlayHint[] = [];
      for (let { line } = range.start; line <= range.end.line; line++) {
        const id = shown.index.layerAt(line);
        const row = id === undefined ? undefined : shown.rows.get(id);
        if (row === undefined) continue;
        const text = factsOf(row, wanted, known?.get(row.id), times.sensitivity(shown.document, row.id));
        if (text !== '') hints.push(before(shown, line, text));
        if (wanted.shapes) hints.push(...argumentTypes(shown, line));
      }
      return hints;
    },
    dispose: () => vscode.Disposable.from(...subscriptions).dispose(),
  };
}

/** "1.2 M MACs · 0.31 ms"; what is nothing is left out, what is unknown is said. */
function factsOf(row: LayerRow, wanted: Hints, ms: number | undefined, sqnrDb: number | undefined): string {
  const facts: string[] = [];
  if (wanted.bytes && row.weightBytes > 0) facts.push(formatBytes(row.weightBytes));
  if (wanted.bytes && row.activationBytes !== null) facts.push(`→ ${formatBytes(row.activationBytes)}`);
  if (wanted.macs && row.macs !== 0)
    facts.push(row.macs === null ? vscode.l10n.t('MACs unknown') : formatCount(row.macs, 'MACs'));
  if (ms !== undefined && ms > 0) facts.push(`≈ ${formatMs(ms)}`);
  if (wanted.sensitivity && sqnrDb !== undefined) facts.push(`${sqnrDb.toFixed(0)} dB`);
  return facts.join(' · ');
}

function before({ index }: ShownText, line: number, text: string): vscode.InlayHint {
  const content = index.lines[line] ?? '';
  const hint = new vscode.InlayHint(
    new vscode.Position(line, content.length - content.trimStart().length),
    text,
  );
  hint.paddingRight = true;
  hint.tooltip = vscode.l10n.t(
    'Work; estimated time on the target device; sensitivity where it was measured',
  );
  return hint;
}

/** The declared or inferred type of every argument that is not declared on the line itself. */
function argumentTypes({ index }: ShownText, line: number): readonly vscode.InlayHint[] {
  return index.spansOn(line).flatMap((span) => {
    const definition = span.role === 'use' ? index.definition(span) : undefined;
    if (definition === undefined) return [];
    const type = typeBefore(index.lines[definition.line] ?? '', definition.start);
    if (type === undefined) return [];
    return [
      new vscode.InlayHint(new vscode.Position(line, span.end), `: ${type}`, vscode.InlayHintKind.Type),
    ];
  });
}

/** The type that stands before a definition: `float32[1,16]` in `float32[1,16] q(0.1, 0) name`. */
function typeBefore(line: string, start: number): string | undefined {
  const head = line.slice(0, start).replace(/ q\([^)]*\) $/, ' ');
  return /([A-Za-z]\w*(?:\[[^\]]*\])?) $/.exec(head)?.[1];
}
