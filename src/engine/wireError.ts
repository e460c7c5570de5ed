import { KerfError } from '../ir/errors.ts';
import type { WireError } from './protocol.ts';

/** An error as it crosses the process boundary. */
export function wireError(error: unknown): WireError {
  if (KerfError.is(error)) {
    return {
      reason: error.reason,
      message: error.message,
      ...(error.file !== undefined && { file: error.file }),
      ...(error.place !== undefined && { place: error.place }),
    };
  }
  const message = error instanceof Error ? (error.stack ?? error.message) : String(error);
  return { reason: 'internal', message };
}

export function fromWire(error: WireError): KerfError {
  return new KerfError(error.reason, error.message, {
    ...(error.file !== undefined && { file: error.file }),
    ...(error.place !== undefined && { place: error.place }),
  });
}
