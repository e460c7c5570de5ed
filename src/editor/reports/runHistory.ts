import * as vscode from 'vscode';
import type { BenchReport } from '../../engine/protocol.ts';

const key = 'kerf.runs';
const kept = 200;

/** One benchmark, with what is needed to compare it later. */
export interface Run {
  readonly id: string;
  readonly when: string;
  readonly file: string;
  /** Labels of the passes applied when it was measured. */
  readonly steps: readonly string[];
  readonly report: BenchReport;
}

/** Benchmarks of this workspace, newest first. Nothing is overwritten; the oldest fall out. */
export interface RunHistory extends vscode.Disposable {
  readonly onDidChange: vscode.Event<void>;
  readonly runs: readonly Run[];
  add(run: Omit<Run, 'id' | 'when'>): Promise<void>;
  clear(): Promise<void>;
}

export function createRunHistory(memento: vscode.Memento): RunHistory {
  const changed = new vscode.EventEmitter<void>();
  const read = (): readonly Run[] => memento.get<readonly Run[]>(key, []);
  const write = async (runs: readonly Run[]): Promise<void> => {
    await memento.update(key, runs);
    changed.fire();
  };
  return {
    onDidChange: changed.event,
    get runs() {
      return read();
    },
    add(run) {
      const when = new Date().toISOString();
      return write([{ ...run, id: `${when} ${run.file}`, when }, ...read()].slice(0, kept));
    },
    clear: () => write([]),
    dispose: () => changed.dispose(),
  };
}
