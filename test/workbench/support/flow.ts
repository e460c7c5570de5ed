import { cp, mkdir, mkdtemp, readFile, readdir, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { type Browser, type Page, chromium } from 'playwright-core';
import { afterAll, beforeAll, expect, inject, test } from 'vitest';
import { copyWritable } from '../../../scripts/copies.mjs';
import { root, workbenchUrl } from '../../../scripts/vscodeServer.mjs';
import { type Workbench, workbench } from './workbench.ts';

export interface Flow extends Workbench {
  /** The opened folder, on disk. */
  readonly folder: string;
  /** Keeps a picture of the whole window; numbered, in the order of the flow. */
  readonly picture: (what: string) => Promise<void>;
}

interface FlowOptions {
  /** Files copied into the opened folder: paths relative to the repository, and their names there. */
  readonly files: Readonly<Record<string, string>>;
  /** Settings of the opened folder. */
  readonly settings?: Readonly<Record<string, unknown>>;
}

const artifacts = path.join(root, 'test-artifacts');

let browser: Browser | undefined;

/** Connects a test file to the browser that serves all of them. */
export function useBrowser(): void {
  beforeAll(async () => {
    browser = await chromium.connect(inject('browserEndpoint'));
  });
  afterAll(async () => {
    await browser?.close();
  });
}

/**
 * A test in a workbench of its own: a fresh browser profile, a fresh folder with copies of `files`. Pictures go to
 * `test-artifacts/<flow>/`; a failure leaves one as well, and the server's logs.
 */
export function flow(name: string, options: FlowOptions, body: (flow: Flow) => Promise<void>): void {
  test(name, async () => {
    if (browser === undefined) {
      throw new Error('useBrowser() was not called in this file');
    }
    const folder = await openedFolder(options);
    const context = await browser.newContext({ viewport: { width: 1440, height: 900 }, colorScheme: 'dark' });
    const page = await context.newPage();
    page.setDefaultTimeout(30_000);
    const picture = pictures(page, slug(name));
    try {
      const bench = workbench(page);
      await start(page, bench, folder);
      await body({ ...bench, folder, picture });
    } catch (error) {
      await picture('failed');
      await cp(path.join(inject('temporary'), 'server/data/logs'), path.join(artifacts, slug(name), 'logs'), {
        recursive: true,
      });
      throw error;
    } finally {
      // Leaving the page ends its extension host; closing the window alone would leave it waiting for a reconnection.
      page.removeAllListeners('dialog');
      page.on('dialog', (dialog) => void dialog.accept());
      await page.goto('about:blank');
      await context.close();
    }
  });
}

/**
 * Opens the window and waits until its extension host has started: a file that is opened while contributions still come
 * in can open as text, although the view container is there already.
 */
async function start(page: Page, bench: Workbench, folder: string): Promise<void> {
  const before = await startedHosts();
  await page.goto(workbenchUrl(inject('serverPort'), { folder, extension: inject('extension') }));
  await expect.poll(startedHosts, { timeout: 60_000 }).toBeGreaterThan(before);
  await bench.ready();
}

/** Extension hosts of this server that have activated what starts eagerly, so far. */
async function startedHosts(): Promise<number> {
  const logs = path.join(inject('temporary'), 'server/data/logs');
  const names = await readdir(logs, { recursive: true }).catch(() => []);
  const hosts = names.filter((name) => path.basename(name) === 'remoteexthost.log');
  const texts = await Promise.all(hosts.map((name) => readFile(path.join(logs, name), 'utf8')));
  return texts.filter((text) => text.includes('Eager extensions activated')).length;
}

async function openedFolder(options: FlowOptions): Promise<string> {
  const folder = path.join(await mkdtemp(path.join(inject('temporary'), 'flow-')), 'models');
  await mkdir(folder);
  for (const [from, to] of Object.entries(options.files)) {
    await copyWritable(path.join(root, from), path.join(folder, to));
  }
  const settings = { 'workbench.colorTheme': 'Default Dark Modern', ...options.settings };
  await mkdir(path.join(folder, '.vscode'));
  await writeFile(path.join(folder, '.vscode/settings.json'), JSON.stringify(settings));
  return folder;
}

function pictures(page: Page, name: string): (what: string) => Promise<void> {
  let count = 0;
  return async (what) => {
    count++;
    await page.screenshot({ path: path.join(artifacts, name, `${count}-${slug(what)}.png`) });
  };
}

function slug(text: string): string {
  return text
    .toLowerCase()
    .replace(/[^a-z0-9]+/g, '-')
    .replace(/^-|-$/g, '');
}
