import { randomUUID } from 'node:crypto';
import fs from 'node:fs';
import path from 'node:path';
import type { Bytes } from '../../ir/bytes.ts';
import { KerfError } from '../../ir/errors.ts';

const pageBytes = 64 * 1024;
const copyPieceBytes = 8 * 1024 * 1024;
/** Parts below this are written together. */
const gatheredBytes = 1024 * 1024;
const idleCloseMs = 1000;

/**
 * One file, read by position. The descriptor is opened on demand and closed when idle, so that other programs are not
 * locked out; a file that was replaced meanwhile is read under another name it is known by, or refused rather than
 * misread.
 */
class OpenFile {
  /** Names of the file; the one that was right last comes first. */
  #names: readonly string[];
  readonly size: number;
  readonly stamp: string;
  #fd: number | undefined;
  #timer: NodeJS.Timeout | undefined;
  #page: Uint8Array = new Uint8Array(0);
  #pageStart = 0;

  constructor(file: string) {
    this.#names = [file];
    const stat = attempt(file, () => fs.statSync(file));
    if (!stat.isFile()) throw new KerfError('io', 'not a regular file', { file });
    this.size = stat.size;
    this.stamp = stampOf(stat);
  }

  get path(): string {
    return this.#names[0]!;
  }

  /** Another name of this very file, by which it is found when the first one is given to another file; else false. */
  alsoAt(name: string): boolean {
    const stat = fs.statSync(name, { throwIfNoEntry: false });
    if (stat === undefined || stampOf(stat) !== this.stamp) return false;
    if (!this.#names.includes(name)) this.#names = [...this.#names, name];
    return true;
  }

  read(position: number, length: number): Uint8Array {
    if (length <= 0) return new Uint8Array(0);
    if (length > pageBytes / 4) return this.#readFromDisk(position, length);
    const inPage = position >= this.#pageStart && position + length <= this.#pageStart + this.#page.length;
    if (!inPage) {
      this.#page = this.#readFromDisk(position, Math.min(pageBytes, this.size - position));
      this.#pageStart = position;
    }
    const start = position - this.#pageStart;
    return this.#page.subarray(start, start + length);
  }

  #readFromDisk(position: number, length: number): Uint8Array {
    return this.readInto(new Uint8Array(length), position);
  }

  /** Fills `into` from `position`. */
  readInto(into: Uint8Array, position: number): Uint8Array {
    const fd = this.#open();
    const { length } = into;
    let done = 0;
    while (done < length) {
      const piece = Math.min(length - done, 1 << 30);
      const count = attempt(this.path, () => fs.readSync(fd, into, done, piece, position + done));
      if (count === 0)
        throw new KerfError('truncated', `ends at byte ${position + done}`, { file: this.path });
      done += count;
    }
    return into;
  }

  #open(): number {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#close(), idleCloseMs).unref();
    this.#fd ??= this.#openByName();
    return this.#fd;
  }

  #openByName(): number {
    const right = this.#names.find((name) => this.alsoAt(name)) ?? this.path;
    this.#names = [right, ...this.#names.filter((name) => name !== right)];
    const fd = attempt(this.path, () => fs.openSync(this.path, 'r'));
    if (stampOf(fs.fstatSync(fd)) === this.stamp) return fd;
    fs.closeSync(fd);
    throw new KerfError('io', 'the file has changed on disk since it was opened', { file: this.path });
  }

  #close(): void {
    if (this.#fd !== undefined) fs.closeSync(this.#fd);
    this.#fd = undefined;
    this.#timer = undefined;
    this.#page = new Uint8Array(0);
  }
}

function stampOf(stat: fs.Stats): string {
  return `${stat.dev}:${stat.ino}:${stat.size}:${stat.mtimeMs}`;
}

/** A range of a file. */
export class FileBytes implements Bytes {
  readonly length: number;
  readonly start: number;
  readonly #file: OpenFile;

  constructor(file: OpenFile, start: number, length: number) {
    this.#file = file;
    this.start = start;
    this.length = length;
  }

  get path(): string {
    return this.#file.path;
  }

  /** Tells the file from one that replaces it later. */
  get stamp(): string {
    return this.#file.stamp;
  }

  /** Whether `name` leads to this very file; it is read there when its path has gone to another one. */
  alsoAt(name: string): boolean {
    return this.#file.alsoAt(name);
  }

  read(offset = 0, length = this.length - offset): Uint8Array {
    const clamped = Math.max(0, Math.min(length, this.length - offset));
    return this.#file.read(this.start + offset, clamped);
  }

  readInto(target: Uint8Array, offset: number, length: number): Uint8Array {
    const clamped = Math.max(0, Math.min(length, this.length - offset, target.length));
    return this.#file.readInto(target.subarray(0, clamped), this.start + offset);
  }

  slice(offset: number, length: number): Bytes {
    return new FileBytes(this.#file, this.start + offset, Math.min(length, this.length - offset));
  }
}

/** The whole file as lazy bytes. Throws `KerfError('io')` when it is absent or unreadable. */
export function openFile(file: string): FileBytes {
  const open = new OpenFile(file);
  return new FileBytes(open, 0, open.size);
}

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

function attempt<T>(file: string, action: () => T): T {
  try {
    return action();
  } catch (error) {
    throw ioError(file, error);
  }
}

function ioError(file: string, error: unknown): KerfError {
  const code = error instanceof Error && 'code' in error ? String(error.code) : '';
  const reason: Record<string, string> = {
    ENOENT: 'no such file',
    EACCES: 'permission denied',
    EPERM: 'the system does not permit it: the file or its folder may be protected',
    EISDIR: 'is a folder',
    ENAMETOOLONG: 'the name is too long',
    ENOTDIR: 'part of its path is not a folder',
    ENOSPC: 'no space left on the device',
    EROFS: 'the file system is read-only',
  };
  return new KerfError('io', reason[code] ?? (error instanceof Error ? error.message : String(error)), {
    file,
  });
}

/** Whether a file can lie there, before work is spent on it. Throws `KerfError('io')`. */
export function requireOutput(file: string): void {
  const folder = path.dirname(file);
  const statOf = (each: string) => attempt(file, () => fs.statSync(each, { throwIfNoEntry: false }));
  if (statOf(folder)?.isDirectory() !== true)
    throw new KerfError('io', `there is no folder '${folder}'`, { file });
  if (statOf(file)?.isDirectory() === true) throw new KerfError('io', 'is a folder', { file });
  attempt(file, () => fs.accessSync(folder, fs.constants.W_OK));
}

/** Throws `KerfError('io')` unless the folder is there. */
export function requireFolder(folder: string): void {
  const stat = attempt(folder, () => fs.statSync(folder));
  if (!stat.isDirectory()) throw new KerfError('io', 'not a folder', { file: folder });
}

/** Files of a folder whose names end with `suffix`, sorted; none when the folder is absent. */
export function listFiles(folder: string, suffix: string): string[] {
  if (!fs.existsSync(folder)) return [];
  const names = attempt(folder, () => fs.readdirSync(folder));
  return names
    .filter((name) => name.endsWith(suffix))
    .sort()
    .map((name) => path.join(folder, name));
}

/** A text file. Throws `KerfError('io')`. */
export function readText(file: string): string {
  return attempt(file, () => fs.readFileSync(file, 'utf8'));
}

/** A JSON file. Throws `KerfError('malformed')` naming the file and the place. */
export function readJson(file: string): unknown {
  const text = readText(file);
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new KerfError('malformed', error instanceof Error ? error.message : String(error), { file });
  }
}
