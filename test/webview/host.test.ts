import path from 'node:path';
import type { Page } from 'playwright-core';
import { describe, expect, it } from 'vitest';
import { hasShared, shared } from '../unit/support/models.ts';
import { startPerson } from './support/person.ts';

const { open, calls, boxes, picture, press } = startPerson();
let page: Page;

describe('the host speaks', () => {
  it('a command shows a tab and runs its job', async () => {
    page = await open();
    await page.evaluate(() => window.fakeHost.notify({ notice: 'show', tab: 'benchmark', run: true }));
    await page.waitForSelector('#view-benchmark .bar-row');
    await expect.poll(() => calls('bench')).toHaveLength(1);
  });

  it('work of the host is shown in words', async () => {
    page = await open();
    const job = { title: 'Convert', fraction: 0.4, message: 'writing' };
    await page.evaluate((given) => window.fakeHost.notify({ notice: 'job', job: given }), job);
    await page.waitForFunction(
      () => document.querySelector('.status-words')?.textContent === 'Convert: writing',
    );
    await page.evaluate(() => window.fakeHost.notify({ notice: 'job', job: null }));
    await page.waitForFunction(() => document.querySelector<HTMLElement>('.status')!.hidden);
  });

  it('an edge says what it carries', async () => {
    page = await open();
    const canvas = page.locator('.graph-canvas');
    const { width } = (await canvas.boundingBox())!;
    await canvas.hover({ position: { x: width / 2 + 1, y: 90 } });
    await page.waitForFunction(() => !document.querySelector<HTMLElement>('.graph-pane .tooltip')!.hidden);
    await expect
      .poll(() => page.locator('.graph-pane .tooltip').textContent())
      .toBe('input: float32[1×3×32×32]');
  });
});

describe('real models', () => {
  it.each(['digits.onnx', 'digits.tflite'])('%s, answered by the engine', async (name) => {
    page = await open({ file: `samples/${name}`, theme: name.endsWith('x') ? 'dark' : 'light' });
    await expect.poll(() => boxes()).toBeGreaterThan(4);
    await expect
      .poll(() => page.locator('.headline').textContent())
      .toMatch(/kB · [\d.]+ k params · [\d.]+ [kM]MAC/);
    await page.locator('.graph-canvas').focus();
    await page.keyboard.press('Home');
    // What stands at the border is known by its edges.
    await expect.poll(() => page.locator('.details dl').first().textContent()).toMatch(/Typefloat32Size\d/);
    await page.keyboard.press('ArrowDown');
    await page.waitForFunction(() => document.querySelector('.details dl') !== null);
    await picture(`sample-${name}`);
  });

  it.runIf(hasShared)(
    'whoever sees every layer sees every layer after an edit and after its undo',
    async () => {
      page = await open({ file: path.join(shared, 'models/own/cifar_resnet.onnx') });
      const level = () => page.locator('vscode-dropdown[aria-label="Fold level"]').textContent();
      const chosen = () =>
        page
          .locator('vscode-dropdown[aria-label="Fold level"]')
          .evaluate((element) => (element as HTMLInputElement).value);
      const all = async () =>
        page
          .locator('vscode-dropdown[aria-label="Fold level"] vscode-option', { hasText: 'All layers' })
          .evaluate((element) => (element as HTMLOptionElement).value);
      await expect.poll(level).toContain('All layers');
      const before = await boxes();
      expect(await chosen()).toBe(await all());
      await page.evaluate(() => window.fakeHost.apply('fuse'));
      await expect.poll(() => boxes()).toBeLessThan(before);
      await page.locator('#tab-recipe').click();
      await press('Undo', '#view-recipe');
      await expect.poll(() => boxes()).toBe(before);
      await expect.poll(async () => (await chosen()) === (await all())).toBe(true);
    },
  );
});
