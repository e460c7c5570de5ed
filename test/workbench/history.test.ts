import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { expect } from 'vitest';
import { type Flow, flow, useBrowser } from './support/flow.ts';
import { type ModelEditor, modelEditor } from './support/modelEditor.ts';

useBrowser();

const files = { 'samples/digits.onnx': 'digits.onnx' };
const model = 'digits.onnx';
const fold = 'Fuse batch norm, bias, padding and activations';
const halve = 'Convert to float16';

const onDisk = (bench: Flow) => readFile(path.join(bench.folder, model));

async function applyPass(bench: Flow, title: string): Promise<void> {
  await bench.command('Kerf: Apply Pass…');
  await bench.pick(title);
  await bench.pick('Apply with defaults');
  await bench.message(`${title}: `);
}

async function edited(bench: Flow): Promise<ModelEditor> {
  const editor = await bench.openModel(model);
  await applyPass(bench, fold);
  await expect.poll(() => editor.steps()).toEqual([fold]);
  return editor;
}

flow('undo, redo, save, revert', { files }, async (bench) => {
  const original = await onDisk(bench);
  const editor = await edited(bench);
  await bench.picture('edited');
  await bench.page.keyboard.press('Control+z');
  await expect.poll(() => editor.steps()).toEqual([]);
  await expect.poll(() => bench.isDirty(model)).toBe(false);
  await bench.picture('undone');
  await bench.page.keyboard.press('Control+y');
  await expect.poll(() => editor.steps()).toEqual([fold]);
  await bench.picture('redone');
  expect(await onDisk(bench)).toEqual(original);

  await bench.page.keyboard.press('Control+s');
  await expect.poll(() => bench.isDirty(model)).toBe(false);
  const folded = await onDisk(bench);
  expect(folded.length).toBeLessThan(original.length);
  await bench.picture('saved');

  await applyPass(bench, halve);
  await expect.poll(() => editor.steps()).toEqual([fold, halve]);
  await bench.picture('edited again');
  await bench.command('File: Revert File');
  await expect.poll(() => editor.steps()).toEqual([fold]);
  await expect.poll(() => bench.isDirty(model)).toBe(false);
  expect(await onDisk(bench)).toEqual(folded);
  await bench.picture('reverted');
});

flow('close with unsaved changes', { files }, async (bench) => {
  const original = await onDisk(bench);
  await edited(bench);
  await bench.command('View: Close Editor');
  await bench.page.locator('.monaco-dialog-box').waitFor();
  await bench.picture('asked');
  await bench.answer('Cancel');
  await bench.command('View: Close Editor');
  await bench.answer("Don't Save");
  await bench.tab(model).waitFor({ state: 'detached' });
  expect(await onDisk(bench)).toEqual(original);
  const again = await bench.openModel(model);
  await expect.poll(() => again.steps()).toEqual([]);
  await expect.poll(() => bench.isDirty(model)).toBe(false);
});

flow('restore unsaved changes after the window was closed', { files }, async (bench) => {
  const original = await onDisk(bench);
  await edited(bench);
  await bench.picture('before');
  await bench.reload();
  const restored = modelEditor(bench.page);
  await restored.ready();
  await expect.poll(() => restored.steps()).toEqual([fold]);
  await expect.poll(() => bench.isDirty(model)).toBe(true);
  expect(await onDisk(bench)).toEqual(original);
  await bench.picture('restored');
  await bench.page.keyboard.press('Control+s');
  await expect.poll(() => bench.isDirty(model)).toBe(false);
  expect((await onDisk(bench)).length).toBeLessThan(original.length);
});

flow('undo inside a text field leaves the model alone', { files }, async (bench) => {
  const editor = await edited(bench);
  const field = editor.frame.getByPlaceholder('Find layers').locator('input');
  await field.click();
  await field.pressSequentially('conv');
  await field.press('Control+z');
  await expect.poll(() => field.inputValue()).not.toBe('conv');
  expect(await editor.steps()).toEqual([fold]);
  await expect.poll(() => bench.isDirty(model)).toBe(true);
});

flow(
  'a hidden tab comes back as it was left',
  { files: { ...files, 'samples/digits.onnx': model, LICENSE: 'note.txt' } },
  async (bench) => {
    const editor = await edited(bench);
    await editor.search('MaxPool');
    await editor.details.getByText('MaxPool').first().waitFor();
    await bench.file('note.txt').dblclick();
    await bench.textEditor().waitFor();
    await bench.tab(model).click();
    const back = modelEditor(bench.page);
    await back.ready();
    await back.details.getByText('MaxPool').first().waitFor();
    await expect.poll(() => back.steps()).toEqual([fold]);
    await bench.picture('back');
  },
);

flow('two views of one document move together', { files }, async (bench) => {
  await edited(bench);
  await bench.command('View: Split Editor Right');
  await expect.poll(() => bench.page.locator('iframe.webview.ready').locator('visible=true').count()).toBe(2);
  const [left, right] = [modelEditor(bench.page, 0), modelEditor(bench.page, 1)];
  await right.ready();
  await expect.poll(() => right.steps()).toEqual([fold]);
  await bench.page.keyboard.press('Control+z');
  await expect.poll(() => left.steps()).toEqual([]);
  await expect.poll(() => right.steps()).toEqual([]);
  await bench.picture('both undone');
});
