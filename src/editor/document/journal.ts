import { KerfError } from '../../ir/errors.ts';
import type { RecipeStep } from '../../passes/pass.ts';

/** Tells one content of a file from another without reading it. */
export interface FileStamp {
  readonly size: number;
  readonly modifiedMs: number;
}

/** A file whose content history stands on; saving moves it to a kept copy, so that undo reaches past the save. */
export interface Origin {
  readonly path: string;
  readonly stamp: FileStamp;
}

/** A place in history: the steps that lead there from an origin. Absolute, so going there twice is harmless. */
export interface Point {
  /** Index into `Journal.origins`. */
  readonly origin: number;
  readonly steps: readonly RecipeStep[];
}

export interface Edit {
  readonly id: number;
  readonly label: string;
  readonly before: Point;
  readonly after: Point;
}

/**
 * The history of one document, an immutable value. VS Code calls undo and redo closures in orders that a relative
 * history does not survive (undo after a revert repeats an undo without a redo between), so nothing is ever popped.
 */
export interface Journal {
  readonly origins: readonly Origin[];
  readonly edits: readonly Edit[];
  /** How many of `edits` are applied. */
  readonly cursor: number;
  readonly current: Point;
  /** What the file on disk holds. */
  readonly saved: Point;
  /** `cursor` at the last save; null once those edits were replaced by others. */
  readonly savedCursor: number | null;
}

/** What hot exit keeps: the file and the steps, no bytes of the model. */
export interface Backup {
  readonly version: 1;
  readonly origin: Origin;
  readonly steps: readonly RecipeStep[];
  readonly saved: {
    readonly path: string;
    readonly stamp: FileStamp;
    /** Null when the saved content did not come from `origin`. */
    readonly steps: readonly RecipeStep[] | null;
  };
}

export function openJournal(origin: Origin): Journal {
  const start: Point = { origin: 0, steps: [] };
  return { origins: [origin], edits: [], cursor: 0, current: start, saved: start, savedCursor: 0 };
}

/** A journal as a restored backup leaves it: on the way from `origin`, with nothing to undo; revert goes to the file. */
export function restoredJournal(origin: Origin, steps: readonly RecipeStep[], file: Origin): Journal {
  const onFile = origin.path === file.path;
  const saved: Point = { origin: onFile ? 0 : 1, steps: [] };
  return {
    origins: onFile ? [origin] : [origin, file],
    edits: [],
    cursor: 0,
    current: { origin: 0, steps },
    saved,
    savedCursor: null,
  };
}

/** Adds steps after the current point; edits that were undone are forgotten, as the editor forgets them. */
export function recordEdit(
  journal: Journal,
  label: string,
  steps: readonly RecipeStep[],
): { journal: Journal; edit: Edit } {
  const before = journal.current;
  const after: Point = { origin: before.origin, steps: [...before.steps, ...steps] };
  const kept = journal.edits.slice(0, journal.cursor);
  const edit: Edit = { id: nextEditId(journal), label, before, after };
  const lostSave = journal.savedCursor !== null && journal.savedCursor > journal.cursor;
  return {
    edit,
    journal: {
      ...journal,
      edits: [...kept, edit],
      cursor: kept.length + 1,
      current: after,
      savedCursor: lostSave ? null : journal.savedCursor,
    },
  };
}

function nextEditId(journal: Journal): number {
  return journal.edits.reduce((highest, edit) => Math.max(highest, edit.id), 0) + 1;
}

export function undoTo(journal: Journal, edit: Edit): Journal {
  const index = journal.edits.findIndex((known) => known.id === edit.id);
  return { ...journal, current: edit.before, cursor: index < 0 ? journal.cursor : index };
}

export function redoTo(journal: Journal, edit: Edit): Journal {
  const index = journal.edits.findIndex((known) => known.id === edit.id);
  return { ...journal, current: edit.after, cursor: index < 0 ? journal.cursor : index + 1 };
}

/** The file now holds `point`, which is not always the current one: history may have moved during the save. */
export function markSaved(journal: Journal, point: Point): Journal {
  return { ...journal, saved: point, savedCursor: samePoint(point, journal.current) ? journal.cursor : null };
}

/** Back to what the file holds. */
export function revert(journal: Journal): Journal {
  return { ...journal, current: journal.saved, cursor: journal.savedCursor ?? journal.cursor };
}

