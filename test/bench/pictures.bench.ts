// Pictures of every panel for docs/images: real models, four themes, 100 % and 200 %.
// Usage: npm run build && npm run bench -- pictures [folder, default docs/images/panels [names of pictures, default all]]
import { existsSync } from 'node:fs';
import { mkdir, writeFile } from 'node:fs/promises';
import path from 'node:path';
import type { Page } from 'playwright-core';
import { forkEngine } from '../../src/engine/client.ts';
import type { Engine } from '../../src/engine/protocol.ts';
import { openStage } from '../webview/support/browser.ts';

const [folder = 'docs/images/panels', ...wanted] = process.argv.slice(2);
const models = path.resolve('../shared/models');
const own = (name: string) => {
  const shared = path.join(models, 'own', `${name}.onnx`);
  return existsSync(shared) ? shared : path.resolve('samples/digits.onnx');
};
const themes = ['light', 'dark', 'hc-dark', 'hc-light'];

/** A picture: which model, what is done to the page first. */
interface Shot {
  readonly name: string;
  readonly options: Readonly<Record<string, string>>;
  readonly prepare: (page: Page) => Promise<void>;
}

const press = (page: Page, within: string, text: string) =>
  page.locator(`${within} vscode-button`, { hasText: text }).first().click();
const tab = (page: Page, id: string) => page.locator(`#tab-${id}`).click();
const choose = async (page: Page, label: string, text: string) => {
  const dropdown = page.locator(`vscode-dropdown[aria-label="${label}"]`);
  await dropdown.click();
  await dropdown.locator('vscode-option', { hasText: text }).first().click();
};
/** Selects a layer by a query. */
const find = async (page: Page, query: string) => {
  await page.locator('.search vscode-text-field input').fill(query);
  await page.locator('.search vscode-text-field input').press('Enter');
};

const resnet = { file: own('cifar_resnet'), device: 'stm32h743' };
const vit = { file: own('cifar_vit'), device: 'pi4' };
const digits = {
  file: path.resolve('samples/digits.onnx'),
  device: 'stm32h743',
  data: path.resolve('samples/digits-test.npz'),
};
/** A few steps, as a person who wants a smaller model takes them. */
const edited = async (page: Page) => {
  for (const pass of ['fuse', 'quantize-static'])
    await page.evaluate((id) => window.fakeHost.apply(id), pass);
  await page.waitForFunction(() => window.fakeHost.state().steps.length === 2 && window.fakeHost.idle());
};
const shots: readonly Shot[] = [
  { name: 'graph', options: resnet, prepare: async (page) => find(page, 'op:conv macs>2M') },
  {
    name: 'folded',
    options: vit,
    async prepare(page) {
      await choose(page, 'Overlay on the graph', 'Estimated time');
      await page.waitForSelector('.legend-ramp', { state: 'attached' });
    },
  },
  {
    name: 'layers',
    options: resnet,
    async prepare(page) {
      await page.locator('select[aria-label="Group the layers"]').selectOption('op');
      await page.locator('.table-group').first().waitFor();
    },
  },
  {
    name: 'weights',
    options: resnet,
    async prepare(page) {
      await tab(page, 'weights');
      await page.locator('#view-weights .link').click();
      await page.waitForSelector('.values td');
      await page.locator('.heat-map').focus();
      for (let i = 0; i < 4; i++) await page.keyboard.press('ArrowDown');
    },
  },
  {
    name: 'compare',
    options: { ...resnet, file: own('cifar_resnet_folded'), other: own('cifar_resnet') },
    async prepare(page) {
      await tab(page, 'compare');
      await press(page, '#view-compare', 'With another file');
      await page.waitForSelector('.other-side .graph-canvas');
      await page.locator('vscode-button[aria-label="Next difference"]').click();
    },
  },
  {
    name: 'memory',
    options: resnet,
    async prepare(page) {
      await tab(page, 'memory');
      await page.waitForSelector('.chart');
    },
  },
  {
    name: 'roofline',
    options: { ...resnet, device: 'pi4' },
    async prepare(page) {
      await tab(page, 'roofline');
      await page.waitForSelector('.roof-point');
    },
  },
  {
    name: 'benchmark',
    options: digits,
    async prepare(page) {
      await edited(page);
      await tab(page, 'benchmark');
      await press(page, '#view-benchmark', 'Run benchmark');
      await page.waitForSelector('#view-benchmark .bars', { timeout: 60_000 });
    },
  },
  {
    name: 'optimize',
    options: digits,
    async prepare(page) {
      await tab(page, 'optimize');
      await press(page, '#view-optimize', 'Try recipes');
      await page.waitForSelector('.candidates', { timeout: 300_000 });
    },
  },
  {
    name: 'recipe',
    options: digits,
    async prepare(page) {
      await edited(page);
      await tab(page, 'recipe');
      await page.waitForSelector('#view-recipe li');
    },
  },
  {
    name: 'menu',
    options: resnet,
    async prepare(page) {
      await find(page, 'op:conv macs>2M');
      await page.locator('.graph-canvas').focus();
      await page.keyboard.press('Shift+F10');
      await page.waitForSelector('.menu button');
      await page.waitForSelector('.menu-wait', { state: 'detached' });
    },
  },
  {
    name: 'search',
    options: vit,
    async prepare(page) {
      await page.locator('.search vscode-text-field').click();
      await page.keyboard.type('macs>100k op:');
      await page.waitForSelector('.suggestion');
      await page.keyboard.press('ArrowDown');
    },
  },
];

