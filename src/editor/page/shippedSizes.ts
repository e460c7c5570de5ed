import type { Shipped } from '../../engine/protocol.ts';
import type { ModelDocument } from '../document/document.ts';
import type { EngineService } from '../engineService.ts';
import type { PageShipped } from './protocol.ts';

/** Larger files are not compressed unasked: it takes a second per 50 MB or so, and the delta holds both in memory. */
const largestUnasked = 32e6;

interface Kept {
  readonly model: string;
  readonly sizes: Promise<PageShipped>;
}

const kept = new WeakMap<ModelDocument, Kept>();
const tooLarge: PageShipped = {
  compressedBytes: null,
  originalBytes: null,
  deltaBytes: null,
  tooLarge: true,
};

/**
 * Compressed size of the document's model, and of the update from the file as it was opened. Measured once per model,
 * in the engine: callers show something else until it is there.
 */
export function shippedSizes(engine: EngineService, document: ModelDocument): Promise<PageShipped> {
  const model = document.modelKey;
  const known = kept.get(document);
  if (known?.model === model) return known.sizes;
  const sizes = measured(engine, document);
  kept.set(document, { model, sizes });
  sizes.catch(() => {
    if (kept.get(document)?.sizes === sizes) kept.delete(document);
  });
  return sizes;
}

async function measured(engine: EngineService, document: ModelDocument): Promise<PageShipped> {
  const handle = await document.handle();
  const original = await document.handleBefore(0);
  const { fileBytes } = await document.inspection();
  if (fileBytes > largestUnasked) return tooLarge;
  const of = (handle: string, against?: string): Promise<Shipped> =>
    engine.call('shipped', { handle, ...(against === undefined ? {} : { against }) });
  if (handle === original) {
    const { compressedBytes } = await of(handle);
    return { compressedBytes, originalBytes: compressedBytes, deltaBytes: null, tooLarge: false };
  }
  const { compressedBytes: originalBytes } = await of(original);
  return { ...(await of(handle, original)), originalBytes, tooLarge: false };
}
