import { basename } from 'node:path';
import * as vscode from 'vscode';
import type { CallOptions, Handle, Opened, Params, Result } from '../../engine/protocol.ts';
import type { ApplyReport, InspectReport } from '../../engine/answers.ts';
import { KerfError } from '../../ir/errors.ts';
import type { Dialect } from '../../ir/model.ts';
import type { RecipeStep } from '../../passes/pass.ts';
import { applyQueue } from './applyQueue.ts';
import { type Backups, createBackups } from './backups.ts';
import { type DiskState, diskState } from './diskState.ts';
import { createDocumentFiles, type DocumentFiles } from './documentFiles.ts';
import type { ChangeReason, DocumentContext, DocumentEdit, Source } from './documentTypes.ts';
import { describe } from '../support/errorText.ts';
import { stampOf } from './fileStamp.ts';
import {
  type Backup,
  type Edit,
  forgetEdits,
  isDirty,
  type Journal,
  type Origin,
  originOf,
  recordEdit,
  redoTo,
  reload,
  revert,
  toBackup,
  undoneSteps,
  undoTo,
} from './journal.ts';
import { journalOfBackup, journalOfFile } from './journalFiles.ts';
import { createKeptOriginals, type KeptOriginals } from './keptOriginals.ts';
import { createModelHandles, keyOf, type ModelHandles } from './modelHandles.ts';
import { createQuestions, type HandleMethod, type Questions } from './questions.ts';
import { runSteps } from './runSteps.ts';

/**
 * One open model: the journal of its edits. The model values live in the engine; this holds only where they come from,
 * so a crash of the engine loses nothing.
 */
export class ModelDocument implements vscode.CustomDocument {
  readonly uri: vscode.Uri;
  readonly format: Dialect;
  /** Grows with every change of the content. */
  revision = 0;
  readonly #context: DocumentContext;
  readonly #source: Source;
  readonly #changed = new vscode.EventEmitter<ChangeReason>();
  readonly #edited = new vscode.EventEmitter<DocumentEdit>();
  readonly #disposed = new vscode.EventEmitter<void>();
  readonly #kept: KeptOriginals;
  readonly #handles: ModelHandles;
  readonly #questions: Questions;
  readonly #crashes: vscode.Disposable;
  readonly #disk: DiskState;
  readonly #files: DocumentFiles;
  readonly #backups: Backups;
  readonly #edits = applyQueue();
  #journal: Journal;

  readonly onDidChange = this.#changed.event;
  readonly onDidEdit = this.#edited.event;
  readonly onDidDispose = this.#disposed.event;

