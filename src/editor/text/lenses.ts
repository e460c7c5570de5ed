import * as vscode from 'vscode';
import type { PassInfo } from '../../engine/protocol.ts';
import type { LayerRow } from '../../engine/answers.ts';
import { lensPasses } from '../contributions.ts';
import type { FindingsView } from '../findings/findings.ts';
import { findingsOf, keyOfFinding } from '../findings/findingView.ts';
import { formatBytes, formatCount, formatMs, formatPercent } from '../support/format.ts';
import type { LayerTimes } from '../layerTimes.ts';
import type { Services } from '../services.ts';
import type { ShownText, TextForms } from './forms.ts';
import { heaviestLayers, heavyScopes } from './model.ts';
import { scopesOf } from './scopes.ts';

const layerLimit = 12;
const scopeLimit = 12;

/** Cost, cures and actions above the layers and scopes that make up most of the model. */
export function codeLenses(
  { settings, catalog }: Services,
  texts: TextForms,
  findings: FindingsView,
  times: LayerTimes,
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
    async provideCodeLenses({ uri }) {
      const shown = texts.shown(uri);
      if (shown === undefined) return [];
      const [passes, known] = await Promise.all([catalog.passes(), times.of(shown.document)]);
      const rows = [...shown.rows.values()];
      const layers = heaviestLayers(rows, layerLimit).flatMap(({ row, share }) => {
        const line = shown.index.lineOf(row.id);
        if (line === undefined) return [];
        const at = new Lenses(shown, line, [row.id], passes);
        return [
          at.cost(costText(row, share, known.get(row.id)), row.id),
          ...cures(shown, findings, at, row),
          ...at.actions(),
        ];
      });
      const scopes = heavyScopes(scopesOf(shown.index, shown.rows), shown.rows, scopeLimit).flatMap(
        (scope) => {
          const at = new Lenses(shown, scope.line, scope.layers, passes);
          const ms = scope.layers.reduce((sum, id) => sum + (known.get(id) ?? 0), 0);
          const cost = costText(scope, scope.share, ms > 0 ? ms : undefined);
          const count = vscode.l10n.t('{0} layers', scope.layers.length);
          return [at.cost(`${scope.name}: ${count} · ${cost}`, scope.layers[0] ?? ''), ...at.actions()];
        },
      );
      return [...scopes, ...layers];
    },
    dispose: () => vscode.Disposable.from(...subscriptions).dispose(),
  };
}

function costText(
  cost: Pick<LayerRow, 'weightBytes' | 'macs'>,
  share: number,
  ms: number | undefined,
): string {
  const time = ms === undefined ? [] : [`≈ ${formatMs(ms)}`];
  return [formatBytes(cost.weightBytes), formatCount(cost.macs, 'MACs'), ...time, formatPercent(share)].join(
    ' · ',
  );
}

/** The lenses of one line, about some layers. */
class Lenses {
  readonly #shown: ShownText;
  readonly #range: vscode.Range;
  readonly #layers: readonly string[];
  readonly #passes: readonly PassInfo[];

  constructor(shown: ShownText, line: number, layers: readonly string[], passes: readonly PassInfo[]) {
    this.#shown = shown;
    this.#range = new vscode.Range(line, 0, line, 0);
    this.#layers = layers;
    this.#passes = passes;
  }

  cost(title: string, layer: string): vscode.CodeLens {
    const tooltip = vscode.l10n.t(
      'Weights, work, estimated time, and the share of the model. Shows it in the graph.',
    );
    return this.lens(title, 'kerf.revealLayer', [this.#uri, layer], tooltip);
  }

  /** "Quantize", "Prune", "Exclude", "Benchmark", as far as there is a pass for it. */
  actions(): readonly vscode.CodeLens[] {
    const { format } = this.#shown.document;
    const has = (id: string): boolean =>
      this.#passes.some((pass) => pass.id === id && pass.dialects.includes(format));
    const apply = (pass: string) => [{ uri: this.#uri, pass, layers: this.#layers }];
    return [
      ...(has(lensPasses.quantize)
        ? [
            this.lens(vscode.l10n.t('Quantize'), 'kerf.applyPass', apply(lensPasses.quantize)),
            this.lens(
              vscode.l10n.t('Exclude'),
              'kerf.excludeLayer',
              [this.#uri, this.#layers],
              vscode.l10n.t('Quantizes everything but this'),
            ),
          ]
        : []),
      ...(has(lensPasses.prune)
        ? [this.lens(vscode.l10n.t('Prune'), 'kerf.applyPass', apply(lensPasses.prune))]
        : []),
      this.lens(vscode.l10n.t('Benchmark'), 'kerf.benchmark', [this.#uri]),
      this.lens(vscode.l10n.t('Apply pass…'), 'kerf.applyPass', [{ uri: this.#uri, layers: this.#layers }]),
    ];
  }

  lens(title: string, command: string, args: readonly unknown[], tooltip?: string): vscode.CodeLens {
    const about = tooltip === undefined ? {} : { tooltip };
    return new vscode.CodeLens(this.#range, { title, command, arguments: [...args], ...about });
  }

  get #uri(): string {
    return this.#shown.document.uri.toString();
  }
}

function cures(
  shown: ShownText,
  findings: FindingsView,
  at: Lenses,
  row: LayerRow,
): readonly vscode.CodeLens[] {
  const uri = shown.document.uri.toString();
  return findingsOf(findings.known(shown.document), row.id)
    .flatMap((finding) => finding.fixes.slice(0, 1).map((fix) => ({ finding, fix })))
    .slice(0, 2)
    .map(({ finding, fix }) => at.lens(fix.title, 'kerf.applyFix', [uri, keyOfFinding(finding), 0]));
}
