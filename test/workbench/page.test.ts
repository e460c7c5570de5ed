import { readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { expect } from 'vitest';
import { flow, useBrowser } from './support/flow.ts';
import { modelEditor } from './support/modelEditor.ts';

useBrowser();

const both = { 'samples/digits.onnx': 'digits.onnx', 'samples/digits.tflite': 'digits.tflite' };
const fold = 'Fuse batch norm, bias, padding and activations';

flow('side by side with the original', { files: both }, async (bench) => {
  const editor = await bench.openModel('digits.onnx');
  await bench.command('Kerf: Apply Pass…');
  await bench.pick(fold);
  await bench.pick('Apply with defaults');
  await expect.poll(() => editor.steps()).toEqual([fold]);
  await bench.command('Kerf: Compare with Original');
  await editor.frame.locator('.other-side canvas.graph-canvas').waitFor();
  await editor.frame
    .locator('.compare-bar')
    .getByText(/changed|removed/)
    .first()
    .waitFor();
  await bench.picture('compared');
  await editor.frame.getByRole('button', { name: 'Next difference' }).click();
  await editor.details.getByText('Formula').waitFor();
  // A step further in its history, the comparison follows.
  await bench.page.keyboard.press('Control+z');
  await editor.frame.locator('.compare-bar').getByText('no layer differs').waitFor();
  await editor.frame.getByRole('button', { name: 'Close the comparison' }).click();
});

flow('weights of a layer', { files: both }, async (bench) => {
  const editor = await bench.openModel('digits.tflite');
  const weights = await editor.tab('Weights');
  await weights.getByRole('button', { name: /Go to the heaviest layer/ }).click();
  await weights.locator('.values td').first().waitFor();
  await weights.locator('.heat-words').getByText('channels along axis').waitFor();
  await bench.picture('weights');
});

flow('the page comes back as it was after a look at another tab', { files: both }, async (bench) => {
  const editor = await bench.openModel('digits.onnx');
  await editor.search('op:conv');
  await editor.details.getByText('Formula').waitFor();
  const selected = await editor.frame.locator('.graph-pane').getAttribute('data-selected');
  await bench.openModel('digits.tflite');
  await bench.tab('digits.onnx').click();
  const again = modelEditor(bench.page);
  await again.ready();
  await expect.poll(() => again.frame.locator('.graph-pane').getAttribute('data-selected')).toBe(selected);
});

flow('a file that changes on disk is read again', { files: both }, async (bench) => {
  const editor = await bench.openModel('digits.onnx');
  await editor.search('op:conv');
  await editor.details.getByText('Formula').waitFor();
  // Another program writes a producer's name (field 2 of a ModelProto) at the end.
  const file = path.join(bench.folder, 'digits.onnx');
  const bytes = await readFile(file);
  await writeFile(file, Buffer.concat([bytes, Buffer.from([0x12, 6]), Buffer.from('edited')]));
  // What was selected stays selected; without it, the details are about the model.
  await editor.details.getByText('Formula').waitFor();
  await editor.canvas.press('Escape');
  await editor.details.getByText(/^edited/).waitFor();
  await bench.picture('reloaded');
});
