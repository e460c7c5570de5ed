import type { Page } from 'playwright-core';
import { describe, expect, it } from 'vitest';
import { startPerson } from './support/person.ts';

const { open, press, tab, picture, choose, waitForDetails } = startPerson();
let page: Page;

const box = async (selector: string) => (await page.locator(selector).first().boundingBox())!;
const remembered = () =>
  page.evaluate(() => (window.fakeHost.remembered() as { panes?: unknown } | null)?.panes);
const toggleDetails = () => page.locator('vscode-button[aria-label="Show or hide the details"]').click();

const sizes = [
  [400, 300],
  [520, 380],
  [640, 500],
  [720, 450],
  [800, 600],
  [1000, 700],
  [1240, 800],
] as const;

describe('little room', () => {
  it.each(sizes)(
    '%i × %i: two rows on top, a graph, at most 45 % below, nothing sticks out',
    async (width, height) => {
      page = await open({ device: 'cortex-m7' }, { width, height });
      await expect.poll(async () => (await box('.strip')).height).toBeLessThan(70);
      await expect
        .poll(async () => (await box('.pane-bottom')).height)
        .toBeLessThanOrEqual(height * 0.45 + 1);
      await expect.poll(async () => (await box('.graph-canvas')).width).toBeGreaterThan(350);
      await expect.poll(async () => (await box('.graph-canvas')).height).toBeGreaterThan(height * 0.3);
      const out = await page.evaluate(() =>
        [...document.querySelectorAll('.strip *, .toolbar *')]
          .filter((element) => element.getClientRects().length > 0 && element.clientWidth > 1)
          .filter((element) => element.getBoundingClientRect().right > window.innerWidth + 0.5)
          .map((element) => element.outerHTML.slice(0, 80)),
      );
      expect(out).toEqual([]);
      await picture(`narrow-${width}`);
    },
  );

  it('the details are a drawer: closed, over the graph when asked for, closed with Escape', async () => {
    page = await open({}, { width: 520, height: 380 });
    const details = page.locator('.details');
    const graph = (await box('.graph-canvas')).width;
    expect(graph).toBe(520);
    await expect.poll(() => page.locator('.minimap').isVisible()).toBe(false);
    await expect.poll(() => details.isVisible()).toBe(false);
    await toggleDetails();
    await details.waitFor();
    await expect.poll(async () => (await box('.graph-canvas')).width).toBe(graph);
    await picture('narrow-520-details');
    await page.keyboard.press('Escape');
    await details.waitFor({ state: 'hidden' });
    await page.getByRole('button', { name: 'Optimize for device…' }).click();
    await page.locator('#view-optimize').waitFor();
  });

  it('sizes are remembered as they were chosen, whatever a small room made of them', async () => {
    page = await open({}, { width: 1440, height: 900 });
    await page.locator('.sash-right').focus();
    await page.keyboard.press('ArrowLeft');
    await page.locator('.sash-bottom').focus();
    for (let i = 0; i < 5; i++) await page.keyboard.press('ArrowUp');
    const chosen = { details: { size: 364, open: true }, bottom: { size: 360, open: true } };
    const waitForChosen = () =>
      page.waitForFunction(
        (wanted) =>
          JSON.stringify((window.fakeHost.remembered() as { panes?: unknown } | null)?.panes) === wanted,
        JSON.stringify(chosen),
      );
    await waitForChosen();
    const before = [(await box('.pane-right')).width, (await box('.pane-bottom')).height];
    await page.setViewportSize({ width: 480, height: 360 });
    await page.locator('.details').waitFor({ state: 'hidden' });
    await toggleDetails();
    await page.locator('.details').waitFor();
    await page.setViewportSize({ width: 1440, height: 900 });
    await page.locator('.pane-right:not(.drawer)').waitFor();
    await expect
      .poll(async () => [(await box('.pane-right')).width, (await box('.pane-bottom')).height])
      .toEqual(before);
    await expect.poll(() => remembered()).toEqual(chosen);
  });

  it('what was in the middle of the graph stays there', async () => {
    page = await open({}, { width: 1440, height: 900 });
    await page.setViewportSize({ width: 520, height: 380 });
    await page.waitForFunction(() => document.querySelector('.graph-canvas')!.clientWidth === 520);
    await page.locator('.graph-canvas').click({ position: { x: 260, y: 45 } });
    await toggleDetails();
    await waitForDetails('Graph input');
  });
});

describe('controls', () => {
  const shown = (label: string) =>
    page
      .locator(`vscode-dropdown[aria-label="${label}"]`)
      .evaluate((element) => element.shadowRoot!.querySelector('.selected-value')!.textContent!.trim());

  it('a dropdown shows its choice although the choices come later', async () => {
    page = await open({ device: 'pi-4', hold: 'devices' });
    await expect.poll(() => shown('Target device')).toBe('pi-4');
    await page.evaluate(() => window.fakeHost.release());
    await page.waitForFunction(() => document.querySelectorAll('.device-picker vscode-option').length === 3);
    await expect.poll(() => shown('Target device')).toBe('Raspberry Pi 4');
    await expect.poll(() => shown('Overlay on the graph')).toBe('No overlay');
    await expect.poll(() => shown('Fold level')).toBe('All layers');
  });

  it('a dropdown follows the host, and keeps its choice when its choices are replaced', async () => {
    page = await open({});
    await expect.poll(() => shown('Target device')).toBe('Choose a device');
    await choose('Target device', 'Cortex-M7');
    await page.waitForFunction(() => window.fakeHost.state().device === 'cortex-m7');
    await expect.poll(() => shown('Target device')).toBe('Cortex-M7 480 MHz');
    await press('Quantize to int8: about', '.details');
    await page.waitForFunction(() => window.fakeHost.state().steps.length === 1);
    await expect.poll(() => shown('Target device')).toBe('Cortex-M7 480 MHz');
  });

  it.each([1440, 520])('the controls of the optimizer stand apart in %i pixels', async (width) => {
    page = await open({ device: 'cortex-m7' }, { width, height: 700 });
    await tab('optimize');
    const rectangles = await page.evaluate(() =>
      [...document.querySelector('#view-optimize .toolbar')!.children].map((element) => {
        const { left, top, right, bottom } = element.getBoundingClientRect();
        const field = element.querySelector('vscode-text-field')?.getBoundingClientRect();
        return { left, top, right: Math.max(right, field?.right ?? 0), bottom };
      }),
    );
    for (const [i, a] of rectangles.entries()) {
      for (const b of rectangles.slice(i + 1)) {
        const apart = a.right <= b.left || b.right <= a.left || a.bottom <= b.top || b.bottom <= a.top;
        expect(apart, JSON.stringify([a, b])).toBe(true);
      }
    }
  });

  it('the text of the table has the spare room, and headers stay where they are when sorted', async () => {
    page = await open({ file: 'samples/digits.onnx', device: 'pi4' });
    const cut = await page.evaluate(() =>
      [...document.querySelectorAll('.table .cell:not(.numeric)')]
        .filter((cell) => cell.scrollWidth > cell.clientWidth)
        .map((cell) => cell.textContent),
    );
    expect(cut).toEqual([]);
    const places = () =>
      page.evaluate(() =>
        [...document.querySelectorAll('#view-layers .table-header button')].map((button) => {
          const range = document.createRange();
          range.selectNodeContents(button.firstChild!);
          return range.getBoundingClientRect().left;
        }),
      );
    const before = await places();
    for (const title of ['MACs', 'Name']) {
      await page.locator('#view-layers .table-header button', { hasText: title }).click();
      await expect.poll(() => places()).toEqual(before);
    }
  });
});
