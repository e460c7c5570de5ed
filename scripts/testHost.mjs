// Runs test/host inside a real extension host: VS Code's server, with Chromium as its window.
import { existsSync } from 'node:fs';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import esbuild from 'esbuild';
import { chromium } from 'playwright-core';
import { chromiumArguments, ensureChromium } from './chromium.mjs';
import { until } from './processes.mjs';
import { root, startServer } from './vscodeServer.mjs';
import { copyWritable } from './copies.mjs';

const MINUTES = 10;

/** Bundles the suite, runs it, and returns its outcomes: `[{ title, error? }]`. */
export async function runHostTests() {
  const bundle = path.join(root, '.cache/host/index.cjs');
  await bundleHostTests(bundle);
  const temporary = await mkdtemp(path.join(tmpdir(), 'kerf-host-'));
  const folder = path.join(temporary, 'models');
  await copyWritable(path.join(root, 'samples'), folder);
  const result = path.join(temporary, 'result.json');
  const executablePath = await ensureChromium();
  const server = await startServer({
    dataDir: path.join(temporary, 'server'),
    settings: { 'files.autoSave': 'off', 'git.enabled': false },
    env: { KERF_HOST_RESULT: result },
  });
  const browser = await chromium.launch({ executablePath, args: chromiumArguments });
  try {
    const page = await browser.newPage();
    await page.goto(server.url({ folder, extension: server.extension, tests: bundle }));
    await until('The extension host tests end', MINUTES * 60, () => existsSync(result) && hasEnded(result));
    return JSON.parse(await readFile(result, 'utf8'));
  } catch (error) {
    throw new Error(`${error.message}\n${(await readFile(server.logFile, 'utf8')).slice(-4000)}`, {
      cause: error,
    });
  } finally {
    await browser.close();
    await server.stop();
    await rm(temporary, { recursive: true, force: true });
  }
}

/** The file is written in one go, but it may be seen before its end is there. */
async function hasEnded(file) {
  return (await readFile(file, 'utf8')).endsWith(']');
}

/** One CommonJS file; `mocha` stays outside and is found in the repository's node_modules. */
export function bundleHostTests(outfile) {
  return esbuild.build({
    entryPoints: [path.join(root, 'test/host/index.ts')],
    outfile,
    bundle: true,
    platform: 'node',
    format: 'cjs',
    target: 'node20',
    external: ['vscode', 'mocha'],
    sourcemap: 'inline',
    logLevel: 'warning',
  });
}

/** Prints outcomes and returns their counts. */
export function report(outcomes) {
  for (const { title, error } of outcomes) {
    console.log(error ? `  ✗ ${title}\n${error.replace(/^/gm, '      ')}` : `  ✓ ${title}`);
  }
  const failed = outcomes.filter(({ error }) => error !== undefined).length;
  return { passed: outcomes.length - failed, failed };
}

if (process.argv[1] === path.join(root, 'scripts/testHost.mjs')) {
  await main(process.argv.includes('--bundle-only'));
}

/** With `bundleOnly`, what the debugger's launch configuration expects is prepared and nothing runs. */
async function main(bundleOnly) {
  if (bundleOnly) {
    await bundleHostTests(path.join(root, '.cache/host/index.cjs'));
    await copyWritable(path.join(root, 'samples'), path.join(root, '.cache/host/models'));
    return;
  }
  const { passed, failed } = report(await runHostTests());
  console.log(`${passed} passed, ${failed} failed`);
  process.exitCode = failed > 0 ? 1 : 0;
}
