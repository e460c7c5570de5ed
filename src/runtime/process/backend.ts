import type { LayerTime, SessionInfo, Tensors } from '../runner.ts';

/** Feeds turned into a runtime's own tensors, so that a timed loop measures the inference alone. */
export interface PreparedRun {
  run(): Promise<void>;
  dispose(): void;
}

/** A loaded model of one runtime, inside the runner process. */
export interface BackendSession {
  readonly info: SessionInfo;
  run(feeds: Tensors): Promise<Tensors>;
  prepare(feeds: Tensors): Promise<PreparedRun>;
  /** `folder` is an empty one for files that the runtime writes on the way. */
  profile(feeds: Tensors, runs: number, folder: string): Promise<readonly LayerTime[]>;
  close(): Promise<void>;
}
