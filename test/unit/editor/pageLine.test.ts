import { describe, expect, it } from 'vitest';
import { connect } from '../../../src/editor/page/line.ts';
import type {
  DocumentState,
  HostCall,
  PageHandlers,
  ToHost,
  ToPage,
} from '../../../src/editor/page/protocol.ts';
import { KerfError } from '../../../src/ir/errors.ts';

const state = { revision: 1 } as DocumentState;

/** A webview that remembers what it was sent, and a host whose handlers the test decides. */
function page(handlers: Partial<Record<string, (params: unknown, call: HostCall) => Promise<unknown>>>) {
  const sent: ToPage[] = [];
  let receive: (message: ToHost) => unknown = () => undefined;
  let revision = 1;
  const line = connect(
    {
      postMessage: (message: ToPage) => {
        sent.push(message);
        return Promise.resolve(true);
      },
      onDidReceiveMessage: (listener) => {
        receive = listener;
        return { dispose: () => undefined };
      },
    },
    { ready: () => Promise.resolve(state), ...handlers } as unknown as PageHandlers,
    () => revision,
  );
  const settled = () => new Promise((resolve) => setImmediate(resolve));
  return {
    line,
    sent,
    settled,
    touch: () => revision++,
    send: (message: ToHost) => void receive(message),
    call: (id: number, method: string) =>
      receive({ kind: 'call', id, method, params: {} } as unknown as ToHost),
  };
}

describe('the line to a page', () => {
  it('answers calls with the revision they were asked at, edits with the one they made', async () => {
    const { call, sent, settled, touch } = page({
      inspect: async () => {
        touch();
        return { layers: [] };
      },
      apply: async () => {
        touch();
        return {};
      },
    });
    call(1, 'inspect');
    await settled();
    call(2, 'apply');
    await settled();
    expect(sent).toMatchObject([
      { kind: 'result', id: 1, revision: 1 },
      { kind: 'result', id: 2, revision: 3 },
    ]);
  });

  it('turns what is thrown into reasons', async () => {
    const { call, sent, settled } = page({
      graph: () => Promise.reject(new KerfError('malformed', 'bad', { file: 'a.onnx' })),
      node: () => Promise.reject(new TypeError('oops')),
      apply: () => Promise.reject(Object.assign(new Error('Canceled'), { name: 'Canceled' })),
    });
    call(1, 'graph');
    call(2, 'node');
    call(3, 'apply');
    await settled();
    expect(sent).toMatchObject([
      { kind: 'error', id: 1, error: { reason: 'malformed', message: 'bad', file: 'a.onnx' } },
      { kind: 'error', id: 2, error: { reason: 'internal', message: 'oops' } },
      { kind: 'error', id: 3, error: { reason: 'cancelled' } },
    ]);
  });

  it('cancels what the page gives up, and everything a former page asked for', async () => {
    const aborted: string[] = [];
    const slow =
      (name: string) =>
      (_: unknown, { signal }: HostCall) =>
        new Promise((_resolve, reject) => {
          signal.addEventListener('abort', () => {
            aborted.push(name);
            reject(new KerfError('cancelled', name));
          });
        });
    const { call, send, sent, settled } = page({ bench: slow('bench'), graph: slow('graph') });
    call(1, 'bench');
    send({ kind: 'cancel', id: 1 });
    await settled();
    expect(sent).toMatchObject([{ kind: 'error', id: 1, error: { reason: 'cancelled' } }]);
    call(2, 'graph');
    call(1, 'ready');
    await settled();
    expect(aborted).toEqual(['bench', 'graph']);
    // The new page numbers its calls from 1 again; the former page's answers must not reach it.
    expect(sent.slice(1)).toMatchObject([{ kind: 'result', id: 1, result: state }]);
  });

  it('keeps what a page cannot learn from ready until there is one', async () => {
    const { line, call, sent, settled } = page({});
    line.notify({ notice: 'changed', state });
    line.notify({ notice: 'show', tab: 'benchmark', run: true });
    expect(sent).toEqual([]);
    call(1, 'ready');
    await settled();
    expect(sent).toMatchObject([{ kind: 'result' }, { kind: 'notice', notice: 'show', tab: 'benchmark' }]);
    line.sleep();
    line.notify({ notice: 'select', layer: 'a' });
    line.notify({ notice: 'show', tab: 'compare', run: false });
    call(1, 'ready');
    await settled();
    expect(sent.slice(2)).toMatchObject([{ kind: 'result' }, { notice: 'show', tab: 'compare' }]);
  });
});