/** What the file holds, with nothing to undo: the editor that knew the edits is gone. */
export function forgetEdits(journal: Journal): Journal {
  return { ...journal, current: journal.saved, edits: [], cursor: 0, savedCursor: 0 };
}

/** The file was replaced by another program: a new origin, and older points stand on the old one. */
export function reload(journal: Journal, origin: Origin): Journal {
  const start: Point = { origin: journal.origins.length, steps: [] };
  return {
    ...journal,
    origins: [...journal.origins, origin],
    current: start,
    saved: start,
    savedCursor: journal.savedCursor,
  };
}

/** Points that stand on the file at `from` are reached through `kept`, a copy of it, from now on. */
export function moveOrigin(journal: Journal, from: string, kept: Origin): Journal {
  return { ...journal, origins: journal.origins.map((origin) => (origin.path === from ? kept : origin)) };
}

export function originOf(journal: Journal, point: Point): Origin {
  const origin = journal.origins[point.origin];
  if (origin === undefined) throw new KerfError('internal', `history has no origin ${String(point.origin)}`);
  return origin;
}

function samePoint(a: Point, b: Point): boolean {
  return a === b || (a.origin === b.origin && JSON.stringify(a.steps) === JSON.stringify(b.steps));
}

export function isDirty(journal: Journal): boolean {
  return !samePoint(journal.current, journal.saved);
}

/** Steps that redo would apply, next one first. */
export function undoneSteps(journal: Journal): readonly RecipeStep[] {
  return journal.edits
    .slice(journal.cursor)
    .flatMap((edit) => edit.after.steps.slice(edit.before.steps.length));
}

export function toBackup(journal: Journal, file: { path: string; stamp: FileStamp }): Backup {
  const sameOrigin = journal.saved.origin === journal.current.origin;
  return {
    version: 1,
    origin: originOf(journal, journal.current),
    steps: journal.current.steps,
    saved: { ...file, steps: sameOrigin ? journal.saved.steps : null },
  };
}

/** Reads a backup; throws `KerfError('malformed')` when it is not one. */
export function parseBackup(text: string): Backup {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw new KerfError('malformed', `the backup is not JSON: ${String(error)}`);
  }
  if (!isBackup(value)) throw new KerfError('malformed', 'the backup does not have the expected fields');
  return value;
}

function isBackup(value: unknown): value is Backup {
  if (!isRecord(value) || value['version'] !== 1 || !isSteps(value['steps'])) return false;
  const saved = value['saved'];
  if (!isOrigin(value['origin']) || !isRecord(saved)) return false;
  return isOrigin(saved) && (saved['steps'] === null || isSteps(saved['steps']));
}

function isOrigin(value: unknown): value is Origin & Record<string, unknown> {
  if (!isRecord(value) || typeof value['path'] !== 'string') return false;
  const stamp = value['stamp'];
  return isRecord(stamp) && typeof stamp['size'] === 'number' && typeof stamp['modifiedMs'] === 'number';
}

function isSteps(value: unknown): value is readonly RecipeStep[] {
  return Array.isArray(value) && value.every((step) => isRecord(step) && typeof step['pass'] === 'string');
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null;
}

/**
 * How to get back to a backup's content. The origin is best; when it is gone but the saved file is unchanged and lies
 * on the way, the remaining steps are applied to that file.
 */
export function replayPlan(
  backup: Backup,
  stampOf: (path: string) => FileStamp | undefined,
): { origin: Origin; steps: readonly RecipeStep[] } {
  if (sameStamp(stampOf(backup.origin.path), backup.origin.stamp))
    return { origin: backup.origin, steps: backup.steps };
  const { path, stamp, steps } = backup.saved;
  if (steps !== null && startsWith(backup.steps, steps) && sameStamp(stampOf(path), stamp))
    return { origin: { path, stamp }, steps: backup.steps.slice(steps.length) };
  throw new KerfError('not-found', 'the file that the unsaved steps were applied to has changed', {
    file: backup.origin.path,
  });
}

export function sameStamp(a: FileStamp | undefined, b: FileStamp | undefined): boolean {
  return a !== undefined && b !== undefined && a.size === b.size && a.modifiedMs === b.modifiedMs;
}

function startsWith(steps: readonly RecipeStep[], start: readonly RecipeStep[]): boolean {
  return JSON.stringify(steps.slice(0, start.length)) === JSON.stringify(start);
}
