import type { Page } from 'playwright-core';
import { afterAll, afterEach, beforeAll, expect } from 'vitest';
import { artefacts, openStage, type Stage } from './browser.ts';

/** What a person does on the page and sees there. */
interface Person {
  /** Opens a page; it is closed after the test, which fails when the page reported an error. */
  readonly open: Stage['open'];
  /** Parameters of the calls that reached the host. */
  calls(method: string): Promise<unknown[]>;
  /** Boxes of the graph. */
  boxes(): Promise<number>;
  waitForBoxes(wanted: number): Promise<unknown>;
  /** Presses a button; the toolkit's are custom elements around their own button. */
  press(text: string, within?: string): Promise<void>;
  /** Shows a tab. */
  tab(id: string): Promise<void>;
  /** Chooses in a dropdown of the toolkit. */
  choose(label: string, text: string): Promise<void>;
  /** Puts the keyboard on the graph and walks to the first layer. */
  focusStem(): Promise<void>;
  /** Waits until the details are about this layer. */
  waitForDetails(heading: string): Promise<unknown>;
  waitForName(name: string): Promise<unknown>;
  picture(name: string): Promise<unknown>;
}

/** To be called at the top of a test file: starts Chromium once for it. */
export function startPerson(): Person {
  let stage: Stage;
  let page: Page;
  beforeAll(async () => {
    stage = await openStage();
  });
  afterEach(async () => {
    await page.close();
    expect(stage.errors.splice(0)).toEqual([]);
  });
  afterAll(() => stage.close());

  const waitForText = (selector: string, text: string) =>
    page.waitForFunction(([at, wanted]) => document.querySelector(at!)?.textContent === wanted, [
      selector,
      text,
    ] as const);
  const waitForDetails = (heading: string) => waitForText('.details h2', heading);
  return {
    async open(...options) {
      page = await stage.open(...options);
      return page;
    },
    calls: (method) =>
      page.evaluate(
        (name) => window.fakeHost.calls.filter((call) => call.method === name).map((call) => call.params),
        method,
      ),
    boxes: async () => Number(await page.locator('.graph-pane').getAttribute('data-boxes')),
    waitForBoxes: (wanted) =>
      page.waitForFunction(
        (n) => document.querySelector('.graph-pane')?.getAttribute('data-boxes') === String(n),
        wanted,
      ),
    press: (text, within = 'body') =>
      page.locator(`${within} vscode-button`, { hasText: text }).first().click(),
    tab: (id) => page.locator(`#tab-${id}`).click(),
    async choose(label, text) {
      const dropdown = page.locator(`vscode-dropdown[aria-label="${label}"]`);
      await dropdown.click();
      await dropdown.locator('vscode-option', { hasText: text }).first().click();
    },
    async focusStem() {
      await page.locator('.graph-canvas').last().focus();
      await page.keyboard.press('Home');
      await page.keyboard.press('ArrowDown');
      await waitForDetails('Conv');
    },
    waitForDetails,
    waitForName: (name) => waitForText('.details .name', name),
    picture: (name) => page.screenshot({ path: `${artefacts}/${name}.png` }),
  };
}
