import type { Handle, Shipped } from '../engine/protocol.ts';
import type { Headline } from '../engine/answers.ts';
import { bytes, change } from './format.ts';
import type { Session } from './session.ts';

/** Two models, and what an update from one to the other carries. */
export interface CompressedChange {
  readonly before: Shipped;
  readonly after: Shipped;
}

export const compressedFlag = [
  '--compressed',
  'compress even large models, and those up to 16 MB with the best quality, to tell what an update carries',
] as const;

/** Files beyond this are compressed only on request: it takes a second per 50 MB or so. */
const largestUnasked = 64 * 2 ** 20;

/** The best quality takes two seconds for a megabyte. */
const bestQuality = 11;
const largestAtBest = 16 * 2 ** 20;

/** Compressed sizes, unless the models are large and nobody asked. */
export async function compressedSizes(
  { engine, progress }: Session,
  asked: boolean | undefined,
  params: { readonly handle: Handle; readonly against?: Handle },
  fileBytes: readonly number[],
): Promise<Shipped | undefined> {
  if (asked !== true && fileBytes.some((size) => size > largestUnasked)) return undefined;
  const best = asked === true && fileBytes.every((size) => size <= largestAtBest);
  return engine.call('shipped', { ...params, ...(best && { quality: bestQuality }) }, progress);
}

export async function compressedChange(
  session: Session,
  asked: boolean | undefined,
  before: Handle,
  after: Handle,
  fileBytes: readonly number[],
): Promise<CompressedChange | undefined> {
  const former = await compressedSizes(session, asked, { handle: before }, fileBytes);
  const latter = await compressedSizes(session, asked, { handle: after, against: before }, fileBytes);
  return former && latter && { before: former, after: latter };
}

/** The rows of a table of changes. */
export function compressedRows(sizes: CompressedChange | undefined): string[][] {
  if (sizes === undefined) return [];
  const { before, after } = sizes;
  const how = `brotli, quality ${after.quality}`;
  const rows = [['compressed', `${change(before.compressedBytes, after.compressedBytes, bytes)} (${how})`]];
  if (after.deltaBytes !== null) rows.push(['update', `${bytes(after.deltaBytes)} (delta, ${how})`]);
  return rows;
}

/** A report with the sizes in its headlines; null where nobody measured. */
export function withCompressed<R extends { readonly before: Headline; readonly after: Headline }>(
  report: R,
  sizes: CompressedChange | undefined,
) {
  return {
    ...report,
    before: { ...report.before, compressedBytes: sizes?.before.compressedBytes ?? null },
    after: { ...report.after, compressedBytes: sizes?.after.compressedBytes ?? null },
    deltaBytes: sizes?.after.deltaBytes ?? null,
    brotliQuality: sizes?.after.quality ?? null,
  };
}
