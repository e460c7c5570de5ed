import type { FrameLocator, Locator, Page } from 'playwright-core';
import { expect } from 'vitest';

type TabTitle = 'Layers' | 'Weights' | 'Benchmark' | 'Compare' | 'Memory' | 'Recipe' | 'Optimize';

/** Kerf's page inside the webview that is in front. */
export interface ModelEditor {
  readonly frame: FrameLocator;
  readonly canvas: Locator;
  /** Format, size, parameters and work. */
  readonly headline: Locator;
  readonly details: Locator;
  /** The line that says what is going on or what happened last. */
  readonly status: Locator;
  /** Until the numbers are there and the graph is drawn. */
  ready(): Promise<void>;
  /** Shows a tab of the lower panel and returns its content. */
  tab(title: TabTitle): Promise<Locator>;
  /** Finds a layer and selects the first hit. */
  search(words: string): Promise<void>;
  /** The menu of the first box that says `words`, found by clicking down the middle of the graph. */
  openMenu(words: string): Promise<Locator>;
  /** Titles of the steps applied so far. */
  steps(): Promise<readonly string[]>;
}

/** The editor in front; with several side by side, the one at `index`. */
export function modelEditor(page: Page, index = -1): ModelEditor {
  // Hidden tabs keep their frames, so only visible ones count.
  const frame = page
    .locator('iframe.webview.ready')
    .locator('visible=true')
    .nth(index)
    .contentFrame()
    .locator('#active-frame')
    .contentFrame();
  const canvas = frame.locator('.this-side canvas.graph-canvas');
  const editor: ModelEditor = {
    frame,
    canvas,
    headline: frame.locator('.headline'),
    details: frame.getByRole('region', { name: 'Details' }),
    status: frame.locator('.status-words'),
    async ready() {
      await canvas.waitFor({ timeout: 60_000 });
      await editor.headline.filter({ hasText: 'params' }).waitFor({ timeout: 60_000 });
      await expect.poll(() => isPainted(canvas), { timeout: 60_000 }).toBe(true);
    },
    async tab(title) {
      await frame.getByRole('tab', { name: title, exact: true }).click();
      return frame.getByRole('tabpanel').locator('visible=true');
    },
    async search(words) {
      const field = frame.getByPlaceholder('Find layers').locator('input');
      await field.fill(words);
      await field.press('Enter');
    },
    async openMenu(words) {
      const box = await canvas.boundingBox();
      if (box === null) {
        throw new Error('the canvas is not visible');
      }
      const x = box.x + box.width / 2;
      for (let y = box.y + 10; y < box.y + box.height; y += 20) {
        await page.mouse.move(x, y);
        if ((await canvas.evaluate((element) => element.style.cursor)) !== 'pointer') {
          continue;
        }
        await page.mouse.click(x, y);
        // What a screen reader hears of the box that is selected now.
        if (((await frame.locator('.status .hidden-text').textContent()) ?? '').includes(words)) {
          await page.mouse.click(x, y, { button: 'right' });
          const menu = frame.getByRole('menu');
          await menu.waitFor();
          return menu;
        }
      }
      throw new Error(`no box in the middle of the graph says ${words}`);
    },
    async steps() {
      const recipe = await editor.tab('Recipe');
      return recipe.locator('ol.steps li:not(.undone) > b').allTextContents();
    },
  };
  return editor;
}

/** More than one colour on the canvas: something has been drawn. */
function isPainted(canvas: Locator): Promise<boolean> {
  return canvas.evaluate((element) => {
    if (!(element instanceof HTMLCanvasElement) || element.width === 0) {
      return false;
    }
    const context = element.getContext('2d');
    if (context === null) {
      return false;
    }
    const { data } = context.getImageData(0, 0, element.width, element.height);
    const pixels = new Uint32Array(data.buffer);
    return pixels.some((pixel) => pixel !== pixels[0]);
  });
}
