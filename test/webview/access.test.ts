import type { Page } from 'playwright-core';
import { describe, expect, it } from 'vitest';
import { accessProblems } from './support/access.ts';
import { startPerson } from './support/person.ts';
import { themes } from './support/themes.ts';

const { open, press, tab, choose, focusStem, picture, waitForName, waitForDetails } = startPerson();
let page: Page;

const tabs = ['layers', 'weights', 'benchmark', 'compare', 'memory', 'roofline', 'recipe', 'optimize'];

describe('accessibility', () => {
  it.each(themes.map(({ id }) => id))('no violations in any panel, theme %s', async (theme) => {
    page = await open({ theme, device: 'cortex-m7' });
    const problems: string[] = (await accessProblems(page)).map((each) => `at first: ${each}`);
    await press('Quantize to int8: about', '.details');
    await page.waitForFunction(() => window.fakeHost.state().steps.length === 1);
    await focusStem();
    for (const id of tabs) {
      await tab(id);
      if (id === 'compare') await press('Compare with original', '#view-compare');
      if (id === 'benchmark') await press('Run benchmark');
      if (id === 'weights') await page.waitForSelector('.values td');
      await page.waitForFunction(
        () =>
          document.querySelector<HTMLElement>('.status-fill')?.closest<HTMLElement>('.status-bar')?.hidden !==
          false,
      );
      problems.push(...(await accessProblems(page)).map((each) => `${id}: ${each}`));
    }
    await choose('Overlay on the graph', 'MACs');
    await page.locator('vscode-button[aria-label="What is folded into cards"]').click();
    problems.push(...(await accessProblems(page)).map((each) => `folds: ${each}`));
    await page.locator('.search vscode-text-field').click();
    await page.keyboard.type('op:');
    await page.waitForSelector('.suggestion');
    await page.keyboard.press('ArrowDown');
    await page.waitForSelector('.suggestion[aria-selected="true"]');
    problems.push(...(await accessProblems(page)).map((each) => `search: ${each}`));
    await page.keyboard.press('Escape');
    await page.getByRole('application', { name: /^Model graph/ }).focus();
    await page.keyboard.press('?');
    await page.waitForSelector('.key-help:focus');
    problems.push(...(await accessProblems(page)).map((each) => `keys: ${each}`));
    await page.keyboard.press('Escape');
    // The menu of a layer, and the form of a pass that it opens.
    await page.keyboard.press('Shift+F10');
    await page.waitForSelector('.menu:not([hidden])');
    problems.push(...(await accessProblems(page)).map((each) => `menu: ${each}`));
    expect([...new Set(problems)]).toEqual([]);
  });
});

/** Presses a key until something holds; a person would look and press again. */
async function pressUntil(key: string, holds: () => Promise<boolean>, most = 60): Promise<void> {
  for (let i = 0; i < most; i++) {
    if (await holds()) return;
    await page.keyboard.press(key);
  }
  throw new Error(`${key} was pressed ${most} times in vain`);
}

const focused = (selector: string) => () =>
  page.evaluate((wanted) => {
    let at: Element | null = document.activeElement;
    while (at?.shadowRoot?.activeElement != null && !at.matches(wanted)) at = at.shadowRoot.activeElement;
    return at?.matches(wanted) === true;
  }, selector);

describe('by keyboard alone', () => {
  it('a model is walked, searched, fixed, compared and put back', async () => {
    page = await open({ model: 'transformer' });
    await pressUntil('Tab', focused('.graph-canvas'));
    // What the keys are.
    await page.keyboard.press('?');
    await page.waitForSelector('.key-help:focus');
    await picture('keys');
    await page.keyboard.press('Escape');
    expect(await focused('.graph-canvas')()).toBe(true);
    // Along edges, into a group and out again.
    await page.keyboard.press('Home');
    await waitForDetails('Graph input');
    await page.keyboard.press('ArrowDown');
    await pressUntil(
      'ArrowDown',
      async () => (await page.locator('.details').textContent())?.includes('Unfold') === true,
    );
    const group = await page.locator('.details h2').textContent();
    const boxes = Number(await page.locator('.graph-pane').getAttribute('data-boxes'));
    await page.keyboard.press('Enter');
    await page.waitForFunction(
      (n) => Number(document.querySelector<HTMLElement>('.graph-pane')?.dataset['boxes']) > n,
      boxes,
    );
    await page.keyboard.press('Backspace');
    await waitForDetails(group ?? '');
    // Hot spots from the hottest down.
    await page.keyboard.press('h');
    const hottest = await page.locator('.graph-pane').getAttribute('data-selected');
    await page.keyboard.press('h');
    await expect.poll(() => page.locator('.graph-pane').getAttribute('data-selected')).not.toBe(hottest);
    await page.keyboard.press('H');
    await expect.poll(() => page.locator('.graph-pane').getAttribute('data-selected')).toBe(hottest);
    // What a screen reader hears of it.
    await expect.poll(() => page.locator('.status > .hidden-text').textContent()).toMatch(/^(Group )?\w+/);
  });

  it('a finding is fixed, compared and undone', async () => {
    page = await open();
    await pressUntil('Tab', focused('.graph-canvas'));
    await page.keyboard.press('n');
    await waitForName('stem/Conv');
    await page.keyboard.press('Shift+F10');
    await page.waitForFunction(() => document.querySelector('.menu button')?.textContent?.startsWith('Fix:'));
    await page.keyboard.press('Enter');
    await page.waitForFunction(() => window.fakeHost.state().steps.length === 1);
    // The tabs below: Compare, and its first button.
    await pressUntil('Tab', focused('vscode-panel-tab'));
    await pressUntil('ArrowRight', async () => page.locator('#view-compare').isVisible());
    await pressUntil('Tab', focused('#view-compare vscode-button'));
    await page.keyboard.press('Enter');
    await page.waitForSelector('.other-side .graph-canvas');
    // Back to the graph, to the next difference.
    await pressUntil('Shift+Tab', focused('.this-side .graph-canvas'));
    await page.keyboard.press('Escape');
    await page.keyboard.press('d');
    await waitForName('stem/Conv');
    await pressUntil('Shift+Tab', focused('vscode-button[aria-label="Close the comparison"]'));
    await page.keyboard.press('Enter');
    await page.locator('.other-side').waitFor({ state: 'hidden' });
    // The recipe, and its Undo.
    await pressUntil('Tab', focused('vscode-panel-tab'));
    await pressUntil('ArrowRight', async () => page.locator('#view-recipe').isVisible());
    await pressUntil('Tab', focused('#view-recipe vscode-button'));
    await page.keyboard.press('Enter');
    await page.waitForFunction(() => window.fakeHost.state().steps.length === 0);
  });

  it('the table is walked and opens a layer in the graph', async () => {
    page = await open();
    await pressUntil('Tab', focused('#view-layers .table'));
    for (const key of ['ArrowDown', 'ArrowDown', 'ArrowDown']) await page.keyboard.press(key);
    await waitForName('layer1/block0/conv1/Conv');
    await page.keyboard.press('Enter');
    await expect
      .poll(() => page.locator('.graph-pane').getAttribute('data-selected'))
      .toBe('layer1/block0/conv1/Conv');
  });
});
