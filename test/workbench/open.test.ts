import { expect } from 'vitest';
import { flow, useBrowser } from './support/flow.ts';

useBrowser();

const both = { 'samples/digits.onnx': 'digits.onnx', 'samples/digits.tflite': 'digits.tflite' };

flow('open an ONNX model', { files: both }, async ({ openModel, picture }) => {
  const editor = await openModel('digits.onnx');
  await picture('opened');
  await expect.poll(() => editor.headline.textContent()).toMatch(/^ONNX.*11[36] [kK]i?B.*params.*MAC/);
  await editor.canvas.focus();
  for (const key of ['Home', 'ArrowDown', 'ArrowDown', 'ArrowDown', 'ArrowDown']) {
    await editor.canvas.press(key);
  }
  await editor.details.getByText('Formula').waitFor();
  await picture('layer selected');
  const layers = await editor.tab('Layers');
  await layers.getByText('/3/Conv').first().waitFor();
  await picture('layer table');
});

flow('open a TFLite model', { files: both }, async ({ openModel, picture }) => {
  const editor = await openModel('digits.tflite');
  await expect.poll(() => editor.headline.textContent()).toMatch(/^TFLite.*11[36] [kK]i?B.*params.*MAC/);
  await picture('opened');
  await editor.search('conv');
  await editor.details.getByText('Formula').waitFor();
  await picture('found a convolution');
});
