import { describe, expect, it } from 'vitest';
import {
  type Edit,
  forgetEdits,
  isDirty,
  type Journal,
  markSaved,
  moveOrigin,
  openJournal,
  originOf,
  parseBackup,
  recordEdit,
  redoTo,
  reload,
  replayPlan,
  restoredJournal,
  revert,
  toBackup,
  undoneSteps,
  undoTo,
} from '../../../src/editor/document/journal.ts';

const file = { path: '/models/a.onnx', stamp: { size: 10, modifiedMs: 1 } };
const step = (pass: string) => ({ pass });
const passes = (journal: Journal): string[] => journal.current.steps.map(({ pass }) => pass);

/**
 * What VS Code does with our closures (`customEditorInput` and its undo service): a stack with an index, a save point,
 * and a revert that calls no closure but sets the index back to the save point.
 */
class Editor {
  journal = openJournal(file);
  stack: Edit[] = [];
  index = 0;
  savePoint = 0;

  edit(pass: string): void {
    const { journal, edit } = recordEdit(this.journal, pass, [step(pass)]);
    this.journal = journal;
    if (this.savePoint > this.index) this.savePoint = -1;
    this.stack = [...this.stack.slice(0, this.index), edit];
    this.index++;
  }
  undo(): void {
    const edit = this.stack[this.index - 1];
    if (edit === undefined) return;
    this.index--;
    this.journal = undoTo(this.journal, edit);
  }
  redo(): void {
    const edit = this.stack[this.index];
    if (edit === undefined) return;
    this.index++;
    this.journal = redoTo(this.journal, edit);
  }
  save(): void {
    this.savePoint = this.index;
    this.journal = markSaved(this.journal, this.journal.current);
  }
  revert(): void {
    if (this.savePoint >= 0) this.index = this.savePoint;
    this.journal = revert(this.journal);
  }
}

describe('the journal', () => {
  it('goes to absolute points', () => {
    const editor = new Editor();
    editor.edit('simplify');
    editor.edit('fuse');
    editor.undo();
    expect(passes(editor.journal)).toEqual(['simplify']);
    expect(undoneSteps(editor.journal)).toEqual([step('fuse')]);
    editor.redo();
    expect(passes(editor.journal)).toEqual(['simplify', 'fuse']);
    expect(undoneSteps(editor.journal)).toEqual([]);
  });

  it('survives an undo that is called twice without a redo: edit, edit, save, undo, revert, undo', () => {
    const editor = new Editor();
    editor.edit('simplify');
    editor.edit('fuse');
    editor.save();
    editor.undo();
    expect(isDirty(editor.journal)).toBe(true);
    editor.revert();
    expect(passes(editor.journal)).toEqual(['simplify', 'fuse']);
    expect(isDirty(editor.journal)).toBe(false);
    editor.undo();
    expect(passes(editor.journal)).toEqual(['simplify']);
    expect(undoneSteps(editor.journal)).toEqual([step('fuse')]);
  });

  it('forgets what was undone when another edit follows, as the editor does', () => {
    const editor = new Editor();
    editor.edit('simplify');
    editor.edit('fuse');
    editor.save();
    editor.undo();
    editor.edit('fp16');
    expect(passes(editor.journal)).toEqual(['simplify', 'fp16']);
    expect(undoneSteps(editor.journal)).toEqual([]);
    expect(isDirty(editor.journal)).toBe(true);
    editor.revert();
    expect(passes(editor.journal)).toEqual(['simplify', 'fuse']);
  });

  it('keeps points reachable when the original moves to a kept copy', () => {
    const { journal, edit } = recordEdit(openJournal(file), 'simplify', [step('simplify')]);
    const kept = { path: '/kept/a.onnx', stamp: { size: 10, modifiedMs: 2 } };
    const moved = moveOrigin(journal, file.path, kept);
    expect(originOf(moved, moved.current)).toBe(kept);
    expect(originOf(moved, edit.before)).toBe(kept);
  });

  it('takes a replaced file as a new origin; older points keep theirs', () => {
    const { journal, edit } = recordEdit(openJournal(file), 'simplify', [step('simplify')]);
    const replaced = reload(journal, { path: file.path, stamp: { size: 20, modifiedMs: 5 } });
    expect(isDirty(replaced)).toBe(false);
    expect(replaced.current.steps).toEqual([]);
    const undone = undoTo(replaced, edit);
    expect(originOf(undone, undone.current).stamp.size).toBe(10);
    expect(isDirty(undone)).toBe(true);
  });

  it('marks what was written, not what became current meanwhile', () => {
    const first = recordEdit(openJournal(file), 'simplify', [step('simplify')]).journal;
    const second = recordEdit(first, 'fuse', [step('fuse')]).journal;
    const saved = markSaved(second, first.current);
    expect(isDirty(saved)).toBe(true);
    expect(revert(saved).current.steps).toEqual([step('simplify')]);
  });

  it('shows the file when the editor that knew the edits is gone', () => {
    const { journal } = recordEdit(openJournal(file), 'simplify', [step('simplify')]);
    const forgotten = forgetEdits(journal);
    expect(isDirty(forgotten)).toBe(false);
    expect(forgotten.edits).toEqual([]);
  });

  it.each([1, 2, 3, 4, 5])('agrees with snapshots under random use, seed %i', (seed) => {
    const editor = new Editor();
    const random = pseudoRandom(seed);
    // The oracle: content by stack index, taken when each edit is made.
    let contents: string[][] = [[]];
    let saved: string[] = [];
    for (let turn = 0; turn < 400; turn++) {
      const action = Math.floor(random() * 6);
      if (action <= 1) {
        editor.edit(`p${String(turn)}`);
        contents = [...contents.slice(0, editor.index), passes(editor.journal)];
      } else if (action === 2) editor.undo();
      else if (action === 3) editor.redo();
      else if (action === 4) {
        editor.save();
        saved = passes(editor.journal);
      } else if (editor.savePoint >= 0) editor.revert();
      if (action === 5 && editor.savePoint >= 0) expect(passes(editor.journal)).toEqual(saved);
      else expect(passes(editor.journal)).toEqual(contents[editor.index]);
      expect(isDirty(editor.journal)).toBe(JSON.stringify(saved) !== JSON.stringify(passes(editor.journal)));
      expect(undoneSteps(editor.journal).map(({ pass }) => pass)).toEqual(
        contents.at(-1)?.slice(passes(editor.journal).length),
      );
    }
  });
});

