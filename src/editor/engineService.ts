import * as vscode from 'vscode';
import { KerfError } from '../ir/errors.ts';
import type { CallOptions, Engine, Method, Params, Result } from '../engine/protocol.ts';
import { describe } from './support/errorText.ts';
import type { Log } from './support/log.ts';

/** Starts an engine process; `onCrash` is called each time it dies unasked, after which its handles are gone. */
type StartEngine = (onCrash: (detail?: unknown) => void) => Engine;

/** The engine as the editor uses it: calls are logged, crashes are an event. */
export interface EngineService extends vscode.Disposable {
  readonly onCrash: vscode.Event<void>;
  /** Grows with every crash; handles of a former generation mean nothing. */
  readonly generation: number;
  call<M extends Method>(method: M, params: Params<M>, options?: CallOptions): Promise<Result<M>>;
}

export function createEngineService(start: StartEngine, log: Log): EngineService {
  const crashed = new vscode.EventEmitter<void>();
  let generation = 0;
  let engine: Engine | undefined;
  const onCrash = (detail?: unknown): void => {
    generation++;
    log.error(`the engine stopped unexpectedly${detail === undefined ? '' : `: ${describe(detail)}`}`);
    crashed.fire();
  };
  return {
    onCrash: crashed.event,
    get generation() {
      return generation;
    },
    async call(method, params, options) {
      // Started on first use: opening VS Code costs nothing.
      engine ??= start(onCrash);
      const started = performance.now();
      try {
        return await engine.call(method, params, options);
      } catch (error) {
        if (!KerfError.is(error, 'cancelled')) log.error(`${method}: ${describe(error)}`);
        throw error;
      } finally {
        log.debug(`${method} took ${(performance.now() - started).toFixed(0)} ms`);
      }
    },
    dispose() {
      engine?.dispose();
      crashed.dispose();
    },
  };
}
