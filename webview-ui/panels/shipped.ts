import type { PageShipped } from '../../src/editor/page/protocol.ts';
import { bytes } from '../format.ts';
import type { Loaded } from '../resource.ts';

export const computing = 'computing…';
const notMeasured = 'not measured: the file is large';

/** The compressed size in words, while it is computed as well. */
export function compressedWords({ value, error, loading }: Loaded<PageShipped>): string {
  if (value === undefined || loading) return error ?? computing;
  return value.tooLarge ? notMeasured : `${bytes(value.compressedBytes)} (brotli)`;
}

/** The update from the file as it was opened; `undefined` where there is none to speak of. */
export function updateWords({ value, loading }: Loaded<PageShipped>): string | undefined {
  if (value === undefined || loading || value.deltaBytes === null) return undefined;
  return `${bytes(value.deltaBytes)} (delta, brotli)`;
}
