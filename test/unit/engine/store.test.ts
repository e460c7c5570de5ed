import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { afterAll, afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { weightTensors } from '../../../src/analysis/analyse.ts';
import { ModelStore } from '../../../src/engine/store.ts';
import { samples } from '../support/models.ts';

const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'kerf-store-'));
afterAll(() => fs.rmSync(folder, { recursive: true }));
beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

/** Files are closed when nobody has read them for a while. */
const closed = () => vi.advanceTimersByTime(5000);

/** A copy of a sample, and another name of it in a folder of its own. */
function linked(name: string): { file: string; kept: string } {
  const own = fs.mkdtempSync(path.join(folder, 'case-'));
  const [file, kept] = [path.join(own, name), path.join(own, 'kept', name)];
  fs.copyFileSync(path.join(samples, name), file);
  fs.mkdirSync(path.dirname(kept));
  fs.linkSync(file, kept);
  return { file, kept };
}

const firstWeight = (store: ModelStore, file: string) =>
  weightTensors(store.openFile(file).model)[0]!.tensor.data.read();

describe('a file under another name', () => {
  it.each(['digits.onnx', 'digits.tflite'])('%s is the same model value', (name) => {
    const { file, kept } = linked(name);
    const store = new ModelStore();
    const first = store.openFile(file);
    const second = store.openFile(kept);
    expect(second.handle).not.toBe(first.handle);
    expect(second.path).toBe(kept);
    expect(second.model).toBe(first.model);
    expect(store.fileBytes(second)).toBe(fs.statSync(file).size);
  });

  it('keeps its weights when the first name goes to another file', () => {
    const { file, kept } = linked('digits.onnx');
    const store = new ModelStore();
    const weight = firstWeight(store, file);
    store.openFile(kept);
    fs.rmSync(file);
    fs.writeFileSync(file, 'something else');
    closed();
    expect(firstWeight(store, kept)).toEqual(weight);
    fs.rmSync(file);
    closed();
    expect(firstWeight(store, kept)).toEqual(weight);
  });

  it('is refused, not misread, when no name is right any more', () => {
    const { file, kept } = linked('digits.onnx');
    const store = new ModelStore();
    const [{ model }] = [store.openFile(file), store.openFile(kept)];
    for (const name of [file, kept]) {
      fs.rmSync(name);
      fs.writeFileSync(name, 'something else');
    }
    closed();
    expect(() => weightTensors(model)[0]!.tensor.data.read()).toThrow(/changed on disk/);
  });

  it('is read again when it is a copy', () => {
    const { file } = linked('digits.onnx');
    const copy = path.join(path.dirname(file), 'copy.onnx');
    fs.copyFileSync(file, copy);
    const store = new ModelStore();
    expect(store.openFile(copy).model).not.toBe(store.openFile(file).model);
  });
});

describe('a file with data beside it', () => {
  it('is another model in another folder, where its data may be missing', () => {
    const { file, kept } = linked('digits.onnx');
    const store = new ModelStore();
    // A model whose file does not hold everything.
    const held = store.openFile(file);
    store.add({ ...held, damage: [{ severity: 'error', place: 'external data', message: 'absent' }] });
    expect(store.openFile(kept).model).not.toBe(held.model);
  });
});
