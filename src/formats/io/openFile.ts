import fs from 'node:fs';
import type { Bytes } from '../../ir/bytes.ts';
import { KerfError } from '../../ir/errors.ts';
import { attempt } from './ioError.ts';

const pageBytes = 64 * 1024;
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
