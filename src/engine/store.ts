import { createHash } from 'node:crypto';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { encodeModel } from '../formats/encode.ts';
import type { FileBytes } from '../formats/io/openFile.ts';
import { readModelFile, writeModelFile } from '../formats/io/models.ts';
import type { Damage } from '../ir/errors.ts';
import { KerfError } from '../ir/errors.ts';
import type { Model, NodeId } from '../ir/model.ts';
import type { RecipeStep } from '../passes/pass.ts';
import type { Handle } from './protocol.ts';
import { requireWeights } from './requireWeights.ts';

/** A model value with the way it came about. */
export interface Held {
  readonly handle: Handle;
  readonly model: Model;
  readonly damage: readonly Damage[];
  /** The file the journal starts from. */
  readonly path: string;
  readonly steps: readonly RecipeStep[];
  /** Layers that the last step touched, and its remarks. */
  readonly changed: readonly NodeId[];
  readonly notes: readonly string[];
}

/** Tells versions of a file apart. What cannot be looked at is refused, with its reason, by whoever opens it. */
function identityOf(file: string): string {
  try {
    const { ino, size, mtimeMs } = fs.statSync(file);
    return `${ino}:${size}:${mtimeMs}`;
  } catch {
    return 'absent';
  }
}

/** A file that holds a value. */
interface KnownFile {
  readonly path: string;
  readonly fileBytes: number;
  /** Where the value was read from; absent when the file was written from it. */
  readonly bytes?: FileBytes;
}

/** Values kept although nobody holds them, so that undo and redo are look-ups. */
const keptUnheld = 32;

/**
 * Model values by handle. A handle is a digest of the file's identity and the steps applied, so going to a point of a
 * journal finds the value when it is still here and makes it again when it is not.
 */
export class ModelStore {
  readonly #held = new Map<Handle, { value: Held; holders: number }>();
  readonly #files = new Map<Handle, KnownFile>();
  #folder: string | undefined;

  /** The handle of a file's model after some steps. */
  handleOf(file: string, steps: readonly RecipeStep[]): Handle {
    return createHash('sha256')
      .update(JSON.stringify([path.resolve(file), identityOf(file), steps]))
      .digest('hex')
      .slice(0, 32);
  }

  /** Reads a model file, or finds it among the values. */
  openFile(file: string): Held {
    const handle = this.handleOf(file, []);
    const known = this.find(handle);
    if (known !== undefined) return known;
    const twin = this.#underAnotherName(file);
    if (twin !== undefined) {
      this.#files.set(handle, { ...twin.file, path: file });
      return this.add({ ...twin.held, handle, path: file });
    }
    const { model, damage, fileBytes, file: bytes } = readModelFile(file);
    this.#files.set(handle, { path: file, fileBytes, bytes });
    return this.add({ handle, model, damage, path: file, steps: [], changed: [], notes: [] });
  }

  /**
   * The value of the same file under another name: editors put the original aside before the first edit, by a link.
   * What is known of the model then stays known.
   */
  #underAnotherName(file: string): { held: Held; file: KnownFile } | undefined {
    for (const { value: held } of this.#held.values()) {
      const known = this.#files.get(held.handle);
      if (known?.bytes === undefined || held.steps.length > 0) continue;
      // External data is looked for beside the model.
      const alone = known.fileBytes === known.bytes.length && held.damage.length === 0;
      const beside = path.dirname(path.resolve(known.path)) === path.dirname(path.resolve(file));
      if ((alone || beside) && known.bytes.alsoAt(file)) return { held, file: known };
    }
    return undefined;
  }

  find(handle: Handle): Held | undefined {
    return this.#held.get(handle)?.value;
  }

  get(handle: Handle): Held {
    const held = this.find(handle);
    if (held === undefined) throw new KerfError('not-found', `the engine holds no model ${handle}`);
    return held;
  }

  /** A model that is about to be run. Throws `KerfError('missing-weights')`, which says more than a runtime would. */
  runnable(handle: Handle): Held {
    const held = this.get(handle);
    requireWeights(held.model, held.path);
    return held;
  }

  add(value: Held): Held {
    this.#held.set(value.handle, { value, holders: 0 });
    this.#evict();
    return value;
  }

  hold(handle: Handle): void {
    const entry = this.#held.get(handle);
    if (entry !== undefined) entry.holders += 1;
  }

  release(handle: Handle): void {
    const entry = this.#held.get(handle);
    if (entry !== undefined) entry.holders = Math.max(0, entry.holders - 1);
    this.#evict();
  }

  /** Bytes of all files of the model as it would be written. */
  fileBytes(held: Held): number {
    const file = this.#files.get(held.handle);
    if (file !== undefined) return file.fileBytes;
    return encodeModel(held.model).reduce((sum, part) => sum + part.length, 0) + this.#externalBytes(held);
  }

  /** A file that holds the value, for runtimes; written once to a temporary folder when it is not the original. */
  async fileOf(held: Held): Promise<string> {
    const known = this.#files.get(held.handle);
    if (known !== undefined) return known.path;
    this.#folder ??= fs.mkdtempSync(path.join(os.tmpdir(), 'kerf-models-'));
    const file = path.join(this.#folder, `${held.handle}.${held.model.dialect}`);
    const { fileBytes } = await writeModelFile(held.model, file);
    this.#files.set(held.handle, { path: file, fileBytes });
    return file;
  }

  dispose(): void {
    if (this.#folder !== undefined) fs.rmSync(this.#folder, { recursive: true, force: true });
    this.#held.clear();
  }

  /** External data that an encoded model still refers to. */
  #externalBytes(held: Held): number {
    const base = this.#files.get(this.handleOf(held.path, []));
    const own = fs.statSync(held.path, { throwIfNoEntry: false })?.size ?? 0;
    return base === undefined ? 0 : Math.max(0, base.fileBytes - own);
  }

  #evict(): void {
    const unheld = [...this.#held].filter(([, entry]) => entry.holders === 0);
    for (const [handle] of unheld.slice(0, Math.max(0, unheld.length - keptUnheld))) {
      this.#held.delete(handle);
      const file = this.#files.get(handle);
      if (this.#folder !== undefined && file?.path.startsWith(this.#folder)) {
        fs.rmSync(file.path, { force: true });
        this.#files.delete(handle);
      }
    }
  }
}