/** Chromium writes WebP, a third of the size of a PNG. */
async function webp(page: Page): Promise<Buffer> {
  const png = (await page.screenshot()).toString('base64');
  const text = await page.evaluate(async (data) => {
    const bytes = Uint8Array.from(atob(data), (letter) => letter.charCodeAt(0));
    const picture = await createImageBitmap(new Blob([bytes], { type: 'image/png' }));
    const canvas = new OffscreenCanvas(picture.width, picture.height);
    canvas.getContext('2d')?.drawImage(picture, 0, 0);
    const blob = await canvas.convertToBlob({ type: 'image/webp', quality: 0.75 });
    let letters = '';
    for (const byte of new Uint8Array(await blob.arrayBuffer())) letters += String.fromCharCode(byte);
    return btoa(letters);
  }, png);
  return Buffer.from(text, 'base64');
}

/** What takes long is asked once, not for each theme and size. */
function remembering(engine: Engine): Engine {
  const answers = new Map<string, ReturnType<Engine['call']>>();
  return {
    call(method, params, options) {
      if (method !== 'optimize' && method !== 'bench') return engine.call(method, params, options);
      const key = JSON.stringify([method, params]);
      const answer =
        (answers.get(key) as ReturnType<typeof engine.call<typeof method>>) ??
        engine.call(method, params, options);
      answers.set(key, answer as ReturnType<Engine['call']>);
      return answer;
    },
    dispose: () => engine.dispose(),
  };
}

const stage = await openStage(remembering(forkEngine({ modulePath: path.resolve('dist/engine.cjs') })));
try {
  for (const { name, options, prepare } of shots) {
    if (wanted.length > 0 && !wanted.includes(name)) continue;
    for (const theme of themes) {
      for (const [zoom, size] of [
        ['100', { width: 1280, height: 800 }],
        ['200', { width: 640, height: 400 }],
      ] as const) {
        const page = await stage.open({ ...options, theme }, size);
        await page.waitForFunction(() =>
          document.querySelector('.headline')?.textContent?.includes('params'),
        );
        await prepare(page);
        await page.evaluate(
          () => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done))),
        );
        // The motion of boxes has ended when the camera's picture stays.
        await page.waitForTimeout(400);
        const file = path.join(folder, `${name}-${theme}${zoom === '200' ? '-200' : ''}.webp`);
        await mkdir(path.dirname(file), { recursive: true });
        await writeFile(file, await webp(page));
        await page.close();
      }
    }
    console.log(name);
  }
  if (stage.errors.length > 0) throw new Error(stage.errors.join('\n'));
} finally {
  await stage.close();
}
