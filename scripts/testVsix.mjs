// `npm run test:vsix`: installs the packaged extension, as a person would, into the oldest and the newest VS Code that it
// supports, opens a model of both formats and waits for the graph. The newest needs Node 24, which npm carries as well.
import { existsSync } from 'node:fs';
import { cp, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { chromium } from 'playwright-core';
import { chromiumArguments, ensureChromium } from './chromium.mjs';
import { packageFor } from './package.mjs';
import { run } from './processes.mjs';
import { installExtension, root, startServer, tools } from './vscodeServer.mjs';

const NEWEST = '4.139.1';
const MODELS = {
  'digits.onnx': 'samples/digits.onnx',
  'digits.tflite': 'samples/digits.tflite',
};

async function ensureNode24() {
  const name = `node-${process.platform === 'win32' ? 'win' : process.platform}-${process.arch}`;
  const home = path.join(tools, 'node-24');
  const binary = path.join(
    home,
    'node_modules',
    name,
    process.platform === 'win32' ? 'bin/node.exe' : 'bin/node',
  );
  if (!existsSync(binary)) {
    await mkdir(home, { recursive: true });
    await writeFile(path.join(home, 'package.json'), '{ "private": true }\n');
    const options = ['--ignore-scripts', '--no-audit', '--no-fund', '--loglevel=error'];
    await run('npm', ['install', `${name}@24`, ...options], {
      cwd: home,
      shell: process.platform === 'win32',
    });
  }
  return binary;
}

/** Installs the package into a fresh server and opens every model. Returns how many of the checks passed. */
async function openModels(file, runtime) {
  const temporary = await mkdtemp(path.join(tmpdir(), 'kerf-vsix-'));
  const dataDir = path.join(temporary, 'server');
  const folder = path.join(temporary, 'models');
  await mkdir(dataDir);
  await mkdir(folder);
  for (const [name, from] of Object.entries(MODELS)) {
    await cp(path.join(root, from), path.join(folder, name));
  }
  await installExtension({ file, dataDir, ...runtime });
  const server = await startServer({ dataDir, ...runtime });
  const browser = await chromium.launch({ executablePath: await ensureChromium(), args: chromiumArguments });
  const page = await browser.newPage({ viewport: { width: 1440, height: 900 } });
  const pictures = path.join(root, 'test-artifacts', `vsix-${runtime.version}`);
  try {
    await page.goto(server.url({ folder }));
    await page.locator('.activitybar a.action-label[aria-label^="Kerf"]').waitFor({ timeout: 120_000 });
    let opened = 0;
    for (const model of Object.keys(MODELS)) {
      opened += await opens(page, model);
      await page.screenshot({ path: path.join(pictures, `${model}.png`) });
    }
    if (runtime.version === NEWEST) opened += await offersServer(page, pictures);
    return opened;
  } finally {
    await browser.close();
    await server.stop();
    await rm(temporary, { recursive: true, force: true });
  }
}

/** Editors from 1.101 on list the MCP servers that extensions bring. */
async function offersServer(page, pictures) {
  await page.keyboard.press('F1');
  const input = page.locator('.quick-input-widget');
  await input.locator('input[type="text"]').fill('>MCP: List Servers');
  try {
    await input.getByRole('option').filter({ hasText: 'MCP: List Servers' }).first().click();
    await input.getByRole('option').filter({ hasText: 'Kerf' }).first().waitFor({ timeout: 30_000 });
    return 1;
  } catch (error) {
    console.error(`MCP server: ${error.message}`);
    return 0;
  } finally {
    await page.screenshot({ path: path.join(pictures, 'mcp.png') });
  }
}

async function opens(page, model) {
  await page.locator('.explorer-folders-view').getByRole('treeitem', { name: model, exact: true }).dblclick();
  const webview = page.locator('iframe.webview.ready').locator('visible=true').last().contentFrame();
  try {
    await webview
      .locator('#active-frame')
      .contentFrame()
      .locator('canvas')
      .first()
      .waitFor({ timeout: 60_000 });
    return 1;
  } catch (error) {
    console.error(`${model}: ${error.message}`);
    return 0;
  }
}

/** Every model opens; the newest lists the MCP server as well. */
function expected({ version }) {
  return Object.keys(MODELS).length + (version === NEWEST ? 1 : 0);
}

const [file] = await packageFor([`${process.platform}-${process.arch}`]);
const runtimes = [
  { version: '4.100.3', node: process.execPath },
  { version: NEWEST, node: await ensureNode24() },
];
let passed = 0;
for (const runtime of runtimes) {
  const opened = await openModels(file, runtime);
  console.log(`code-server ${runtime.version}: ${opened} of ${expected(runtime)} checks passed`);
  passed += opened;
}
const failed = runtimes.reduce((sum, runtime) => sum + expected(runtime), 0) - passed;
console.log(`${passed} passed, ${failed} failed`);
process.exitCode = failed > 0 ? 1 : 0;
