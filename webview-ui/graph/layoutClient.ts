import { layoutGraph } from './layout.ts';
import type { FromLayoutWorker, Layout, LayoutInput, ToLayoutWorker } from './layoutTypes.ts';

/** Runs layouts off the main thread. A new layout ends the one under way: a worker cannot be interrupted otherwise. */
interface LayoutClient {
  /** Answers `undefined` when a newer call or `cancel` took its place. */
  layout(input: LayoutInput): Promise<Layout | undefined>;
  cancel(): void;
}

/** Graphs this small are laid out at once: a message to a worker costs more. */
const atOnce = 250;

export function layoutClient(workerUri: string): LayoutClient {
  let source: Promise<string> | undefined;
  let worker: Worker | undefined;
  let give: ((layout: Layout | undefined) => void) | undefined;
  let calls = 0;

  const stop = () => {
    calls++;
    if (give === undefined) return;
    worker?.terminate();
    worker = undefined;
    give(undefined);
    give = undefined;
  };

  return {
    async layout(input) {
      stop();
      const call = calls;
      if (input.count <= atOnce) return layoutGraph(input);
      source ??= blobOf(workerUri);
      const uri = await source;
      if (call !== calls) return undefined;
      worker ??= new Worker(uri);
      const running = worker;
      return new Promise((resolve, reject) => {
        give = resolve;
        const settled = new AbortController();
        const { signal } = settled;
        running.addEventListener('error', (event) => reject(new Error(event.message)), { signal });
        running.addEventListener(
          'message',
          ({ data }: MessageEvent<FromLayoutWorker>) => {
            settled.abort();
            give = undefined;
            if ('error' in data) reject(new Error(data.error));
            else resolve(data.layout);
          },
          { signal },
        );
        const message: ToLayoutWorker = { id: call, input };
        // Copied, not transferred: the scene keeps the input.
        running.postMessage(message, []);
      });
    },
    cancel: stop,
  };
}

/** A webview's files are of another origin, so the worker starts from a blob. */
async function blobOf(uri: string): Promise<string> {
  const response = await fetch(uri);
  if (!response.ok) throw new Error(`The layout worker cannot be read: ${response.status}.`);
  return URL.createObjectURL(new Blob([await response.text()], { type: 'text/javascript' }));
}
