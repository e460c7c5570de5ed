import { allBytesOf } from '../../formats/io/models.ts';
import type { Bytes } from '../../ir/bytes.ts';
import { memoryBytes } from '../../ir/bytes.ts';
import type { Model } from '../../ir/model.ts';
import type { JobContext } from '../context.ts';
import { compressedLength, quickQuality } from './compress.ts';
import { deltaOf } from './delta.ts';

/** What an update over the air has to carry. */
export interface Shipped {
  /** The whole model after brotli (RFC 7932); null when weights of it are missing. */
  readonly compressedBytes: number | null;
  /** What makes it out of the other model, after brotli; null without one, or when one is too large to be compared. */
  readonly deltaBytes: number | null;
  /** Of brotli, 0 to 11. */
  readonly quality: number;
}

/** Both models are in memory while they are compared. */
const largestCompared = 256 * 2 ** 20;

/**
 * Measures by compressing; nothing is written. External data counts as part of the model. Brotli's best quality, 11,
 * takes two seconds of a processor for a megabyte.
 */
export async function shippedOf(
  model: Model,
  before: Model | undefined,
  job: JobContext,
  quality = quickQuality,
): Promise<Shipped> {
  if (isIncomplete(model)) return { compressedBytes: null, deltaBytes: null, quality };
  const parts = allBytesOf(model);
  const compressedBytes = await compressedLength(parts, job, quality);
  const former = before === undefined || isIncomplete(before) ? undefined : allBytesOf(before);
  if (former === undefined || lengthOf(parts) > largestCompared || lengthOf(former) > largestCompared)
    return { compressedBytes, deltaBytes: null, quality };
  await job.step(0.5, 'comparing the bytes of both models');
  const delta = deltaOf(joined(former), joined(parts));
  const deltaBytes = await compressedLength([memoryBytes(delta)], job, quality);
  return { compressedBytes, deltaBytes, quality };
}

function isIncomplete(model: Model): boolean {
  return model.graphs.some((graph) =>
    [...graph.values.values()].some((value) => value.constant?.data.missing !== undefined),
  );
}

function lengthOf(parts: readonly Bytes[]): number {
  return parts.reduce((sum, part) => sum + part.length, 0);
}

function joined(parts: readonly Bytes[]): Uint8Array {
  const whole = new Uint8Array(lengthOf(parts));
  let at = 0;
  for (const part of parts) {
    whole.set(part.read(), at);
    at += part.length;
  }
  return whole;
}
