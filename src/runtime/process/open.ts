import { open } from 'node:fs/promises';
import { KerfError } from '../../ir/errors.ts';
import type { BackendSession } from './backend.ts';
import { openLitert } from '../litert/litert.ts';
import { openOnnx } from '../onnx/onnxruntime.ts';
import type { SessionOptions } from '../runner.ts';
import { openTflite } from '../litert/tflite.ts';
import { messageOf } from '../wire.ts';

/**
 * Loads a model into the runtime for its format. LiteRT is the reference for TFLite models; what it refuses, the
 * older interpreter may run. When both refuse, the error carries both reasons.
 */
export async function openModel(path: string, options: SessionOptions): Promise<BackendSession> {
  const isTflite = await hasTfliteMark(path);
  if (!isTflite || options.runtime === 'onnxruntime') return openOnnx(path, options);
  if (options.runtime === 'tflite') return openTflite(path);
  try {
    return await openLitert(path);
  } catch (error) {
    if (options.runtime === 'litert' || !KerfError.is(error, 'runtime-refused')) throw error;
    return openSecondChoice(path, error);
  }
}

async function openSecondChoice(path: string, first: KerfError): Promise<BackendSession> {
  try {
    const session = await openTflite(path);
    return { ...session, info: { ...session.info, refusal: first.message } };
  } catch (error) {
    throw new KerfError('runtime-refused', `${first.message}; ${messageOf(error)}`, { file: path });
  }
}

/** TFLite files carry `TFL3` at byte 4; everything else is tried as ONNX, which has no mark. */
async function hasTfliteMark(path: string): Promise<boolean> {
  let file: Awaited<ReturnType<typeof open>>;
  try {
    file = await open(path, 'r');
  } catch (error) {
    throw new KerfError('not-found', messageOf(error), { file: path });
  }
  try {
    const { buffer, bytesRead } = await file.read(Buffer.alloc(8), 0, 8, 0);
    return bytesRead === 8 && buffer.toString('latin1', 4) === 'TFL3';
  } finally {
    await file.close();
  }
}
