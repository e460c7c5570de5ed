import { chmod, copyFile, readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { expect } from 'vitest';
import { root } from '../../scripts/vscodeServer.mjs';
import { flow, useBrowser } from './support/flow.ts';
import { modelEditor } from './support/modelEditor.ts';

useBrowser();

flow(
  'a file that is no model is refused in words, and opens when it is one',
  { files: { 'samples/digits.onnx': 'digits.onnx' } },
  async (bench) => {
    const file = path.join(bench.folder, 'noise.onnx');
    await writeFile(file, 'this is not a model at all\n'.repeat(50));
    await bench.file('noise.onnx').waitFor();
    await bench.file('noise.onnx').dblclick();
    await bench.tab('noise.onnx').waitFor();
    const { frame } = modelEditor(bench.page);
    await frame.getByRole('heading', { name: 'noise.onnx cannot be opened as a model' }).waitFor();
    await frame.getByText('Neither an ONNX model nor a TFLite flatbuffer (identifier TFL3).').waitFor();
    // No dialog stands in the way of whatever comes next.
    expect(await bench.page.locator('.monaco-dialog-box').count()).toBe(0);
    await bench.picture('refused');
    await writeFile(file, 'version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 12345\n');
    await frame.getByText('This is a Git LFS pointer').waitFor();
    await bench.openModel('digits.onnx');
    await bench.picture('the next one opens');
    await bench.tab('noise.onnx').click();
    await frame.getByRole('button', { name: 'Try Again' }).waitFor();
    await copyFile(path.join(root, 'samples/digits.onnx'), file);
    const editor = modelEditor(bench.page);
    await editor.ready();
    await bench.picture('the file holds a model now');
  },
);

flow(
  'a write-protected file is replaced only when the person says so',
  { files: { 'samples/digits.onnx': 'digits.onnx' } },
  async (bench) => {
    const file = path.join(bench.folder, 'digits.onnx');
    await chmod(file, 0o444);
    const before = await readFile(file);
    await bench.openModel('digits.onnx');
    await bench.command('Kerf: Apply Pass…');
    await bench.pick('Convert to float16');
    await bench.pick('Apply with defaults');
    await expect.poll(() => bench.isDirty('digits.onnx')).toBe(true);
    await bench.page.keyboard.press('Control+s');
    const question = bench.page.locator('.monaco-dialog-box').filter({ hasText: 'is write-protected' });
    await question.waitFor();
    await bench.picture('asked');
    await bench.answer('Cancel');
    await question.waitFor({ state: 'hidden' });
    expect(await bench.isDirty('digits.onnx')).toBe(true);
    expect((await readFile(file)).equals(before)).toBe(true);
    await bench.page.keyboard.press('Control+s');
    await bench.answer('Overwrite');
    await expect.poll(() => bench.isDirty('digits.onnx')).toBe(false);
    expect((await readFile(file)).length).toBeLessThan(before.length);
  },
);
