import { randomUUID } from 'node:crypto';
import fs from 'node:fs';
import path from 'node:path';
import type { Bytes } from '../../ir/bytes.ts';
import { KerfError } from '../../ir/errors.ts';
import { ioError } from './ioError.ts';

const copyPieceBytes = 8 * 1024 * 1024;
/** Parts below this are written together. */
const gatheredBytes = 1024 * 1024;

/**
 * Writes the parts one after another through a temporary file in the same folder, then renames: readers see the old
 * file or the new one. Keeps the mode of an existing file and writes through symbolic links; devices and pipes are
 * written to, never replaced. Returns the size. Throws `KerfError('io')`.
 */
export async function writeParts(file: string, parts: readonly Bytes[]): Promise<number> {
  const target = fs.existsSync(file) ? fs.realpathSync(file) : file;
  const there = fs.statSync(target, { throwIfNoEntry: false });
  if (there?.isDirectory() === true) throw new KerfError('io', 'is a folder', { file });
  if (there?.isFile() === false) return reporting(file, () => writeInto(target, 'w', parts));
  const temporary = path.join(path.dirname(target), `.${path.basename(target)}.${randomUUID()}.tmp`);
  try {
    return await reporting(file, async () => {
      const mode = there === undefined ? 0o644 : there.mode & 0o777;
      const size = await writeInto(temporary, 'wx', parts, mode);
      await fs.promises.rename(temporary, target);
      return size;
    });
  } catch (error) {
    await fs.promises.rm(temporary, { force: true });
    throw error;
  }
}

/** Writes a file that nobody keeps: in place, and without waiting for the disk. */
export function writeScratch(file: string, parts: readonly Bytes[]): Promise<number> {
  return reporting(file, () => writeInto(file, 'w', parts));
}

/** What the system refuses names the file that was asked for. */
async function reporting<T>(file: string, action: () => Promise<T>): Promise<T> {
  try {
    return await action();
  } catch (error) {
    throw KerfError.is(error) ? error : ioError(file, error);
  }
}

async function writeInto(
  file: string,
  flags: 'w' | 'wx',
  parts: readonly Bytes[],
  mode?: number,
): Promise<number> {
  const handle = await fs.promises.open(file, flags, mode);
  let size = 0;
  try {
    let before = Promise.resolve();
    for (const piece of gathered(parts)) {
      await before;
      before = writeAll(handle, piece);
      // Whoever waits for it hears of it.
      before.catch(() => {});
      size += piece.length;
    }
    await before;
    // Devices and pipes have nothing to bring to a disk.
    if (flags === 'wx') await handle.sync();
  } finally {
    await handle.close();
  }
  return size;
}

async function writeAll(handle: fs.promises.FileHandle, bytes: Uint8Array): Promise<void> {
  for (let done = 0; done < bytes.length; ) {
    const { bytesWritten } = await handle.write(bytes, done, bytes.length - done);
    done += bytesWritten;
  }
}

/** Pieces of bounded size, the next one made while the former is written: small parts are gathered, large ones are cut. */
function* gathered(parts: readonly Bytes[]): Generator<Uint8Array> {
  let pending: Uint8Array[] = [];
  let waiting = 0;
  function* flush(): Generator<Uint8Array> {
    if (waiting > 0) yield Buffer.concat(pending);
    pending = [];
    waiting = 0;
  }
  for (const part of parts) {
    for (let offset = 0; offset < part.length; offset += copyPieceBytes) {
      const piece = part.read(offset, Math.min(copyPieceBytes, part.length - offset));
      if (piece.length >= gatheredBytes) {
        yield* flush();
        yield piece;
        continue;
      }
      pending.push(piece);
      waiting += piece.length;
      if (waiting >= gatheredBytes) yield* flush();
    }
  }
  yield* flush();
}
