import type { Method } from './protocol.ts';

/** A call that has come in and was not begun. */
interface WaitingCall {
  readonly id: number;
  readonly method: Method;
  readonly params: unknown;
}

/** Calls in the order in which they are begun. */
interface Turns {
  add(call: WaitingCall): void;
  /** Takes a call back that was not begun; false when it was, or is not known. */
  drop(id: number): boolean;
  /** An answer is on its way out; the next call is begun when `left` is called. */
  answering(): () => void;
}

/**
 * Nobody waits for these before looking at the picture, and on a large model they take the process for half a second.
 * `release` is among them so that it does not overtake a call that uses the handle.
 */
const patient: ReadonlySet<Method> = new Set([
  'inspect',
  'check',
  'estimate',
  'layers',
  'shipped',
  'sparsity',
  'weights',
  'release',
]);

/**
 * Begins one call per turn of the event loop, those that a picture waits for first, and none while an answer is still
 * leaving: a process that computes does not write, so an answer of a megabyte behind which the next call starts would
 * arrive only when that one has ended. Calls that wait for other processes do not hold up the rest.
 */
export function takeTurns(begin: (call: WaitingCall) => void): Turns {
  const first: WaitingCall[] = [];
  const later: WaitingCall[] = [];
  let leaving = 0;
  let scheduled = false;
  const next = (): void => {
    scheduled = false;
    if (leaving > 0) return;
    const call = first.shift() ?? later.shift();
    if (call === undefined) return;
    begin(call);
    schedule();
  };
  const schedule = (): void => {
    if (scheduled || leaving > 0 || first.length + later.length === 0) return;
    scheduled = true;
    setImmediate(next);
  };
  return {
    add(call) {
      (patient.has(call.method) ? later : first).push(call);
      schedule();
    },
    drop(id) {
      for (const calls of [first, later]) {
        const at = calls.findIndex((call) => call.id === id);
        if (at < 0) continue;
        calls.splice(at, 1);
        return true;
      }
      return false;
    },
    answering() {
      leaving += 1;
      return () => {
        leaving -= 1;
        schedule();
      };
    },
  };
}
