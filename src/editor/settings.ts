import * as vscode from 'vscode';
import type { BenchOptions } from '../engine/protocol.ts';
import type { CheckConfig, SeverityOverride } from '../rules/configured.ts';
import type { Budget } from '../rules/rule.ts';
import type { BudgetFiles } from './budgetFiles.ts';

const deviceKey = 'kerf.device';
const dataKey = 'kerf.data';

/** What the person chose: settings, and choices made in the views, which are kept for the workspace. */
export interface Settings extends vscode.Disposable {
  readonly onDidChange: vscode.Event<void>;
  /** Grows with every change. */
  readonly revision: number;
  device(uri: vscode.Uri | undefined): string | null;
  setDevice(device: string | null): Promise<void>;
  /** Limits of `kerf.json` in the workspace folder, with those of the settings over them. */
  budget(uri: vscode.Uri | undefined): Budget;
  setBudget(uri: vscode.Uri | undefined, key: keyof Budget, limit: number | undefined): Promise<void>;
  /** Severities and accepted findings of `kerf.json`, with the severities of the settings over them. */
  checks(uri: vscode.Uri): Pick<CheckConfig, 'severities' | 'suppress'>;
  bench(uri: vscode.Uri): BenchOptions;
  /** Whether a fix is followed by a benchmark. */
  benchmarkFixes(uri: vscode.Uri): boolean;
  /** Which hints stand in the text form. */
  hints(uri: vscode.Uri): Hints;
  /** Percentage points. */
  maxDrop(uri: vscode.Uri): number;
  /** Dataset chosen for a model; null means seeded random inputs. */
  data(uri: vscode.Uri): string | null;
  setData(uri: vscode.Uri, path: string | null): Promise<void>;
}

export const budgetKeys = [
  'fileBytes',
  'flashBytes',
  'ramBytes',
  'macs',
  'latencyMs',
  'accuracyDrop',
] as const satisfies readonly (keyof Budget)[];

export function createSettings(memento: vscode.Memento, files: BudgetFiles): Settings {
  const changed = new vscode.EventEmitter<void>();
  let revision = 0;
  const touch = (): void => {
    revision++;
    changed.fire();
  };
  const listener = vscode.workspace.onDidChangeConfiguration(async (event) => {
    if (!event.affectsConfiguration('kerf')) return;
    // A changed setting speaks louder than an earlier click.
    if (event.affectsConfiguration(deviceKey)) await memento.update(deviceKey, undefined);
    touch();
  });
  const fileListener = files.onDidChange(touch);
  return {
    onDidChange: changed.event,
    get revision() {
      return revision;
    },
    device: (uri) => memento.get<string | null>(deviceKey) ?? (section(uri).get<string>('device') || null),
    async setDevice(device) {
      await memento.update(deviceKey, device ?? undefined);
      touch();
    },
    budget: (uri) => ({ ...files.config(uri).budget, ...readBudget(uri) }),
    async setBudget(uri, key, limit) {
      const target = vscode.workspace.workspaceFolders === undefined ? 'Global' : 'Workspace';
      await section(uri).update(`budget.${key}`, limit, vscode.ConfigurationTarget[target]);
    },
    checks: (uri) => {
      const { severities, suppress } = files.config(uri);
      const own = section(uri).get<Record<string, SeverityOverride>>('rules.severity', {});
      return { severities: { ...severities, ...own }, suppress };
    },
    bench: readBench,
    benchmarkFixes: (uri) => section(uri).get('fixes.benchmark', true),
    hints: readHints,
    maxDrop: (uri) => section(uri).get<number>('optimize.maxDrop', 1),
    data: (uri) => memento.get<Record<string, string>>(dataKey, {})[uri.toString()] ?? null,
    async setData(uri, path) {
      const { [uri.toString()]: _former, ...others } = memento.get<Record<string, string>>(dataKey, {});
      await memento.update(dataKey, path === null ? others : { ...others, [uri.toString()]: path });
      touch();
    },
    dispose: () => vscode.Disposable.from(changed, listener, fileListener).dispose(),
  };
}

export interface Hints {
  readonly shapes: boolean;
  readonly bytes: boolean;
  readonly macs: boolean;
  readonly time: boolean;
  readonly sensitivity: boolean;
}

function readHints(uri: vscode.Uri): Hints {
  const config = section(uri);
  const shown = (hint: keyof Hints, fallback: boolean): boolean => config.get(`text.hints.${hint}`, fallback);
  return {
    shapes: shown('shapes', false),
    bytes: shown('bytes', false),
    macs: shown('macs', true),
    time: shown('time', true),
    sensitivity: shown('sensitivity', true),
  };
}

function section(uri: vscode.Uri | undefined): vscode.WorkspaceConfiguration {
  return vscode.workspace.getConfiguration('kerf', uri);
}

function readBudget(uri: vscode.Uri | undefined): Budget {
  const limits = budgetKeys.map((key) => [key, section(uri).get<number | null>(`budget.${key}`)] as const);
  return Object.fromEntries(limits.filter(([, limit]) => typeof limit === 'number'));
}

function readBench(uri: vscode.Uri): BenchOptions {
  const config = section(uri);
  const provider = config.get<string>('benchmark.provider', '');
  return {
    runs: config.get('benchmark.runs', 50),
    warmup: config.get('benchmark.warmup', 5),
    threads: config.get('benchmark.threads', 1),
    ...(provider === '' ? {} : { provider }),
  };
}
