import { readdir } from 'node:fs/promises';
import type { Page } from 'playwright-core';
import { expect } from 'vitest';
import { flow, useBrowser } from './support/flow.ts';

useBrowser();

const files = {
  'samples/digits.onnx': 'digits.onnx',
  'samples/digits-calibration.npz': 'digits-calibration.npz',
  'samples/digits-test.npz': 'digits-test.npz',
};
const normalization = 'Batch normalization can be folded';

/** Waits until some preview of Markdown says `text`. */
async function report(page: Page, text: string): Promise<void> {
  const said = async () => {
    const bodies = await Promise.all(page.frames().map((frame) => frame.textContent('body').catch(() => '')));
    return bodies.some((body) => body?.includes(text) === true);
  };
  await expect.poll(said, { timeout: 60_000 }).toBe(true);
}

flow('mixed precision from the palette', { files }, async (bench) => {
  await bench.openModel('digits.onnx');
  await bench.command('Kerf: Mixed Precision…');
  await bench.page.locator('.quick-input-widget').getByText('25 % of the size').waitFor();
  await bench.picture('budget');
  await bench.pick('At most 1 point lost');
  await bench.page.locator('.quick-input-widget').getByText('int8, int4, int3, int2').waitFor();
  await bench.picture('schemes');
  await bench.pick('8-bit layers, the rest as it is');
  await bench.page.locator('.quick-input-widget').getByText('digits-test.npz').waitFor();
  await bench.pick('digits-test.npz');
  const written = async () => (await readdir(bench.folder)).filter((name) => name.includes('.mixed'));
  await expect
    .poll(async () => (await written()).sort(), { timeout: 120_000 })
    .toEqual(['digits.mixed.kerf.json', 'digits.mixed.onnx']);
  await bench.message('was written, its recipe beside it');
  await bench.tab('mixed precision').first().waitFor();
  await report(bench.page, 'Mixed precision of digits.onnx');
  await bench.picture('report');
});

flow('audit of integer kernels, before and after quantizing', { files }, async (bench) => {
  const editor = await bench.openModel('digits.onnx');
  await bench.problems(normalization);
  await bench.command('Kerf: Fix…');
  await bench.pick('weights are float32');
  await bench.page
    .locator('.quick-input-widget')
    .getByText('Quantize to int8 with calibration')
    .first()
    .waitFor();
  await bench.picture('fixes');
  await bench.pick('Quantize to int8 with calibration');
  await bench.page.locator('.quick-input-widget').getByText('digits-calibration.npz').waitFor();
  await bench.pick('digits-calibration.npz');
  await expect.poll(() => editor.steps(), { timeout: 60_000 }).toHaveLength(1);
  await bench.command('Kerf: Audit Integer Kernels…');
  await bench.tab('audited').first().waitFor({ timeout: 60_000 });
  await report(bench.page, 'layers run on integers');
  await bench.picture('report');
});

flow('preview a fix as a difference, then apply it', { files }, async (bench) => {
  const editor = await bench.openModel('digits.onnx');
  await bench.problems(normalization);
  await bench.command('Kerf: Open Text Form');
  const text = bench.page.locator('.monaco-editor[data-uri^="kerf-text"]');
  await text.locator('.squiggly-warning').first().waitFor();
  const line = text.locator('.view-line').filter({ hasText: '"/1/BatchNormalization"' }).first();
  const preview = bench.page
    .locator('.action-widget')
    .getByText(/^Preview: Fold 3/)
    .first();
  // The menu opens with what is known at that moment, and closes when the text under it is laid out again.
  await expect
    .poll(
      async () => {
        await bench.page.keyboard.press('Escape');
        await line.click({ position: { x: 60, y: 8 } });
        await bench.page.keyboard.press('Control+.');
        return preview.waitFor({ timeout: 5000 }).then(
          () => true,
          () => false,
        );
      },
      { timeout: 60_000 },
    )
    .toBe(true);
  await bench.picture('menu');
  // The second entry; a click on the list may come before it has settled.
  await bench.page.keyboard.press('ArrowDown');
  await bench.page.keyboard.press('Enter');
  await bench.page.locator('.monaco-diff-editor .line-delete').first().waitFor({ state: 'attached' });
  const offer = await bench.message('Fold 3 batch normalizations');
  await bench.picture('difference');
  await offer.getByRole('button', { name: 'Apply' }).click();
  await bench.message('predicted');
  await bench.tab('digits.onnx').first().click();
  await expect.poll(() => editor.steps()).toHaveLength(1);
  await bench.picture('applied');
});

flow('fix all of one kind', { files }, async (bench) => {
  const editor = await bench.openModel('digits.onnx');
  await bench.problems(normalization);
  await bench.command('Kerf: Fix All of One Kind…');
  await bench.page.locator('.quick-input-widget').getByText('Fold 3 batch normalizations').first().waitFor();
  await bench.picture('kinds');
  await bench.pick('Fold 3 batch normalizations');
  await expect.poll(() => editor.steps()).toHaveLength(1);
  await bench.page.locator('.markers-panel').getByText(normalization).waitFor({ state: 'hidden' });
  await bench.picture('fixed');
});
