// The first picture and edits of a large model in a real VS Code (the server and workbench of `npm run try`), in Chromium
// without a GPU: extension host, engine and page as a person has them, by the page's own clock. Each round opens another
// copy of the file in the same window, edits it as it opens (folded), takes the edit back, unfolds everything and edits
// again. Usage: npm run build && npm run bench -- inCode [layers, default 10000] [rounds, default 3]
import { mkdir, mkdtemp, readFile, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { type Frame, type Page, chromium } from 'playwright-core';
import { chromiumArguments, ensureChromium } from '../../scripts/chromium.mjs';
import { startServer } from '../../scripts/vscodeServer.mjs';
import { writeModelFile } from '../../src/formats/io/models.ts';
import { residualNetwork } from './support/residualNetwork.ts';

const layers = Number(process.argv[2] ?? 10_000);
const rounds = Number(process.argv[3] ?? 3);

type Times = Readonly<Record<string, number>>;

/** The frame of the page that is in front. */
async function frameOf(page: Page): Promise<Frame> {
  const outer = page.locator('iframe.webview.ready').locator('visible=true').last();
  const inner = await (await outer.elementHandle())!.contentFrame();
  const active = await inner!.waitForSelector('#active-frame', { state: 'attached' });
  return (await active.contentFrame())!;
}

const drawn = (frame: Frame) =>
  frame.waitForFunction(() => performance.getEntriesByName('kerf:picture').length > 0, undefined, {
    timeout: 120_000,
  });

/** Nothing is asked of the engine any more: the compressed size is the last thing that is. */
const settled = (frame: Frame) =>
  frame.waitForFunction(() => {
    const text = document.querySelector('.details-content, .headline')?.ownerDocument.body.textContent ?? '';
    return text.includes('params') && !/computing…|Looking for findings|Reading the model/.test(text);
  });

/** From the page's first call to its first picture. */
function opening(frame: Frame): Promise<Times> {
  return frame.evaluate(() => {
    const at = (name: string) => performance.getEntriesByName(name)[0]!.startTime;
    return {
      'page loads': at('kerf:ready'),
      'graph comes': at('kerf:graph') - at('kerf:ready'),
      picture: at('kerf:picture') - at('kerf:graph'),
      'from ready to picture': at('kerf:picture') - at('kerf:ready'),
    };
  });
}

/** From the click on the form's button to the new picture. */
function edit(frame: Frame): Promise<Times> {
  return frame.evaluate(async () => {
    const buttons = [...document.querySelectorAll<HTMLElement>('details.pass')]
      .filter((card) => card.querySelector('summary')?.textContent?.startsWith('Simplify') === true)
      .map((card) => card.querySelector<HTMLElement>('vscode-button, button'));
    const pictures = () => performance.getEntriesByName('kerf:picture');
    const former = pictures().length;
    let told = Number.NaN;
    const listen = ({ data }: MessageEvent<{ kind?: string; notice?: string }>) => {
      if (data.kind === 'notice' && data.notice === 'changed' && Number.isNaN(told)) told = performance.now();
    };
    window.addEventListener('message', listen);
    const begin = performance.now();
    buttons[0]!.click();
    await new Promise<void>((done) => {
      const look = () => (pictures().length > former ? done() : setTimeout(look, 1));
      look();
    });
    window.removeEventListener('message', listen);
    const graph = performance.getEntriesByName('kerf:graph').at(-1)!.startTime;
    const picture = pictures().at(-1)!.startTime;
    return {
      'pass, until the page is told': told - begin,
      'graph comes': graph - told,
      'layout and picture': picture - graph,
      together: picture - begin,
    };
  });
}

async function undo(page: Page, frame: Frame): Promise<void> {
  const pictures = await frame.evaluate(() => performance.getEntriesByName('kerf:picture').length);
  await frame.locator('.graph-canvas').first().focus();
  await page.keyboard.press('Control+z');
  await frame.waitForFunction(
    (former) => performance.getEntriesByName('kerf:picture').length > former,
    pictures,
  );
}

async function unfold(frame: Frame): Promise<void> {
  const level = frame.locator('vscode-dropdown[aria-label="Fold level"]');
  await level.click();
  await level.locator('vscode-option', { hasText: 'All' }).first().click();
  await frame.waitForFunction(
    (least) => Number(document.querySelector('.graph-pane')?.getAttribute('data-boxes')) > least,
    0.9 * layers,
  );
}

function show(title: string, runs: readonly Times[]): void {
  const total = Object.keys(runs[0]!).at(-1)!;
  const sorted = [...runs].sort((a, b) => a[total]! - b[total]!);
  const best = Object.entries(sorted[0]!).map(([name, ms]) => `${name} ${ms.toFixed(0)}`);
  console.log(
    `  ${title.padEnd(44)} best: ${best.join(', ')}; median ${sorted[runs.length >> 1]![total]!.toFixed(0)} ms of ${runs.length}`,
  );
}

/** The extension host has started: a file that is opened while contributions still come in can open as text. */
async function hostStarted(logs: string): Promise<boolean> {
  const names = await readdir(logs, { recursive: true }).catch(() => []);
  const hosts = names.filter((name) => path.basename(name) === 'remoteexthost.log');
  const texts = await Promise.all(hosts.map((name) => readFile(path.join(logs, name), 'utf8')));
  return texts.some((text) => text.includes('Eager extensions activated'));
}

const temporary = await mkdtemp(path.join(tmpdir(), 'kerf-bench-'));
const folder = path.join(temporary, 'models');
const dataDir = path.join(temporary, 'server');
await mkdir(folder);
await mkdir(dataDir);
const names = Array.from({ length: rounds }, (_, i) => `network${i}.onnx`);
for (const name of names)
  await writeModelFile(residualNetwork(layers, { redundant: true }), path.join(folder, name));
const settings = { 'files.autoSave': 'off', 'git.enabled': false, 'workbench.reduceMotion': 'on' };
const server = await startServer({ dataDir, settings });
const browser = await chromium.launch({
  executablePath: await ensureChromium(),
  args: [...chromiumArguments, '--disable-gpu'],
});
try {
  const page = await browser.newPage({ viewport: { width: 1440, height: 900 } });
  page.setDefaultTimeout(120_000);
  await page.goto(server.url({ folder, extension: server.extension }));
  await page.locator('.monaco-workbench').waitFor();
  while (!(await hostStarted(path.join(dataDir, 'data/logs')))) await page.waitForTimeout(200);
  await page.locator('.activitybar a.action-label[aria-label^="Kerf"]').waitFor();
  const results: Record<string, Times[]> = { open: [], first: [], second: [], unfolded: [] };
  for (const name of names) {
    await page.locator('.explorer-folders-view').getByRole('treeitem', { name, exact: true }).dblclick();
    await page.locator('.tabs-container .tab.active').filter({ hasText: name }).waitFor();
    const frame = await frameOf(page);
    await drawn(frame);
    await settled(frame);
    results['open']!.push(await opening(frame));
    results['first']!.push(await edit(frame));
    await settled(frame);
    await undo(page, frame);
    await settled(frame);
    await unfold(frame);
    results['unfolded']!.push(await edit(frame));
    await settled(frame);
    await page.keyboard.press('Control+s');
    await page.locator('.tabs-container .tab.active:not(.dirty)').waitFor();
  }
  console.log(`${layers} layers in VS Code, milliseconds by the page's clock`);
  show('from the page being ready to the picture', results['open']!);
  show('first edit, folded', results['first']!);
  show('the same edit again, everything unfolded', results['unfolded']!);
} finally {
  await browser.close();
  await server.stop();
  await rm(temporary, { recursive: true, force: true });
}
