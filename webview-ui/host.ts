import type {
  Notice,
  PageMethod,
  PageParams,
  PageResult,
  ToHost,
  ToPage,
} from '../src/editor/page/protocol.ts';
import type { WireError } from '../src/engine/protocol.ts';

/** What VS Code gives a page; the fake host of the tests gives the same. */
interface VsCodeApi {
  readonly postMessage: (message: ToHost) => void;
  readonly getState: () => unknown;
  readonly setState: (state: unknown) => void;
}

declare function acquireVsCodeApi(): VsCodeApi;

/** An error that crossed the wire; code branches on `reason`. */
class HostError extends Error {
  readonly reason: WireError['reason'];
  readonly place: string | undefined;

  constructor(error: WireError) {
    super(error.message);
    this.name = 'HostError';
    this.reason = error.reason;
    this.place = error.place;
  }
}

interface HostCallOptions {
  readonly signal?: AbortSignal;
  readonly onProgress?: (fraction: number, message: string) => void;
}

/** The host as the page sees it. */
export interface Host {
  call<M extends PageMethod>(
    method: M,
    params: PageParams<M>,
    options?: HostCallOptions,
  ): Promise<PageResult<M>>;
  onNotice(listener: (notice: Notice) => void): void;
  getState(): unknown;
  setState(state: unknown): void;
}

interface Pending {
  resolve(result: unknown): void;
  reject(error: Error): void;
  progress?: ((fraction: number, message: string) => void) | undefined;
}

/** Connects to the host. Ids start at the page's birth time, so answers to a former page find nobody. */
export function connectHost(): Host {
  const { postMessage, getState, setState } = acquireVsCodeApi();
  const pending = new Map<number, Pending>();
  const listeners: ((notice: Notice) => void)[] = [];
  let nextId = Math.floor(performance.timeOrigin) * 16;

  window.addEventListener('message', ({ data }: MessageEvent<ToPage>) => {
    if (data.kind === 'notice') {
      for (const listener of listeners) listener(data);
      return;
    }
    const call = pending.get(data.id);
    if (call === undefined) return;
    if (data.kind === 'progress') {
      call.progress?.(data.fraction, data.message);
      return;
    }
    pending.delete(data.id);
    if (data.kind === 'result') call.resolve(data.result);
    else call.reject(new HostError(data.error));
  });

  return {
    call<M extends PageMethod>(method: M, params: PageParams<M>, options: HostCallOptions = {}) {
      const id = nextId++;
      return new Promise<PageResult<M>>((resolve, reject) => {
        pending.set(id, {
          resolve: (result) => resolve(result as PageResult<M>),
          reject,
          progress: options.onProgress,
        });
        options.signal?.addEventListener('abort', () => {
          if (!pending.delete(id)) return;
          postMessage({ kind: 'cancel', id });
          reject(new HostError({ reason: 'cancelled', message: 'Cancelled.' }));
        });
        postMessage({ kind: 'call', id, method, params });
      });
    },
    onNotice: (listener) => void listeners.push(listener),
    getState: () => getState(),
    setState: (state) => setState(state),
  };
}
