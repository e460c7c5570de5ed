/** Requests under way at once. */
const ahead = 8;

/**
 * Results of `start(0)` to `start(count - 1)` in order, with a few of them under way: waiting for another process at
 * every sample costs more than a small inference does. After an error, no further ones are started.
 */
export async function* inOrder<T>(count: number, start: (index: number) => Promise<T>): AsyncGenerator<T> {
  const underWay: Promise<T>[] = [];
  for (let index = 0; index < count || underWay.length > 0; index += 1) {
    if (index < count) {
      const promise = start(index);
      // Its error is thrown when its turn comes; until then, or if that never comes, it is not unhandled.
      promise.catch(() => undefined);
      underWay.push(promise);
    }
    if (underWay.length >= ahead || index >= count) yield (await underWay.shift()) as T;
  }
}
