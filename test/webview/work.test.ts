import type { Page } from 'playwright-core';
import { describe, expect, it } from 'vitest';
import { startPerson } from './support/person.ts';

const { open, calls, press, tab, choose, focusStem, picture } = startPerson();
let page: Page;

describe('work', () => {
  it('a fix of a finding is applied and said in numbers; undo and redo go through the host', async () => {
    page = await open();
    await press('Quantize to int8: about', '.details');
    await page.waitForFunction(() => document.querySelector('.status-words')?.textContent?.includes('→'));
    await expect
      .poll(() => page.locator('.status-words').textContent())
      .toMatch(/file 1\.09 MB → [\d.]+ MB \(−0\.1 %\)/);
    await expect
      .poll(() => calls('apply'))
      .toEqual([{ pass: 'quantize-dynamic', options: {}, layers: ['stem/Conv'] }]);
    await tab('recipe');
    await expect.poll(() => page.locator('.steps li').count()).toBe(1);
    await press('Undo', '#view-recipe');
    await page.waitForSelector('.steps .undone');
    await press('Redo', '#view-recipe');
    await page.waitForFunction(() => document.querySelector('.steps .undone') === null);
  });

  it('what was said goes with the model it was about', async () => {
    page = await open();
    await press('Quantize to int8: about', '.details');
    await expect.poll(() => page.locator('.status-words').textContent()).toContain('→');
    await page.evaluate(() => window.fakeHost.apply('fp16'));
    await page.locator('.status').waitFor({ state: 'hidden' });
  });

  it('the compressed size stands beside the stored one, and nobody waits for it', async () => {
    page = await open();
    await page.waitForFunction(() =>
      /^Compressed: [\d.]+ kB \(brotli\)/.test(
        document.querySelector<HTMLElement>('.headline-numbers')?.title ?? '',
      ),
    );
    await page.waitForFunction(() =>
      document
        .querySelector('.details .facts')
        ?.textContent?.includes('File1.09 MBCompressed982 kB (brotli)Weights'),
    );
    await page.evaluate(() => window.fakeHost.held.add('shipped'));
    await page.evaluate(() => window.fakeHost.apply('fp16'));
    await page.waitForFunction(() =>
      document
        .querySelector('.details .facts')
        ?.textContent?.includes('Compressedcomputing…Updatecomputing…'),
    );
    await page.evaluate(() => window.fakeHost.release());
    await page.waitForFunction(() =>
      /Compressed[\d.]+ kB \(brotli\)Update[\d.]+ kB \(delta, brotli\)/.test(
        document.querySelector('.details .facts')?.textContent ?? '',
      ),
    );
    await picture('compressed');
    await tab('compare');
    await press('Compare with original', '#view-compare');
    await page.waitForFunction(() =>
      /Compressed982 kB → [\d.]+ kB/.test(document.querySelector('.compare-facts')?.textContent ?? ''),
    );
    await page.waitForFunction(() =>
      /Update of the file as opened[\d.]+ kB \(delta, brotli\)/.test(
        document.querySelector('.compare-facts')?.textContent ?? '',
      ),
    );
  });

  it('a form checks its options before it runs', async () => {
    page = await open();
    const form = page.locator('.pass', { hasText: 'Prune small weights' });
    await form.locator('summary').click();
    const field = form.locator('vscode-text-field');
    await field.locator('input').fill('1.5');
    await form.locator('vscode-button').click();
    await expect
      .poll(() => form.locator('[role=alert]').textContent())
      .toBe('Sparsity must be a number from 0 to 0.99.');
    await field.locator('input').fill('0.7');
    await form.locator('vscode-button').click();
    await page.waitForFunction(() => window.fakeHost.calls.some((call) => call.method === 'apply'));
    await expect
      .poll(() => calls('apply'))
      .toEqual([{ pass: 'prune-magnitude', options: { sparsity: 0.7, pattern: 'unstructured' } }]);
  });

  it('a pass for the other dialect says why it refuses', async () => {
    page = await open();
    const form = page.locator('.pass', { hasText: 'Split for the delegate' });
    await form.locator('summary').click();
    await expect.poll(() => form.textContent()).toContain('Delegates are a TFLite matter');
    await expect.poll(() => form.locator('vscode-button').count()).toBe(0);
  });

  it('the menu of a box offers fixes and passes by keyboard', async () => {
    page = await open();
    await focusStem();
    await page.keyboard.press('Shift+F10');
    await page.waitForFunction(() =>
      document.querySelector('.menu')?.textContent?.includes('Half precision'),
    );
    await picture('menu');
    await page.keyboard.press('ArrowDown');
    await expect
      .poll(() => page.evaluate(() => document.activeElement?.textContent))
      .toContain('Half precision');
    await page.keyboard.press('Enter');
    await page.waitForFunction(() => window.fakeHost.calls.some((call) => call.method === 'apply'));
    await expect
      .poll(() => calls('apply'))
      .toEqual([{ pass: 'fp16', options: { 'keep-io': true }, layers: ['stem/Conv'] }]);
  });

  it('a long job shows words and progress, and Cancel works at once', async () => {
    page = await open();
    await page.evaluate(() => window.fakeHost.held.add('bench'));
    await tab('benchmark');
    await press('Run benchmark');
    await page.waitForFunction(() =>
      document.querySelector('.status-words')?.textContent?.includes('waiting for the test'),
    );
    await picture('job');
    await press('Cancel', '.status');
    await page.waitForFunction(() =>
      document.querySelector('.status-words')?.textContent?.includes('cancelled'),
    );
    expect(await page.evaluate(() => window.fakeHost.cancelled.length)).toBe(1);
  });

  it('a benchmark of an edited model is measured against the original', async () => {
    page = await open();
    await press('Quantize to int8: about', '.details');
    await tab('benchmark');
    await press('Run benchmark');
    await page.waitForSelector('#view-benchmark .before-after');
    await expect.poll(() => calls('bench')).toEqual([{ options: { runs: 50, threads: 1 }, original: true }]);
    await expect
      .poll(() => page.locator('#view-benchmark .before-after').first().textContent())
      .toMatch(/→.*−/);
    await choose('Overlay on the graph', 'Measured time');
    await page.waitForFunction(() => document.querySelector('.legend-ramp') !== null);
    await picture('benchmark');
  });

  it('optimize asks for a device, then offers candidates that can be taken', async () => {
    page = await open();
    await press('Optimize for device');
    await expect.poll(() => page.locator('#view-optimize').textContent()).toContain('Choose the device');
    await choose('Target device', 'Cortex-M7');
    await page.waitForFunction(() => window.fakeHost.state().device === 'cortex-m7');
    await press('Optimize for device');
    await page.waitForSelector('.candidates');
    await picture('optimize');
    await page.locator('.candidates tr.chosen vscode-button', { hasText: 'Apply' }).click();
    await page.waitForFunction(() => document.querySelector('.status-words')?.textContent?.includes('(−'));
    await expect
      .poll(() => calls('applyRecipe'))
      .toEqual([
        { title: 'Quantize to int8', steps: [{ pass: 'quantize-static', options: { ranges: 'minmax' } }] },
      ]);
  });

  it('the table sorts, filters and copies what it shows', async () => {
    page = await open();
    await page.locator('#view-layers .table-header button', { hasText: 'MACs' }).click();
    await expect.poll(() => page.locator('.table-row').first().textContent()).toContain('2.36 MMACs');
    await page.locator('#view-layers vscode-text-field input').fill('gemm');
    await page.waitForFunction(() => document.querySelectorAll('.table-row').length === 1);
    await press('Copy as CSV');
    await page.waitForFunction(() => window.fakeHost.calls.some((call) => call.method === 'copy'));
    const [{ text }] = (await calls('copy')) as [{ text: string }];
    expect(text.split('\n')).toHaveLength(2);
    expect(text.split('\n')[1]).toBe('fc/Gemm,52,Gemm,fc/Gemm,1×10,float32,,,640,2560,640,40,,0');
  });

  it('the table groups its layers, with totals, and folds the groups', async () => {
    page = await open();
    await page.locator('select[aria-label="Group the layers"]').selectOption('op');
    const heads = page.locator('#view-layers .table-group');
    await heads.first().waitFor();
    await expect.poll(() => heads.first().textContent()).toMatch(/Conv\s+2\d layers.*MMACs/);
    const rows = Number(await page.locator('#view-layers .table').getAttribute('aria-rowcount'));
    await heads.first().click();
    await expect.poll(() => heads.first().getAttribute('aria-expanded')).toBe('false');
    expect(Number(await page.locator('#view-layers .table').getAttribute('aria-rowcount'))).toBeLessThan(
      rows - 15,
    );
    await picture('table-groups');
  });

  it('a pass is applied to several layers picked in the table, by keyboard', async () => {
    page = await open();
    await page.locator('#view-layers vscode-text-field input').fill('op:conv in:layer1');
    await page.locator('#view-layers .table-row').first().click();
    await page.keyboard.press('Shift+ArrowDown');
    await page.keyboard.press('Shift+ArrowDown');
    await page.waitForFunction(() =>
      document.querySelector('.bulk-tools')?.textContent?.includes('3 selected'),
    );
    await page.keyboard.press('Control+a');
    await page.waitForFunction(() =>
      document.querySelector('.bulk-tools')?.textContent?.includes('6 selected'),
    );
    await page.locator('vscode-button[aria-label="Apply a pass to the selected layers"]').click();
    const form = page.locator('.bulk .pass', { hasText: 'Half precision' });
    await form.locator('summary').click();
    await picture('bulk');
    await form.locator('vscode-button').click();
    await page.waitForFunction(() => window.fakeHost.calls.some((call) => call.method === 'apply'));
    const [{ layers }] = (await calls('apply')) as [{ layers: string[] }];
    expect(layers).toHaveLength(6);
  });

  it('the weights of a layer are read when asked for', async () => {
    page = await open();
    await focusStem();
    await expect.poll(() => calls('tensor')).toEqual([]);
    await page.locator('.details').getByRole('button', { name: 'Show statistics' }).click();
    await page.waitForSelector('.histogram');
    await expect.poll(() => calls('tensor')).toEqual([{ value: 'stem/Conv.weight', graph: 0 }]);
    await page.locator('.histogram').scrollIntoViewIfNeeded();
    await picture('details');
  });

  it('weights are looked at by channels and in pages, and written as a file', async () => {
    page = await open();
    await tab('weights');
    await page.locator('#view-weights').getByRole('button', { name: 'Go to the heaviest layer' }).click();
    await page.waitForSelector('.values td');
    await expect.poll(() => page.locator('.values th').first().textContent()).toBe('[0, 0, 0, 0]');
    await page.locator('vscode-button[aria-label="Next values"]').click();
    await page.waitForFunction(() => document.querySelector('.values th')?.textContent === '[1, 12, 1, 1]');
    await page.locator('.heat-map').focus();
    await page.keyboard.press('End');
    await expect.poll(() => page.locator('.heat-words').textContent()).toContain('Channel 15');
    await page.keyboard.press('Enter');
    await page.waitForFunction(() => document.querySelector('.values th')?.textContent?.startsWith('[14,'));
    await picture('weights');
    await press('Export .npy', '#view-weights');
    await page.waitForFunction(() =>
      document.querySelector('.status-words')?.textContent?.startsWith('Wrote'),
    );
    const sizes = (await calls('tensorPage')) as { count: number }[];
    expect(Math.max(...sizes.map(({ count }) => count))).toBeLessThanOrEqual(1024);
  });
});
