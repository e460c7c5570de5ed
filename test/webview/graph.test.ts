import type { Page } from 'playwright-core';
import { describe, expect, it } from 'vitest';
import { startPerson } from './support/person.ts';

const { open, calls, boxes, waitForBoxes, tab, choose, focusStem, waitForDetails, waitForName, picture } =
  startPerson();
let page: Page;

describe('opening', () => {
  it('a small model opens unfolded, with its numbers', async () => {
    page = await open({ model: 'resnet' });
    await expect.poll(() => boxes()).toBe(54);
    await expect.poll(() => page.locator('.headline').textContent()).toContain('272 k params · 40.8 MMACs');
    await expect.poll(() => page.locator('.meter.over').count()).toBe(1);
    await expect
      .poll(() => page.locator('.meter').first().getAttribute('aria-valuetext'))
      .toBe('File 1.09 MB of 1 MB');
  });

  it('a large model opens folded and unfolds in the worker', async () => {
    page = await open({ model: 'large', size: '3000' });
    await expect.poll(() => boxes()).toBeLessThan(60);
    await choose('Fold level', 'All layers');
    await page.waitForFunction(
      () => Number(document.querySelector('.graph-pane')?.getAttribute('data-boxes')) > 2900,
    );
    await page.locator('.graph-canvas').focus();
    await page.keyboard.press('9');
    await picture('overview');
  });

  it('a model without name scopes is folded to its repeated blocks', async () => {
    page = await open({ model: 'flat' });
    await expect.poll(() => boxes()).toBeLessThan(30);
    await page.locator('.search vscode-text-field').click();
    await page.keyboard.type('layer.7_ffn_Gelu');
    await page.keyboard.press('Enter');
    await waitForDetails('Gelu');
    await expect.poll(() => boxes()).toBeGreaterThan(30);
  });

  it('an empty model says so', async () => {
    page = await open({ model: 'empty' });
    await expect.poll(() => page.locator('.graph-notice').textContent()).toContain('no layers');
  });

  it('an untrusted workspace looks but does not run', async () => {
    page = await open({ trusted: 'no' });
    await tab('benchmark');
    await expect.poll(() => page.locator('#view-benchmark').textContent()).toContain('not trusted');
    await expect
      .poll(() => page.locator('#view-benchmark vscode-button').first().getAttribute('disabled'))
      .not.toBeNull();
  });
});

describe('one selection everywhere', () => {
  it('the keyboard walks along edges, and the table and details follow', async () => {
    page = await open();
    await focusStem();
    await expect.poll(() => page.locator('.details').locator('.name').textContent()).toBe('stem/Conv');
    await page.waitForSelector('.table-row.selected');
    await expect.poll(() => page.locator('.table-row.selected').textContent()).toContain('stem/Conv');
    await expect
      .poll(() => page.locator('.status > .hidden-text').textContent())
      .toContain('Conv stem/Conv, output 1×16×32×32');
    await page.keyboard.press('ArrowDown');
    await waitForName('stem/Relu');
    await expect.poll(async () => (await calls('select')).at(-1)).toEqual({ layer: 'stem/Relu' });
  });

  it('a click on a box selects it; a click beside everything clears', async () => {
    page = await open();
    const canvas = page.locator('.graph-canvas');
    const { width } = (await canvas.boundingBox())!;
    await canvas.click({ position: { x: width / 2, y: 45 } });
    await waitForDetails('Graph input');
    await canvas.click({ position: { x: 20, y: 200 } });
    await waitForDetails('Model');
  });

  it('a row of the table selects in the graph; another view selects in both', async () => {
    page = await open();
    await page.locator('.table-row', { hasText: 'layer1/block0/Add' }).click();
    await waitForName('layer1/block0/Add');
    await page.evaluate(() => window.fakeHost.notify({ notice: 'select', layer: 'layer3/block2/Add' }));
    await waitForName('layer3/block2/Add');
    await page.waitForFunction(() =>
      document.querySelector('.table-row.selected')?.textContent?.includes('layer3/block2/Add'),
    );
  });

  it('peers are links', async () => {
    page = await open();
    await focusStem();
    await page.locator('.details').getByRole('button', { name: 'stem/Relu' }).click();
    await waitForName('stem/Relu');
  });
});

