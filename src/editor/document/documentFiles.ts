import type * as vscode from 'vscode';
import type { CallOptions, Handle } from '../../engine/protocol.ts';
import { KerfError } from '../../ir/errors.ts';
import type { Dialect } from '../../ir/model.ts';
import type { EngineService } from '../engineService.ts';
import type { DiskState } from './diskState.ts';
import type { Source } from './documentTypes.ts';
import { stampOf } from './fileStamp.ts';
import { type Journal, markSaved, moveOrigin, originOf, type Point, sameStamp } from './journal.ts';
import type { KeptOriginals } from './keptOriginals.ts';
import { copyOut, writeModel, writeModelTo } from './modelFiles.ts';

/** How a document comes to its file: the original is put aside before it is replaced, then the model is written. */
export interface DocumentFiles {
  /** The model at a point of the history. Throws `KerfError('not-found')` when its file is another one now. */
  open(point: Point): Promise<Handle>;
  /**
   * Puts the file aside when history stands on it. Models are reopened from there, because the engine refuses to read
   * a file that was replaced.
   */
  keepOriginal(how: { readonly copy: boolean }): Promise<void>;
  save(options: CallOptions): Promise<void>;
  saveAs(destination: vscode.Uri, options: CallOptions): Promise<void>;
}

/** What the document owns and its files need. */
interface Owner {
  readonly disk: DiskState;
  readonly kept: KeptOriginals;
  journal(): Journal;
  setJournal(journal: Journal): void;
  handleAt(point: Point): Promise<Handle>;
  /** Bytes of all files of the model as it was opened. */
  originalBytes(): Promise<number>;
  /** The original is found under another path now. */
  originMoved(): void;
}

export function createDocumentFiles(
  engine: EngineService,
  source: Source,
  format: Dialect,
  owner: Owner,
): DocumentFiles {
  const { disk, kept } = owner;
  const keepOriginal: DocumentFiles['keepOriginal'] = async ({ copy }) => {
    const { path } = source;
    const standsOnFile = owner.journal().origins.some((origin) => origin.path === path);
    if (!standsOnFile || disk.changed()) return;
    const external = (await owner.originalBytes()) !== stampOf(path)?.size;
    const origin = await kept.keep(path, { copy, external });
    if (origin === undefined) return;
    owner.setJournal(moveOrigin(owner.journal(), path, origin));
    owner.originMoved();
  };
  return {
    async open(point) {
      const origin = originOf(owner.journal(), point);
      const onDisk = origin.path !== source.path || sameStamp(stampOf(origin.path), origin.stamp);
      if (!onDisk)
        throw new KerfError('not-found', 'another program replaced the file this step stands on', {
          file: origin.path,
        });
      const { handle } = await engine.call('open', { path: origin.path, steps: point.steps });
      return handle;
    },
    keepOriginal,
    async save(options) {
      const point = owner.journal().current;
      await keepOriginal({ copy: true });
      const handle = await owner.handleAt(point);
      await disk.writing(async () => {
        await writeModel(engine, { handle, format }, source.path, options);
        if (!source.local) await copyOut(source.path, source.uri);
      });
      owner.setJournal(markSaved(owner.journal(), point));
    },
    async saveAs(destination, options) {
      const model = { handle: await owner.handleAt(owner.journal().current), format };
      await writeModelTo(engine, model, { destination, scratch: kept.folder }, options);
    },
  };
}
