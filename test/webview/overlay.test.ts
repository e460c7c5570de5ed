import type { Page } from 'playwright-core';
import { describe, expect, it } from 'vitest';
import { startPerson } from './support/person.ts';

const { open, calls, choose, press, picture } = startPerson();
let page: Page;

const legend = () => page.locator('.legend').textContent();
const menu = () => page.locator('vscode-button[aria-label="Import values and export the graph"]').click();

describe('overlays', () => {
  it('have a scale and a threshold, and both come back with the page', async () => {
    page = await open({ model: 'resnet' });
    await choose('Overlay on the graph', 'MACs');
    await page.locator('select[aria-label="Scale of the heat"]').selectOption('rank');
    await page.locator('.legend-threshold').fill('80');
    await page.waitForFunction(() =>
      document.querySelector('.legend-limit')?.textContent?.includes('at or above'),
    );
    const limit = await page.locator('.legend-limit').textContent();
    expect(limit).toMatch(/^[1-9]\d* at or above 2\.36 MMACs$/);
    await picture('threshold');
    await page.waitForFunction(() =>
      JSON.stringify(window.fakeHost.remembered()).includes('"threshold":0.8'),
    );
    await page.reload();
    await page.waitForFunction(() =>
      document.querySelector('.legend-limit')?.textContent?.includes('at or above'),
    );
    await expect.poll(() => page.locator('.legend-limit').textContent()).toBe(limit);
  });

  it('say how to come by what is not there, and take it', async () => {
    page = await open();
    await choose('Overlay on the graph', 'Sparsity');
    await expect.poll(() => legend()).toContain('reading every weight once');
    await press('Read the weights', '.legend');
    await page.waitForSelector('.legend-ramp');
    await expect.poll(() => legend()).toContain('80 %');
    await choose('Overlay on the graph', 'Sensitivity');
    await press('Measure for int8', '.legend');
    await page.waitForFunction(() => document.querySelector('.legend')?.textContent?.includes('18 dB'));
    await expect.poll(() => calls('sensitivity')).toEqual([{ scheme: 'int8' }]);
  });

  it('show the sensitivity that a command measured: as heat, in the table and for a spreadsheet', async () => {
    page = await open({ measured: 'int8' });
    await page.evaluate(() => window.fakeHost.notify({ notice: 'measured', show: true }));
    // Nothing that a layer does to the outputs is at the cold end; 0 dB would be the hottest of all.
    await expect.poll(() => legend()).toMatch(/^Sensitivityno effect18 dB/);
    await expect.poll(() => calls('sensitivity')).toEqual([]);
    const table = page.locator('#view-layers [role=grid]');
    await expect.poll(() => table.textContent()).toContain('18 dB');
    await press('Copy as CSV', '#view-layers');
    const copied = async () => ((await calls('copy'))[0] as { text: string } | undefined)?.text ?? '';
    await expect.poll(copied).toContain('sensitivity');
    const [head, ...rows] = (await copied()).split('\n').map((line) => line.split(','));
    const stem = rows.find((row) => row[0] === 'stem/Conv')!;
    expect(Number(stem[head!.indexOf('sensitivity')])).toBeCloseTo(18, 9);
  });

  it('are there again when the page comes back', async () => {
    page = await open({ measured: 'int8' });
    await choose('Overlay on the graph', 'Sensitivity');
    await expect.poll(() => legend()).toContain('18 dB');
  });

  it('offer more than fits into the button that shows the choice', async () => {
    page = await open({}, { width: 520, height: 600 });
    await page.locator('vscode-dropdown[aria-label="Overlay on the graph"]').click();
    const cut = () =>
      page.locator('vscode-dropdown[aria-label="Overlay on the graph"] vscode-option').evaluateAll((all) =>
        all
          .map((option) => option.shadowRoot!.querySelector<HTMLElement>('.content')!)
          .filter((words) => words.scrollWidth > words.clientWidth)
          .map((words) => words.textContent),
      );
    await expect.poll(cut).toEqual([]);
  });

  it('take the values of a dropped file', async () => {
    page = await open();
    await page.evaluate(() => {
      const data = new DataTransfer();
      const results = { 'stem/Conv': { value: 12 }, 'fc/Gemm': { value: 3 }, gone: { value: 1 } };
      data.items.add(new File([JSON.stringify({ results })], 'errors.json', { type: 'application/json' }));
      const target = document.querySelector('.graph-pane')!;
      for (const type of ['dragover', 'drop'])
        target.dispatchEvent(new DragEvent(type, { dataTransfer: data, bubbles: true, cancelable: true }));
    });
    await page.waitForFunction(() =>
      document.querySelector('.status-words')?.textContent?.includes('errors'),
    );
    await expect
      .poll(() => page.locator('.status-words').textContent())
      .toBe('errors: values of 2 layers, 1 name without a layer.');
    await expect.poll(() => legend()).toContain('12');
    await picture('imported');
  });

  it('take the values that a command brings, also before there is a graph', async () => {
    page = await open({ hold: 'graph' }, undefined, false);
    const text = JSON.stringify({ results: { 'stem/Conv': { value: 7 }, 'fc/Gemm': { value: 3 } } });
    await page.evaluate((content) => {
      window.fakeHost.notify({ notice: 'values', name: 'errors.json', text: content });
      window.fakeHost.release();
    }, text);
    await page.waitForFunction(() =>
      document.querySelector('.status-words')?.textContent?.startsWith('errors: values of 2 layers'),
    );
    await expect.poll(() => legend()).toContain('7');
  });
});

describe('export', () => {
  it('writes a PNG, an SVG and the graph of Model Explorer', async () => {
    page = await open({ model: 'transformer' });
    for (const kind of ['PNG', 'SVG', 'Model Explorer']) {
      await menu();
      await press(`Export ${kind}`, '.popover');
      await page.waitForFunction(() =>
        document.querySelector('.status-words')?.textContent?.startsWith('Wrote'),
      );
      await page.evaluate(() => window.fakeHost.notify({ notice: 'job', job: null }));
    }
    await page.waitForFunction(() => window.fakeHost.calls.some((call) => call.method === 'exportAs'));
    const saved = await page.evaluate(() => window.fakeHost.saved);
    expect(saved.map(({ name }) => name)).toEqual(['network.png', 'network.svg']);
    expect(saved[0]!.bytes).toBeGreaterThan(5000);
    expect(saved[1]!.head).toMatch(
      /^<svg xmlns="http:\/\/www\.w3\.org\/2000\/svg" width="[\d.]+" height="[\d.]+"/,
    );
    await expect
      .poll(() => calls('exportAs'))
      .toEqual([{ to: 'model-explorer', name: 'network.explorer.json' }]);
  });
});
