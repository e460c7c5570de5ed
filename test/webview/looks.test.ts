import type { Page } from 'playwright-core';
import { describe, expect, it } from 'vitest';
import { startPerson } from './support/person.ts';
import { themes } from './support/themes.ts';

const { open, waitForBoxes, press, tab, choose, focusStem, picture } = startPerson();
let page: Page;

describe('panes', () => {
  it('fold away and stay folded when the page comes back', async () => {
    page = await open();
    const layers = page.locator('#view-layers');
    await page.locator('vscode-button[aria-label="Show or hide the lower panel"]').click();
    await layers.waitFor({ state: 'hidden' });
    await page.locator('.sash-right').dblclick();
    await page.locator('.details').waitFor({ state: 'hidden' });
    await page.waitForFunction(
      () => JSON.stringify(window.fakeHost.remembered()).split('"open":false').length === 3,
    );
    await page.reload();
    await waitForBoxes(54);
    await expect.poll(() => layers.isVisible()).toBe(false);
    await expect.poll(() => page.locator('.details').isVisible()).toBe(false);
    // Whatever needs the lower panel opens it.
    await press('Optimize for device');
    await page.locator('#view-optimize').waitFor();
  });
});

describe('looks', () => {
  it.each(themes.map(({ id }) => id))('theme %s', async (theme) => {
    page = await open({ model: 'resnet', theme, device: 'cortex-m7' });
    await focusStem();
    await choose('Overlay on the graph', 'MACs');
    await page.waitForSelector('.legend-ramp');
    await picture(`theme-${theme}`);
  });

  it.each(['memory', 'recipe'])('the tab %s', async (id) => {
    page = await open({ device: 'pi-4' });
    await press('Quantize to int8: about', '.details');
    await page.waitForFunction(() => window.fakeHost.state().steps.length === 1);
    await tab(id);
    await page.locator(`#view-${id}`).waitFor();
    await picture(`tab-${id}`);
  });

  it('at 200 % nothing is out of reach', async () => {
    page = await open({ device: 'cortex-m7' }, { width: 720, height: 450 });
    await picture('zoom-200');
    const overflow = await page.evaluate(() => document.documentElement.scrollWidth - window.innerWidth);
    expect(overflow).toBeLessThanOrEqual(0);
  });

  it('changes its colours with the theme', async () => {
    page = await open({ theme: 'dark' });
    const corner = () =>
      page.evaluate(() => {
        const canvas = document.querySelector<HTMLCanvasElement>('.graph-canvas')!;
        return canvas.getContext('2d')!.getImageData(2, 2, 1, 1).data.slice(0, 3).join();
      });
    await expect.poll(() => corner()).toBe('31,31,31');
    await page.evaluate(() => window.fakeHost.setTheme('light'));
    await page.waitForFunction(() => {
      const canvas = document.querySelector<HTMLCanvasElement>('.graph-canvas')!;
      return canvas.getContext('2d')!.getImageData(2, 2, 1, 1).data[0] === 255;
    });
    await expect.poll(() => corner()).toBe('255,255,255');
  });
});
