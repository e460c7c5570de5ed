import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { chromium } from 'playwright-core';
import type { TestProject } from 'vitest/node';
import { chromiumArguments, ensureChromium } from '../../../scripts/chromium.mjs';
import { startServer } from '../../../scripts/vscodeServer.mjs';

declare module 'vitest' {
  export interface ProvidedContext {
    readonly serverPort: number;
    readonly extension: string;
    readonly browserEndpoint: string;
    readonly temporary: string;
  }
}

/** Auto save would save every edit after a second and hide what unsaved changes do. */
const settings = {
  'files.autoSave': 'off',
  'extensions.ignoreRecommendations': true,
  'git.enabled': false,
  'workbench.reduceMotion': 'on',
  'files.exclude': { '**/.vscode': true },
};

/** One VS Code server and one browser for all flows. */
export async function setup(project: TestProject): Promise<() => Promise<void>> {
  const temporary = await mkdtemp(path.join(tmpdir(), 'kerf-workbench-'));
  const server = await startServer({ dataDir: path.join(temporary, 'server'), settings });
  const browser = await chromium.launchServer({
    executablePath: await ensureChromium(),
    args: [...chromiumArguments],
  });
  project.provide('serverPort', server.port);
  project.provide('extension', server.extension);
  project.provide('browserEndpoint', browser.wsEndpoint());
  project.provide('temporary', temporary);
  return async () => {
    await browser.close();
    await server.stop();
    await rm(temporary, { recursive: true, force: true });
  };
}
