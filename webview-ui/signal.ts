/** A value that tells its readers when it changes. */
export interface Signal<T> {
  get(): T;
  set(value: T): void;
  /** Calls `listener` now and after every change; answers how to stop. */
  watch(listener: (value: T) => void): () => void;
  /** Calls `listener` after every change only. */
  onChange(listener: (value: T) => void): () => void;
}

export function signal<T>(initial: T): Signal<T> {
  let value = initial;
  const listeners = new Set<(value: T) => void>();
  const onChange = (listener: (value: T) => void) => {
    listeners.add(listener);
    return () => void listeners.delete(listener);
  };
  return {
    get: () => value,
    set(next) {
      if (Object.is(next, value)) return;
      value = next;
      // A listener may add or remove listeners.
      const now = Array.from(listeners);
      for (const listener of now) listener(next);
    },
    watch(listener) {
      listener(value);
      return onChange(listener);
    },
    onChange,
  };
}
