import { signal } from './signal.ts';

/** A thing the host is asked for. While a newer value is on its way the former one stays. */
export interface Loaded<T> {
  readonly value: T | undefined;
  readonly error: string | undefined;
  readonly loading: boolean;
}

export interface Resource<T> {
  get(): Loaded<T>;
  /** Asks for the value if nobody has, and calls `listener` now and after every change. */
  watch(listener: (loaded: Loaded<T>) => void): () => void;
  /** Asks again when what the value depends on has changed and somebody has wanted it. */
  refresh(): void;
}

/** `key` is what the value depends on; `undefined` means it cannot be asked for yet. */
export function resource<T>(key: () => unknown, load: () => Promise<T>): Resource<T> {
  const state = signal<Loaded<T>>({ value: undefined, error: undefined, loading: false });
  let wanted = false;
  let loadedKey: unknown;

  const refresh = () => {
    const now = key();
    if (!wanted || now === undefined || now === loadedKey) return;
    loadedKey = now;
    state.set({ ...state.get(), loading: true });
    load().then(
      (value) => {
        if (loadedKey === now) state.set({ value, error: undefined, loading: false });
      },
      (error: unknown) => {
        if (loadedKey !== now) return;
        state.set({
          value: undefined,
          error: error instanceof Error ? error.message : String(error),
          loading: false,
        });
      },
    );
  };

  return {
    get: state.get,
    watch(listener) {
      wanted = true;
      const stop = state.watch(listener);
      refresh();
      return stop;
    },
    refresh,
  };
}

/** Resolves when an answer has come, whichever. */
export function settledOnce(of: Resource<unknown>): Promise<void> {
  return new Promise((resolve) => {
    let stop: (() => void) | undefined;
    let done = false;
    const listener = ({ value, error }: Loaded<unknown>) => {
      if (value === undefined && error === undefined) return;
      done = true;
      stop?.();
      resolve();
    };
    stop = of.watch(listener);
    if (done) stop();
  });
}

/** A value that is there already and stays. */
export function settled<T>(value: T): Resource<T> {
  const state = signal<Loaded<T>>({ value, error: undefined, loading: false });
  return { get: state.get, watch: (listener) => state.watch(listener), refresh: () => undefined };
}