describe('the backup', () => {
  const edited = recordEdit(openJournal(file), 'simplify', [
    { pass: 'simplify', options: { level: 2 } },
  ]).journal;

  it('is small and comes back as it was', () => {
    const backup = parseBackup(JSON.stringify(toBackup(edited, file)));
    const plan = replayPlan(backup, () => file.stamp);
    expect(plan.origin).toEqual(file);
    expect(plan.steps).toEqual(edited.current.steps);
    const restored = restoredJournal(plan.origin, plan.steps, file);
    expect(isDirty(restored)).toBe(true);
    expect(revert(restored).current.steps).toEqual([]);
  });

  it('replays on the saved file when the kept original is gone and the save lies on the way', () => {
    const kept = { path: '/kept/a.onnx', stamp: { size: 10, modifiedMs: 1 } };
    const written = { path: file.path, stamp: { size: 7, modifiedMs: 9 } };
    const saved = markSaved(moveOrigin(edited, file.path, kept), edited.current);
    const further = recordEdit(saved, 'fuse', [step('fuse')]).journal;
    const backup = toBackup(further, written);
    const plan = replayPlan(backup, (path) => (path === file.path ? written.stamp : undefined));
    expect(plan).toEqual({ origin: written, steps: [step('fuse')] });
  });

  it('refuses to replay on a file that is another one', () => {
    const backup = toBackup(edited, file);
    expect(() => replayPlan(backup, () => ({ size: 11, modifiedMs: 1 }))).toThrow(/has changed/);
    expect(() => replayPlan(backup, () => undefined)).toThrow(/has changed/);
  });

  it.each([
    '',
    '{}',
    '[]',
    'null',
    '{"version":1}',
    '{"version":2,"steps":[]}',
    '{"version":1,"steps":[{}]}',
  ])('refuses %j', (text) => {
    expect(() => parseBackup(text)).toThrow(/backup/);
  });
});

/** Mulberry32: the same sequence for the same seed. */
function pseudoRandom(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4294967296;
  };
}
