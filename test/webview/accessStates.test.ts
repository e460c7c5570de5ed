import type { Page } from 'playwright-core';
import { describe, expect, it } from 'vitest';
import { accessProblems } from './support/access.ts';
import { startPerson } from './support/person.ts';
import { themes } from './support/themes.ts';

const { open, press, tab, choose, focusStem, waitForDetails } = startPerson();
let page: Page;
const found: string[] = [];

/** Looks at the page as it is now; what it finds says where. */
async function look(where: string): Promise<void> {
  found.push(...(await accessProblems(page)).map((each) => `${where}: ${each}`));
}

function nothingFound(): void {
  expect([...new Set(found.splice(0))]).toEqual([]);
}

const opener = (label: string) => page.locator(`vscode-button[aria-label="${label}"]`).first();

/** Opens the sheet of a button, looks at it, closes it. */
async function lookInto(label: string, ready = '.popover:not([hidden])'): Promise<void> {
  await opener(label).click();
  await page.waitForSelector(ready);
  await look(label);
  await page.keyboard.press('Escape');
  await page.locator('.popover:not([hidden])').waitFor({ state: 'detached' });
}

/** From afar, until the pointer meets a box; those say what they are. */
async function hoverBox(): Promise<void> {
  await canvas().focus();
  for (let i = 0; i < 12; i++) await page.keyboard.press('-');
  const { x, y, width, height } = (await canvas().boundingBox())!;
  const tooltip = page.locator('.graph-pane .tooltip');
  for (let at = 0.5; at < 1; at += 0.02)
    for (let down = 4; down < height; down += 12) {
      await page.mouse.move(x + width * at, y + down);
      if (await tooltip.isVisible()) return;
    }
  throw new Error('no box was met');
}

const canvas = () => page.getByRole('application', { name: /^Model graph/ });

describe.each(themes.map(({ id }) => id))('no violations, theme %s', (theme) => {
  it('in sheets, lists and forms', async () => {
    page = await open({ theme, device: 'cortex-m7', model: 'transformer' });
    await lookInto('How to search');
    await lookInto('Import values and export the graph');
    // A dropdown that is open.
    await page.locator('vscode-dropdown[aria-label="Target device"]').click();
    await page.waitForSelector('vscode-dropdown[open]');
    await look('device list');
    await page.keyboard.press('Escape');
    // The form of every pass, and one with a value that is none.
    for (const card of await page.locator('.details details.pass > summary').all()) await card.click();
    await look('forms');
    const prune = page.locator('.details details.pass', { hasText: 'Prune small weights' });
    await prune.locator('vscode-text-field input').fill('much');
    await prune.locator('vscode-button', { hasText: 'Apply' }).click();
    await prune.locator('.problem:not([hidden])').waitFor();
    await look('a wrong value');
    // Several rows, their sheet, and rows under heads.
    const table = page.locator('#view-layers .table');
    await table.focus();
    await page.keyboard.press('Control+a');
    await lookInto('Apply a pass to the selected layers', '.bulk details.pass');
    await page.locator('select[aria-label="Group the layers"]').selectOption({ label: 'By operator' });
    await page.waitForSelector('.table-group');
    await look('grouped table');
    nothingFound();
  });

  it('in details, overlays and measurements', async () => {
    page = await open({ theme, device: 'cortex-m7', model: 'transformer' });
    await canvas().focus();
    await page.keyboard.press('Home');
    await waitForDetails('Graph input');
    await look('a port');
    await page.keyboard.press('ArrowDown');
    for (let i = 0; i < 8 && (await page.locator('.details', { hasText: 'Unfold' }).count()) === 0; i++)
      await page.keyboard.press('ArrowDown');
    await page.locator('.details', { hasText: 'Unfold' }).waitFor();
    await look('a group');
    for (const overlay of [
      'Sensitivity',
      'Measured time',
      'Unsupported',
      'Precision',
      'Sparsity',
      'Difference',
    ]) {
      await choose('Overlay on the graph', overlay);
      await page.locator('vscode-dropdown[open]').waitFor({ state: 'detached' });
      await look(`overlay ${overlay}`);
    }
    await choose('Overlay on the graph', 'Parameters');
    await page.locator('.legend input[type="range"]').fill('0.5');
    await look('threshold');
    await hoverBox();
    await look('tooltip');
    await tab('optimize');
    await press('Try recipes', '#view-optimize');
    await page.waitForSelector('#view-optimize table');
    await look('candidates');
    nothingFound();
  });

  it('in states that are no everyday', async () => {
    page = await open({ theme, hold: 'bench' });
    await focusStem();
    await tab('benchmark');
    await press('Run benchmark');
    await page.locator('.status-bar:not([hidden])').waitFor();
    await look('a job');
    await press('Cancel', '.status');
    await page.locator('.status-bar').waitFor({ state: 'hidden' });
    await look('a cancelled job');
    await page.close();
    page = await open({ theme, trusted: 'no' });
    await look('an untrusted workspace');
    await page.close();
    page = await open({ theme, model: 'empty' }, undefined, false);
    await page.locator('.graph-notice:not([hidden])').waitFor();
    await look('an empty model');
    await page.close();
    page = await open({ theme, device: 'cortex-m7' }, { width: 560, height: 640 });
    await look('a narrow window');
    nothingFound();
  });
});