describe('folding', () => {
  it('Enter unfolds a group in place and Backspace folds it again', async () => {
    page = await open({ model: 'transformer' });
    const before = await boxes();
    await page.evaluate(() =>
      window.fakeHost.notify({ notice: 'select', layer: 'encoder/layer.3/ffn/Gelu' }),
    );
    await waitForDetails('Gelu');
    await page.locator('.graph-canvas').focus();
    await page.keyboard.press('Enter');
    await waitForBoxes(before + 4);
    await picture('unfolded');
    await page.keyboard.press('Backspace');
    await waitForBoxes(before);
    await expect.poll(() => page.locator('.details').locator('h2').textContent()).toBe('ffn');
  });

  it('remembers folds, camera, selection, overlay and panes when the page comes back', async () => {
    page = await open({ model: 'transformer' });
    const before = await boxes();
    await page.evaluate(() =>
      window.fakeHost.notify({ notice: 'select', layer: 'encoder/layer.3/ffn/Gelu' }),
    );
    await waitForDetails('Gelu');
    await page.locator('.graph-canvas').focus();
    await page.keyboard.press('Enter');
    await waitForBoxes(before + 4);
    await choose('Overlay on the graph', 'MACs');
    await page.locator('.sash-right').focus();
    await page.keyboard.press('ArrowLeft');
    const width = (await page.locator('.pane-right').boundingBox())!.width;
    // Two frames: the graph hears of its new width after the pane has it.
    await page.evaluate(
      () => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done))),
    );
    const camera = await page.locator('.graph-pane').getAttribute('data-camera');
    await page.reload();
    await waitForBoxes(before + 4);
    await waitForDetails('Gelu');
    await expect
      .poll(async () => (await page.locator('.pane-right').boundingBox())!.width)
      .toBeCloseTo(width, 0);
    await expect.poll(() => page.locator('.legend').textContent()).toContain('MACs');
    await page.waitForFunction(
      (wanted) => document.querySelector('.graph-pane')?.getAttribute('data-camera') === wanted,
      camera,
    );
  });
});

describe('search', () => {
  it('counts, walks and clears', async () => {
    page = await open();
    const field = page.locator('.search vscode-text-field');
    await field.click();
    await page.keyboard.type('conv 16x32x32');
    await expect.poll(() => page.locator('.search-count').textContent()).toBe('7 found');
    await page.keyboard.press('Enter');
    await expect.poll(() => page.locator('.search-count').textContent()).toBe('1 of 7');
    await page.keyboard.press('Shift+Enter');
    await expect.poll(() => page.locator('.search-count').textContent()).toBe('7 of 7');
    await picture('search');
    await page.keyboard.press('Escape');
    await expect.poll(() => page.locator('.search-count').textContent()).toBe('');
  });

  it('has a language: fields, help, completion and history', async () => {
    page = await open();
    const field = page.locator('.search vscode-text-field');
    await field.click();
    await page.keyboard.type('macs>2M -weight:*x1x1 op:');
    await page.waitForSelector('.suggestion');
    await page.keyboard.press('ArrowDown');
    await expect.poll(() => page.locator('.suggestion[aria-selected=true]').textContent()).toContain('Conv');
    await page.keyboard.press('Enter');
    await expect
      .poll(() => field.evaluate((element) => (element as HTMLInputElement).value))
      .toBe('macs>2M -weight:*x1x1 op:Conv');
    await picture('query');
    await page.keyboard.press('Enter');
    await expect.poll(() => page.locator('.search-count').textContent()).toMatch(/^1 of 1\d$/);
    await field.locator('input').fill('macs>lots');
    await expect.poll(() => page.locator('.search-count').textContent()).toContain('not a number');
    await field.locator('input').fill('');
    await page.keyboard.press('ArrowDown');
    await expect
      .poll(() => page.locator('.suggestion').first().textContent())
      .toContain('macs>2M -weight:*x1x1 op:Conv');
    await page.locator('vscode-button[aria-label="How to search"]').click();
    await expect.poll(() => page.locator('.popover').first().textContent()).toContain('multiply-accumulates');
  });

  it('undo in a text field stays in the field', async () => {
    page = await open();
    await page.evaluate(() => {
      window.addEventListener('keydown', (event) => {
        if (event.key === 'z') document.body.dataset['leaked'] = 'yes';
      });
    });
    const field = page.locator('.search vscode-text-field');
    await field.click();
    await page.keyboard.type('relu');
    await page.keyboard.press('Control+z');
    expect(await field.evaluate((element) => (element as HTMLInputElement).value)).not.toBe('relu');
    expect(await page.evaluate(() => document.body.dataset['leaked'])).toBeUndefined();
  });
});
