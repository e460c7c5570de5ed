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

for (const [theme, kind] of [
  ['Default Light Modern', 'vscode-light'],
  ['Default High Contrast', 'vscode-high-contrast'],
  ['Default High Contrast Light', 'vscode-high-contrast-light'],
] as const) {
  const settings = { 'workbench.colorTheme': theme, 'kerf.device': 'stm32h743' };
  flow(`the page in ${theme}`, { files: both, settings }, async ({ openModel, picture }) => {
    const editor = await openModel('digits.onnx');
    await expect.poll(() => editor.frame.locator('body').getAttribute('class')).toContain(kind);
    await editor.details.getByText('STM32H743').first().waitFor();
    await picture('opened');
  });
}
