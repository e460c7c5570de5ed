import { layoutGraph } from './layout.ts';
import type { FromLayoutWorker, ToLayoutWorker } from './layoutTypes.ts';

/** The scope of a dedicated worker; the DOM library types `self` as a window. */
interface WorkerScope {
  addEventListener(type: 'message', listener: (event: MessageEvent<ToLayoutWorker>) => void): void;
  postMessage(message: FromLayoutWorker, options: { transfer: readonly Transferable[] }): void;
}

const scope = self as unknown as WorkerScope;

scope.addEventListener('message', ({ data }) => {
  const begin = performance.now();
  try {
    const layout = layoutGraph(data.input);
    const { x, y, rank, routeStart, route, stub } = layout;
    scope.postMessage(
      { id: data.id, layout, ms: performance.now() - begin },
      { transfer: [x.buffer, y.buffer, rank.buffer, routeStart.buffer, route.buffer, stub.buffer] },
    );
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error);
    scope.postMessage({ id: data.id, error: message }, { transfer: [] });
  }
});
