import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import { expect } from 'vitest';
import { flow, useBrowser } from './support/flow.ts';

useBrowser();

const files = {
  'samples/digits.onnx': 'digits.onnx',
  'samples/digits-calibration.npz': 'digits-calibration.npz',
  'samples/digits-test.npz': 'digits-test.npz',
};

/** What somebody does who opens the first model: looks, reads, cures, sees what it brought, sets a limit. */
flow('the first minutes', { files, settings: { 'kerf.device': 'stm32h743' } }, async (bench) => {
  const editor = await bench.openModel('digits.onnx');
  const status = bench.page.locator('.statusbar');
  await status.getByText('STM32H743').waitFor();
  await bench.picture('opened');

  await bench.command('Kerf: Open Text Form');
  const text = bench.page.locator('.monaco-editor[data-uri^="kerf-text"]');
  await text.locator('.squiggly-warning').first().waitFor();
  // The name of the layer, not the hint before it.
  const name = text
    .locator('.view-line span')
    .filter({ hasText: /^"\/3\/Conv"$/ })
    .first();
  const card = bench.page
    .locator('.monaco-hover')
    .locator('visible=true')
    .filter({ hasText: '4.61 k parameters' });
  // A hover waits for the pointer to rest; one that came while the text was laid out shows nothing.
  await expect
    .poll(
      async () => {
        await name.hover({ position: { x: 4, y: 4 } });
        await name.hover({ position: { x: 20, y: 9 } });
        return card.first().isVisible();
      },
      { timeout: 60_000, interval: 1500 },
    )
    .toBe(true);
  await bench.picture('hover');
  await bench.page.keyboard.press('Escape');

  await bench.command('Kerf: Fix…');
  await bench.pick('Batch normalization can be folded');
  await bench.message('predicted');
  await bench.message(/as fast|faster|slower/);
  await bench.picture('measured against the prediction');
  await bench.tab('digits.onnx').first().click();
  await expect.poll(() => editor.steps()).toHaveLength(1);

  await writeFile(
    path.join(bench.folder, 'kerf.json'),
    JSON.stringify({ budget: { fileBytes: '64 KiB', ramBytes: '128 kB', latencyMs: 3 } }, null, 2),
  );
  await bench.problems('the budget allows');
  await bench.picture('budget');
  await status.getByText(/over budget/i).waitFor();
});
