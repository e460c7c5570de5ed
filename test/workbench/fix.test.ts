import { expect } from 'vitest';
import { type Flow, flow, useBrowser } from './support/flow.ts';
import type { ModelEditor } from './support/modelEditor.ts';

useBrowser();

const files = { 'samples/digits.onnx': 'digits.onnx' };
const finding = 'Batch normalization can be folded';

/** The three ways to the same cure end alike: one step, an unsaved document, no such finding any more. */
async function isCured(bench: Flow, editor: ModelEditor): Promise<void> {
  await expect.poll(() => editor.steps()).toHaveLength(1);
  await expect.poll(() => bench.isDirty('digits.onnx')).toBe(true);
  await bench.page.locator('.markers-panel').getByText(finding).waitFor({ state: 'hidden' });
}

flow('apply a fix from the Problems row', { files }, async (bench) => {
  const editor = await bench.openModel('digits.onnx');
  const rows = await bench.problems(finding);
  await bench.picture('problems');
  // The row of a binary file has no light bulb; its code is a link that runs the fix.
  await rows
    .first()
    .locator('a.monaco-link')
    .click({ modifiers: ['Control'] });
  await bench.message('predicted');
  await bench.picture('fixed');
  await isCured(bench, editor);
  await bench.picture('recipe');
});

flow('apply a fix from the light bulb of the text form', { files }, async (bench) => {
  const editor = await bench.openModel('digits.onnx');
  await bench.problems(finding);
  await bench.command('Kerf: Open Text Form');
  const text = bench.page.locator('.monaco-editor[data-uri^="kerf-text"]');
  await text.locator('.squiggly-warning').first().waitFor();
  await bench.picture('text form');
  const line = text.locator('.view-line').filter({ hasText: '"/1/BatchNormalization"' }).first();
  const bulb = text.locator('.codicon-gutter-lightbulb, .lightBulbWidget').locator('visible=true');
  // A text that is laid out again takes the bulb away until the cursor moves: lenses and hints come in one after the other.
  let column = 60;
  await expect
    .poll(
      async () => {
        column = column === 60 ? 80 : 60;
        await line.click({ position: { x: column, y: 8 } });
        return bulb
          .first()
          .waitFor({ timeout: 5000 })
          .then(
            () => true,
            () => false,
          );
      },
      { timeout: 60_000 },
    )
    .toBe(true);
  await bench.picture('light bulb');
  await bench.page.keyboard.press('Control+.');
  const fix = bench.page.locator('.action-widget').getByText('Fold 3 batch normalizations').first();
  await fix.waitFor();
  await bench.picture('its menu');
  // The first entry has the focus.
  await bench.page.keyboard.press('Enter');
  await text
    .locator('.view-line')
    .filter({ hasText: '= BatchNormalization' })
    .first()
    .waitFor({ state: 'hidden' });
  await bench.picture('fixed');
  await isCured(bench, editor);
});

flow('apply a fix from the menu of the graph', { files }, async (bench) => {
  const editor = await bench.openModel('digits.onnx');
  await bench.problems(finding);
  await editor.search('BatchNormalization');
  await editor.details.getByText('batch-norm-not-folded').waitFor();
  const menu = await editor.openMenu('BatchNormalization');
  const entry = menu.getByRole('menuitem', { name: 'Fix: Fold 3 batch normalizations' });
  await entry.waitFor();
  await bench.picture('menu');
  await entry.click();
  await editor.status.filter({ hasText: 'Fold 3 batch normalizations' }).waitFor();
  await bench.picture('fixed');
  await isCured(bench, editor);
});

flow('apply a fix from the quick pick', { files }, async (bench) => {
  const editor = await bench.openModel('digits.onnx');
  await bench.problems(finding);
  await bench.command('Kerf: Fix…');
  await bench.page.locator('.quick-input-widget').getByText(finding).waitFor();
  await bench.picture('quick pick');
  await bench.pick(finding);
  await isCured(bench, editor);
});
