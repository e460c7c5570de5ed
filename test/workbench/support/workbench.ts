import type { Locator, Page } from 'playwright-core';
import { expect } from 'vitest';
import { type ModelEditor, modelEditor } from './modelEditor.ts';

/** The workbench as a person sees it. Everything waits for a condition; nothing waits for time. */
export interface Workbench {
  readonly page: Page;
  /** Until the extension's contributions are there; files opened earlier would open as text. */
  ready(): Promise<void>;
  /** The row of a file in the explorer. */
  file(name: string): Locator;
  /** Opens a model from the explorer and waits until its graph is drawn. */
  openModel(name: string): Promise<ModelEditor>;
  tab(name: string): Locator;
  isDirty(name: string): Promise<boolean>;
  /** Runs a command by its title. */
  command(title: string): Promise<void>;
  /** Chooses an entry of the quick pick that is open. */
  pick(entry: string | RegExp): Promise<void>;
  /** Waits for a message and returns it. */
  message(text: string | RegExp): Promise<Locator>;
  /** Opens the Problems panel and returns the rows that contain `text`. */
  problems(text: string | RegExp): Promise<Locator>;
  /** Right-clicks and chooses an entry of the menu. */
  contextMenu(target: Locator, entry: string | RegExp): Promise<void>;
  /** The modal dialog that is open; chooses one of its buttons. */
  answer(button: string | RegExp): Promise<void>;
  /** The text editor that is in front. */
  textEditor(): Locator;
  /** Loads the window again when unsaved changes would come back. */
  reload(): Promise<void>;
}

export function workbench(page: Page): Workbench {
  const explorer = page.locator('.explorer-folders-view');
  const quickInput = page.locator('.quick-input-widget');

  const bench: Workbench = {
    page,
    async ready() {
      await page.locator('.monaco-workbench').waitFor({ timeout: 60_000 });
      await page.locator('.activitybar a.action-label[aria-label^="Kerf"]').waitFor({ timeout: 60_000 });
    },
    file: (name) => explorer.getByRole('treeitem', { name, exact: true }),
    async openModel(name) {
      await bench.file(name).dblclick();
      await bench.tab(name).waitFor();
      const editor = modelEditor(page);
      await editor.ready();
      // The page takes the focus when it is loaded; a quick pick opened before that would be dismissed by it.
      await expect.poll(() => page.evaluate(() => document.activeElement?.tagName)).toBe('IFRAME');
      return editor;
    },
    tab: (name) => page.locator('.tabs-container .tab').filter({ hasText: name }),
    async isDirty(name) {
      return ((await bench.tab(name).first().getAttribute('class')) ?? '').split(' ').includes('dirty');
    },
    async command(title) {
      await page.keyboard.press('F1');
      const input = quickInput.locator('input[type="text"]');
      await input.fill(`>${title}`);
      const label = page.locator('.label-name').getByText(title, { exact: true });
      await quickInput.getByRole('option').filter({ has: label }).first().click();
    },
    async pick(entry) {
      await quickInput.getByRole('option').filter({ hasText: entry }).first().click();
    },
    async message(text) {
      const toast = page.locator('.notification-toast').filter({ hasText: text }).first();
      const shown = await toast.waitFor({ timeout: 5000 }).then(
        () => true,
        () => false,
      );
      if (shown) return toast;
      // Of two messages at once only one may be shown; the list keeps both.
      await this.command('Notifications: Show Notifications');
      const entry = page.locator('.notifications-center .notification-list-item').filter({ hasText: text });
      await entry.first().waitFor({ timeout: 60_000 });
      return entry.first();
    },
    async problems(text) {
      const panel = page.locator('.markers-panel');
      if (!(await panel.isVisible())) {
        await page.keyboard.press('Control+Shift+M');
        await panel.waitFor();
      }
      const rows = panel.locator('.monaco-list-row').filter({ hasText: text });
      await rows.first().waitFor();
      return rows;
    },
    async contextMenu(target, entry) {
      await target.click({ button: 'right' });
      const item = page.getByRole('menuitem', { name: entry }).first();
      await item.waitFor();
      // A menu ignores a click that comes with its opening, so that a slow right click chooses nothing.
      await expect
        .poll(
          async () => {
            await item.click({ timeout: 2000 }).catch(() => undefined);
            return item.isVisible();
          },
          { timeout: 30_000 },
        )
        .toBe(false);
    },
    async answer(button) {
      await page.locator('.monaco-dialog-box').getByRole('button', { name: button }).click();
    },
    textEditor: () => page.locator('.editor-group-container.active .monaco-editor').first(),
    reload: () => reloadWhenBackedUp(page, bench),
  };
  return bench;
}

/**
 * The workbench writes down once a minute which editors are open and where their backups are. It also does when it is
 * left, but a browser does not wait for that; so the page is loaded again when the backup has been written down.
 */
async function reloadWhenBackedUp(page: Page, bench: Workbench): Promise<void> {
  await expect.poll(() => page.evaluate(hasStoredBackup), { timeout: 150_000, interval: 500 }).toBe(true);
  await page.reload();
  await bench.ready();
}

/** Runs in the page: whether the stored state of the workbench names the backup of an editor. */
async function hasStoredBackup(): Promise<boolean> {
  const request = <T>(asked: IDBRequest<T>): Promise<T> =>
    new Promise((resolve, reject) => {
      asked.addEventListener('success', () => resolve(asked.result));
      asked.addEventListener('error', () => reject(asked.error ?? new Error('the database did not answer')));
    });
  for (const { name } of await indexedDB.databases()) {
    if (name?.startsWith('vscode-web-state-db-') !== true) {
      continue;
    }
    const database = await request(indexedDB.open(name));
    const values = await request<unknown[]>(
      database.transaction('ItemTable').objectStore('ItemTable').getAll(),
    );
    database.close();
    if (values.some((value) => typeof value === 'string' && value.includes('backupId'))) {
      return true;
    }
  }
  return false;
}
