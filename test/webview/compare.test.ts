import type { Page } from 'playwright-core';
import { describe, expect, it } from 'vitest';
import { startPerson } from './support/person.ts';

const { open, press, tab, focusStem, waitForName, picture } = startPerson();
let page: Page;

const otherName = () => page.locator('.other-side .graph-canvas').getAttribute('aria-label');
const cameras = () =>
  page.evaluate(() =>
    Array.from(document.querySelectorAll<HTMLElement>('.graph-pane'), (pane) => pane.dataset['camera']),
  );

describe('side by side', () => {
  it('with the original: numbers, arrows, percentages and the layers that differ', async () => {
    page = await open();
    await tab('compare');
    await expect
      .poll(() => page.locator('#view-compare').textContent())
      .toContain('Nothing has been changed yet');
    await press('Quantize to int8: about', '.details');
    await page.waitForFunction(() => window.fakeHost.state().steps.length === 1);
    await press('Compare with original', '#view-compare');
    await page.waitForSelector('.other-side .graph-canvas');
    await expect.poll(() => page.locator('.compare-bar').textContent()).toContain('1 changed');
    await expect
      .poll(() => page.locator('#view-compare .before-after').first().textContent())
      .toMatch(/→.*−/);
    await expect
      .poll(() => page.locator('#view-compare').textContent())
      .toContain('1 layer changed, 0 added, 0 removed');
    await page.locator('#view-compare .table-row').first().click();
    await waitForName('stem/Conv');
    await picture('compare');
  });

  it('with another file: one selection, one camera, differences one after another', async () => {
    page = await open({ model: 'resnet' });
    await tab('compare');
    await press('With another file', '#view-compare');
    await page.waitForSelector('.other-side .graph-canvas');
    await expect.poll(() => otherName()).toContain('Graph of other.onnx');
    await focusStem();
    // The layer of the same name on the other side.
    await page.waitForFunction(
      () =>
        document.querySelector<HTMLElement>('.other-side .graph-pane')?.dataset['selected'] === 'stem/Conv',
    );
    await page.keyboard.press('ArrowDown');
    await page.waitForFunction(
      () =>
        document.querySelector<HTMLElement>('.other-side .graph-pane')?.dataset['selected'] === 'stem/Relu',
    );
    const before = await cameras();
    await page.mouse.move(800, 300);
    await page.mouse.wheel(0, 300);
    await page.waitForFunction((former) => {
      const now = Array.from(
        document.querySelectorAll<HTMLElement>('.graph-pane'),
        (pane) => pane.dataset['camera'],
      );
      return now[0] !== former[0] && now[1] !== former[1];
    }, before);
    await picture('compare-files');
    await page.locator('vscode-button[aria-label="Close the comparison"]').click();
    await page.locator('.other-side').waitFor({ state: 'hidden' });
  });

  it('opening it leaves the graph in the middle of what is left', async () => {
    page = await open({ model: 'resnet' });
    const middle = () =>
      page.evaluate(() => {
        const [x = 0, , zoom = 1] = (
          document.querySelector<HTMLElement>('.this-side .graph-pane')?.dataset['camera'] ?? ''
        )
          .split(' ')
          .map(Number);
        return x + document.querySelector('.this-side .graph-canvas')!.clientWidth / zoom / 2;
      });
    const before = await middle();
    await tab('compare');
    await press('With another file', '#view-compare');
    await page.waitForSelector('.other-side .graph-pane[data-boxes]');
    await page.evaluate(
      () => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done))),
    );
    await expect.poll(() => middle()).toBeCloseTo(before, -1);
  });

  it('survives when the page comes back, and goes with the steps it was made for', async () => {
    page = await open();
    await press('Quantize to int8: about', '.details');
    await page.waitForFunction(() => window.fakeHost.state().steps.length === 1);
    await tab('compare');
    await press('Compare with original', '#view-compare');
    await page.waitForSelector('.other-side .graph-canvas');
    await page.waitForFunction(() => JSON.stringify(window.fakeHost.remembered()).includes('"against":{'));
    await tab('recipe');
    await press('Undo', '#view-recipe');
    await page.waitForFunction(() =>
      document.querySelector('.compare-bar')?.textContent?.includes('no layer differs'),
    );
  });
});
