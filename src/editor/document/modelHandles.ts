import type { Handle } from '../../engine/protocol.ts';
import { KerfError } from '../../ir/errors.ts';
import type { EngineService } from '../engineService.ts';
import { describe } from '../support/errorText.ts';
import type { Point } from './journal.ts';
import type { Log } from '../support/log.ts';

/** The engine's handles for points of a document's history; made when asked for, and again after a crash. */
export interface ModelHandles {
  at(point: Point): Promise<Handle>;
  /** A point that the engine was at anyway. */
  set(point: Point, handle: Handle): void;
  /** Lets the engine forget all of them; resolves when none is being made any more. */
  release(): Promise<void>;
  /** No handle is made after this. */
  close(): Promise<void>;
}

export function createModelHandles(
  { engine, log }: { readonly engine: EngineService; readonly log: Log },
  open: (point: Point) => Promise<Handle>,
): ModelHandles {
  const handles = new Map<string, Promise<Handle>>();
  let { generation } = engine;
  let closed = false;
  const release = async (): Promise<void> => {
    const held = [...handles.values()];
    handles.clear();
    const lost = generation !== engine.generation;
    generation = engine.generation;
    for (const result of await Promise.allSettled(held)) {
      if (lost || result.status === 'rejected') continue;
      await engine
        .call('release', { handle: result.value })
        .catch((error: unknown) => log.debug(`release: ${describe(error)}`));
    }
  };
  return {
    at(point) {
      if (closed) return Promise.reject(new KerfError('cancelled', 'the document was closed'));
      if (generation !== engine.generation) {
        generation = engine.generation;
        handles.clear();
      }
      const key = keyOf(point);
      const known = handles.get(key);
      if (known !== undefined) return known;
      const opened = open(point);
      handles.set(key, opened);
      opened.catch(() => handles.delete(key));
      return opened;
    },
    set(point, handle) {
      handles.set(keyOf(point), Promise.resolve(handle));
    },
    release,
    close() {
      closed = true;
      return release();
    },
  };
}

/** Origins keep their index when their file is kept elsewhere, so a key outlives a save. */
export function keyOf(point: Point): string {
  return JSON.stringify([point.origin, point.steps]);
}
