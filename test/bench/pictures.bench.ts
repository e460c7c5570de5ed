// Pictures of every panel for docs/images: real models, four themes, 100 % and 200 %.
// Usage: npm run bench -- pictures [folder, default docs/images/panels]
import { existsSync } from 'node:fs';
import { mkdir, writeFile } from 'node:fs/promises';
import path from 'node:path';
import type { Page } from 'playwright-core';
import { openStage } from '../webview/support/browser.ts';

const folder = process.argv[2] ?? 'docs/images/panels';
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

const stage = await openStage();
try {
  for (const { name, options, prepare } of shots) {
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
