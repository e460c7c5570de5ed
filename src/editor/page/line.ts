import type * as vscode from 'vscode';
import type { WireError } from '../../engine/protocol.ts';
import { KerfError } from '../../ir/errors.ts';
import { describe, isCancellation } from '../support/errorText.ts';
import type { HostCall, Notice, PageHandlers, PageMethod, ToHost, ToPage } from './protocol.ts';

/** The part of a webview that carries messages. */
type Wire = Pick<vscode.Webview, 'postMessage' | 'onDidReceiveMessage'>;

interface Line {
  /** Tells the page; while there is none, only what it could not learn from `ready` waits for it. */
  notify(notice: Notice): void;
  /** The panel was hidden, and its page is gone until it says `ready` again. */
  sleep(): void;
  dispose(): void;
}

/** What a page that is still loading has to hear of later; the rest is in the answer to `ready`. */
const lasting: ReadonlySet<Notice['notice']> = new Set(['show', 'compare', 'values', 'measured']);

/** Answers that describe the model belong to the revision they were asked at; the others are news. */
const reads: ReadonlySet<PageMethod> = new Set([
  'graph',
  'node',
  'inspect',
  'layers',
  'shipped',
  'tensor',
  'tensorPage',
  'channels',
  'sparsity',
  'sensitivity',
  'measured',
  'check',
  'estimate',
  'bench',
  'evaluate',
  'other',
  'history',
  'optimize',
]);

/** Serves one webview. Messages to a page that is not there are lost, so notices wait for `ready`. */
export function connect(webview: Wire, handlers: PageHandlers, revision: () => number): Line {
  const running = new Map<number, AbortController>();
  const waiting: Notice[] = [];
  let ready = false;
  const post = (message: ToPage): void => {
    // oxlint-disable-next-line unicorn/require-post-message-target-origin -- a webview, not a window
    webview.postMessage(message).then(undefined, () => undefined);
  };
  const abandon = (): void => {
    for (const controller of running.values()) controller.abort();
    running.clear();
  };
  const serve = async (id: number, method: PageMethod, params: unknown): Promise<void> => {
    const controller = new AbortController();
    running.set(id, controller);
    const current = (): boolean => running.get(id) === controller;
    const call: HostCall = {
      signal: controller.signal,
      progress: (fraction, message) => current() && post({ kind: 'progress', id, fraction, message }),
    };
    const asked = revision();
    const handler = handlers[method] as (params: unknown, call: HostCall) => Promise<unknown>;
    try {
      const result = await handler(params, call);
      if (current()) post({ kind: 'result', id, revision: reads.has(method) ? asked : revision(), result });
    } catch (error) {
      if (current()) post({ kind: 'error', id, error: toWire(error) });
    } finally {
      if (current()) running.delete(id);
    }
  };
  const greet = async (message: ToHost & { kind: 'call' }): Promise<void> => {
    abandon();
    await serve(message.id, message.method, message.params);
    ready = true;
    for (const notice of waiting.splice(0)) post({ kind: 'notice', ...notice });
  };
  const listener = webview.onDidReceiveMessage((message: ToHost) => {
    if (message.kind === 'cancel') running.get(message.id)?.abort();
    else if (message.method === 'ready') void greet(message);
    else void serve(message.id, message.method, message.params);
  });
  return {
    notify(notice) {
      if (ready) post({ kind: 'notice', ...notice });
      else if (lasting.has(notice.notice)) waiting.push(notice);
    },
    sleep() {
      ready = false;
    },
    dispose() {
      listener.dispose();
      abandon();
    },
  };
}

function toWire(error: unknown): WireError {
  if (isCancellation(error)) return { reason: 'cancelled', message: 'cancelled' };
  if (!KerfError.is(error)) return { reason: 'internal', message: describe(error) };
  const { reason, message, file, place } = error;
  return {
    reason,
    message,
    ...(file === undefined ? {} : { file }),
    ...(place === undefined ? {} : { place }),
  };
}