  private constructor(context: DocumentContext, source: Source, journal: Journal, opened: Opened) {
    this.uri = source.uri;
    this.format = opened.format;
    this.#context = context;
    this.#source = source;
    this.#journal = journal;
    this.#disk = diskState(source.path);
    this.#backups = createBackups(context.log);
    this.#kept = createKeptOriginals(context.storage);
    this.#handles = createModelHandles(context, (point) => this.#files.open(point));
    this.#handles.set(journal.current, opened.handle);
    this.#questions = createQuestions(context.engine, {
      handle: () => this.handle(),
      key: () => this.modelKey,
    });
    this.#files = createDocumentFiles(context.engine, source, opened.format, {
      disk: this.#disk,
      kept: this.#kept,
      journal: () => this.#journal,
      setJournal: (next) => void (this.#journal = next),
      handleAt: (point) => this.#handles.at(point),
      originalBytes: () => this.#originalBytes(),
      originMoved: () => this.#releaseHandles(),
    });
    this.#crashes = context.engine.onCrash(() => this.#changed.fire('recovered'));
  }

  /** Opens a file, or goes back to where a backup left it. */
  static async open(context: DocumentContext, source: Source, backup?: Backup): Promise<ModelDocument> {
    const journal = backup === undefined ? journalOfFile(source.path) : journalOfBackup(backup, source.path);
    const { path } = originOf(journal, journal.current);
    const opened = await context.engine.call('open', { path, steps: journal.current.steps });
    return new ModelDocument(context, source, journal, opened);
  }

  get fileName(): string {
    return basename(this.uri.path);
  }
  /** Path of the file, or of the local copy that stands for it. */
  get path(): string {
    return this.#source.path;
  }
  get isLocal(): boolean {
    return this.#source.local;
  }
  get dirty(): boolean {
    return isDirty(this.#journal);
  }
  get steps(): readonly RecipeStep[] {
    return this.#journal.current.steps;
  }
  get undone(): readonly RecipeStep[] {
    return undoneSteps(this.#journal);
  }
  /** The same text means the same model value. */
  get modelKey(): string {
    return keyOf(this.#journal.current);
  }
  handle(): Promise<Handle> {
    return this.#handles.at(this.#journal.current);
  }

  /** The model before any step. */
  original(): Promise<Handle> {
    return this.handleBefore(0);
  }

  /** The model after the first `count` of its steps. */
  handleBefore(count: number): Promise<Handle> {
    const { current } = this.#journal;
    return this.#handles.at({ ...current, steps: current.steps.slice(0, count) });
  }

  /** The model with further steps that are not part of the document. */
  variant(steps: readonly RecipeStep[]): Promise<Handle> {
    const { current } = this.#journal;
    return this.#handles.at({ ...current, steps: [...current.steps, ...steps] });
  }

  /** A question about the current model. */
  ask<M extends HandleMethod>(
    method: M,
    params: Omit<Params<M>, 'handle'>,
    options?: CallOptions,
  ): Promise<Result<M>> {
    return this.#questions.ask(method, params, options);
  }

  /** The inspection of the current model; kept, because many views look at it. */
  inspection(): Promise<InspectReport> {
    return this.#questions.inspection();
  }

  /** Applies steps as one undoable edit. Applies wait for one another; going elsewhere in history cancels them. */
  apply(
    label: string,
    steps: readonly RecipeStep[],
    options: CallOptions = {},
  ): Promise<readonly ApplyReport[]> {
    return this.#edits.run((signal) => this.#apply(label, steps, { ...options, signal }), options.signal);
  }

  async #apply(
    label: string,
    steps: readonly RecipeStep[],
    options: CallOptions,
  ): Promise<readonly ApplyReport[]> {
    const start = this.#journal.current;
    await this.#files.keepOriginal({ copy: false });
    const from = await this.handle();
    const { reports, handle, done } = await runSteps(this.#context.engine, from, steps, options);
    if (this.#journal.current !== start)
      throw new KerfError('cancelled', 'the document changed while the pass was running');
    if (done.length > 0) this.#record(label, done, handle);
    return reports;
  }

  #record(label: string, steps: readonly RecipeStep[], handle: Handle): void {
    const { journal, edit } = recordEdit(this.#journal, label, steps);
    this.#handles.set(journal.current, handle);
    this.#move(journal, 'edit');
    this.#edited.fire({
      label,
      undo: () => this.#goTo(edit, 'undo'),
      redo: () => this.#goTo(edit, 'redo'),
    });
  }

  async #goTo(edit: Edit, direction: 'undo' | 'redo'): Promise<void> {
    this.#edits.abort();
    await this.#handles.at(direction === 'undo' ? edit.before : edit.after);
    this.#move(direction === 'undo' ? undoTo(this.#journal, edit) : redoTo(this.#journal, edit), direction);
  }

  #move(journal: Journal, reason: ChangeReason): void {
    this.#journal = journal;
    this.revision++;
    this.#changed.fire(reason);
  }

  /** Bytes of the model as it was opened; mostly known already. */
  async #originalBytes(): Promise<number> {
    const { engine } = this.#context;
    const report =
      this.steps.length === 0
        ? await this.inspection()
        : await engine.call('inspect', { handle: await this.original() });
    return report.fileBytes;
  }

  #releaseHandles(): void {
    this.#handles.release().catch((error: unknown) => this.#context.log.debug(describe(error)));
  }

  /** True when the file is not what this document read or wrote last. */
  changedOnDisk(): boolean {
    return this.#disk.changed();
  }

  /** Takes the file on disk as known, so that the next save replaces it without another question. */
  acceptDisk(): void {
    this.#disk.accept();
  }

  /** Writes the current model over its file; a cancelled or failed save leaves the file as it was. */
  async save(options: CallOptions = {}): Promise<void> {
    await this.#files.save(options);
    this.#changed.fire('saved');
  }

  /** Writes the current model elsewhere; the document stays what it is. */
  async saveAs(destination: vscode.Uri, options: CallOptions = {}): Promise<void> {
    if (destination.toString() === this.uri.toString()) return this.save(options);
    await this.#files.saveAs(destination, options);
  }

  /** Back to what the file holds, as it is now. */
  async revert(): Promise<void> {
    this.#edits.abort();
    if (this.changedOnDisk()) return this.reloadFromDisk();
    this.#move(revert(this.#journal), 'revert');
    await this.handle();
  }

  /** Another program wrote the file: its content is the document now. */
  async reloadFromDisk(): Promise<void> {
    const stamp = stampOf(this.#source.path);
    if (stamp === undefined)
      throw new KerfError('not-found', 'the file is gone', { file: this.#source.path });
    const origin: Origin = { path: this.#source.path, stamp };
    const journal = reload(this.#journal, origin);
    const { handle } = await this.#context.engine.call('open', { path: origin.path, steps: [] });
    this.#disk.accept(stamp);
    this.#handles.set(journal.current, handle);
    this.#move(journal, 'reload');
  }

  async backup(destination: vscode.Uri): Promise<vscode.CustomDocumentBackup> {
    const file = { path: this.#source.path, stamp: this.#disk.stamp() ?? { size: 0, modifiedMs: 0 } };
    return this.#backups.write(destination, toBackup(this.#journal, file));
  }

  /** A backup found after the document had been opened by someone else than the editor. */
  async restore(backup: Backup): Promise<void> {
    const journal = journalOfBackup(backup, this.#source.path);
    const { path } = originOf(journal, journal.current);
    const { handle } = await this.#context.engine.call('open', { path, steps: journal.current.steps });
    this.#releaseHandles();
    this.#handles.set(journal.current, handle);
    this.#move(journal, 'reload');
  }

  /** Called by VS Code when the last editor closed; the store decides whether somebody else still needs it. */
  dispose(): void {
    this.#context.released();
  }

  /** Edits went away with the editor: whoever still looks sees the file. */
  forgetEdits(): void {
    this.#edits.abort();
    if (this.dirty) this.#move(forgetEdits(this.#journal), 'revert');
    else this.#journal = forgetEdits(this.#journal);
  }

  /** The end of the document. */
  close(): void {
    this.#edits.abort();
    this.#disposed.fire();
    this.#crashes.dispose();
    const closed = this.#handles.close();
    // A backup may still need the kept original; old ones are swept at activation.
    closed
      .then(() => (this.#backups.any() ? undefined : this.#kept.forget()))
      .catch((error: unknown) => this.#context.log.warn(`a kept original stays behind: ${describe(error)}`));
    for (const emitter of [this.#changed, this.#edited, this.#disposed]) emitter.dispose();
  }
}
