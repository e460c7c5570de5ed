import type { Page } from 'playwright-core';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { artefacts, openStage, type Stage } from './support/browser.ts';
import { themes } from './support/themes.ts';

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

const calls = (method: string) =>
  page.evaluate(
    (name) => window.fakeHost.calls.filter((call) => call.method === name).map((call) => call.params),
    method,
  );
const boxes = async () => Number(await page.locator('.graph-pane').getAttribute('data-boxes'));
const waitForBoxes = (wanted: number) =>
  page.waitForFunction(
    (n) => document.querySelector('.graph-pane')?.getAttribute('data-boxes') === String(n),
    wanted,
  );
const details = () => page.locator('.details');
const status = () => page.locator('.status-words');
const picture = (name: string) => page.screenshot({ path: `${artefacts}/${name}.png` });
/** A toolkit button is a custom element around its own button. */
const press = (text: string, within = 'body') =>
  page.locator(`${within} vscode-button`, { hasText: text }).first().click();
const tab = (id: string) => page.locator(`#tab-${id}`).click();
/** Chooses in a toolkit dropdown as a person does. */
const choose = async (label: string, text: string) => {
  await page.locator(`vscode-dropdown[aria-label="${label}"]`).click();
  await page
    .locator(`vscode-dropdown[aria-label="${label}"] vscode-option`, { hasText: text })
    .first()
    .click();
};
/** Puts the keyboard on the graph and walks to the first layer. */
const focusGraph = async () => {
  await page.locator('.graph-canvas').focus();
  await page.keyboard.press('Home');
};
const focusStem = async () => {
  await focusGraph();
  await page.keyboard.press('ArrowDown');
  await page.waitForFunction(() => document.querySelector('.details h2')?.textContent === 'Conv');
};

describe('opening', () => {
  it('a small model opens unfolded, with its numbers', async () => {
    page = await stage.open({ model: 'resnet' });
    expect(await boxes()).toBe(54);
    expect(await page.locator('.headline').textContent()).toContain('272 k params · 40.8 MMAC');
    expect(await page.locator('.meter.over').count()).toBe(1);
    expect(await page.locator('.meter').first().getAttribute('aria-valuetext')).toBe('File 1.09 MB of 1 MB');
  });

  it('a large model opens folded and unfolds in the worker', async () => {
    page = await stage.open({ model: 'large', size: '3000' });
    expect(await boxes()).toBeLessThan(60);
    await choose('Fold level', 'All layers');
    await page.waitForFunction(
      () => Number(document.querySelector('.graph-pane')?.getAttribute('data-boxes')) > 2900,
    );
    await page.locator('.graph-canvas').focus();
    await page.keyboard.press('9');
    await picture('overview');
  });

  it('a model without name scopes is folded to its repeated blocks', async () => {
    page = await stage.open({ model: 'flat' });
    expect(await boxes()).toBeLessThan(30);
    await page.locator('.search vscode-text-field').click();
    await page.keyboard.type('layer.7_ffn_Gelu');
    await page.keyboard.press('Enter');
    await page.waitForFunction(() => document.querySelector('.details h2')?.textContent === 'Gelu');
    expect(await boxes()).toBeGreaterThan(30);
  });

  it('an empty model says so', async () => {
    page = await stage.open({ model: 'empty' });
    expect(await page.locator('.graph-notice').textContent()).toContain('no layers');
  });

  it('an untrusted workspace looks but does not run', async () => {
    page = await stage.open({ trusted: 'no' });
    await tab('benchmark');
    expect(await page.locator('#view-benchmark').textContent()).toContain('not trusted');
    expect(
      await page.locator('#view-benchmark vscode-button').first().getAttribute('disabled'),
    ).not.toBeNull();
  });
});

describe('one selection everywhere', () => {
  it('the keyboard walks along edges, and the table and details follow', async () => {
    page = await stage.open();
    await focusStem();
    expect(await details().locator('.name').textContent()).toBe('stem/Conv');
    await page.waitForSelector('.table-row.selected');
    expect(await page.locator('.table-row.selected').textContent()).toContain('stem/Conv');
    expect(await page.locator('.status > .hidden-text').textContent()).toContain(
      'Conv stem/Conv, output 1×16×32×32',
    );
    await page.keyboard.press('ArrowDown');
    await page.waitForFunction(() => document.querySelector('.details .name')?.textContent === 'stem/Relu');
    expect((await calls('select')).at(-1)).toEqual({ layer: 'stem/Relu' });
  });

  it('a click on a box selects it; a click beside everything clears', async () => {
    page = await stage.open();
    const canvas = page.locator('.graph-canvas');
    const { width } = (await canvas.boundingBox())!;
    await canvas.click({ position: { x: width / 2, y: 45 } });
    await page.waitForFunction(() => document.querySelector('.details h2')?.textContent === 'Graph input');
    await canvas.click({ position: { x: 20, y: 200 } });
    await page.waitForFunction(() => document.querySelector('.details h2')?.textContent === 'Model');
  });

  it('a row of the table selects in the graph; another view selects in both', async () => {
    page = await stage.open();
    await page.locator('.table-row', { hasText: 'layer1/block0/Add' }).click();
    await page.waitForFunction(
      () => document.querySelector('.details .name')?.textContent === 'layer1/block0/Add',
    );
    await page.evaluate(() => window.fakeHost.notify({ notice: 'select', layer: 'layer3/block2/Add' }));
    await page.waitForFunction(
      () => document.querySelector('.details .name')?.textContent === 'layer3/block2/Add',
    );
    await page.waitForFunction(() =>
      document.querySelector('.table-row.selected')?.textContent?.includes('layer3/block2/Add'),
    );
  });

  it('peers are links', async () => {
    page = await stage.open();
    await focusStem();
    await details().getByRole('button', { name: 'stem/Relu' }).click();
    await page.waitForFunction(() => document.querySelector('.details .name')?.textContent === 'stem/Relu');
  });
});

describe('folding', () => {
  it('Enter unfolds a group in place and Backspace folds it again', async () => {
    page = await stage.open({ model: 'transformer' });
    const before = await boxes();
    await page.evaluate(() =>
      window.fakeHost.notify({ notice: 'select', layer: 'encoder/layer.3/ffn/Gelu' }),
    );
    await page.waitForFunction(() => document.querySelector('.details h2')?.textContent === 'Gelu');
    await page.locator('.graph-canvas').focus();
    await page.keyboard.press('Enter');
    await waitForBoxes(before + 4);
    await picture('unfolded');
    await page.keyboard.press('Backspace');
    await waitForBoxes(before);
    expect(await details().locator('h2').textContent()).toBe('ffn');
  });

  it('remembers folds, camera, selection, overlay and panes when the page comes back', async () => {
    page = await stage.open({ model: 'transformer' });
    const before = await boxes();
    await page.evaluate(() =>
      window.fakeHost.notify({ notice: 'select', layer: 'encoder/layer.3/ffn/Gelu' }),
    );
    await page.waitForFunction(() => document.querySelector('.details h2')?.textContent === 'Gelu');
    await page.locator('.graph-canvas').focus();
    await page.keyboard.press('Enter');
    await waitForBoxes(before + 4);
    await choose('Overlay on the graph', 'MACs');
    await page.locator('.sash-right').focus();
    await page.keyboard.press('ArrowLeft');
    const width = (await page.locator('.pane-right').boundingBox())!.width;
    await page.waitForFunction(() =>
      JSON.stringify(window.fakeHost.remembered()).includes('"overlay":"macs"'),
    );
    const camera = await page.evaluate(() => (window.fakeHost.remembered() as { camera: unknown }).camera);
    await page.reload();
    await waitForBoxes(before + 4);
    await page.waitForFunction(() => document.querySelector('.details h2')?.textContent === 'Gelu');
    expect((await page.locator('.pane-right').boundingBox())!.width).toBeCloseTo(width, 0);
    expect(await page.locator('.legend').textContent()).toContain('MACs');
    expect(await page.evaluate(() => (window.fakeHost.remembered() as { camera: unknown }).camera)).toEqual(
      camera,
    );
  });
});

describe('panes', () => {
  it('fold away and stay folded when the page comes back', async () => {
    page = await stage.open();
    const layers = page.locator('#view-layers');
    await page.locator('vscode-button[aria-label="Show or hide the lower panel"]').click();
    await layers.waitFor({ state: 'hidden' });
    await page.locator('.sash-right').dblclick();
    await details().waitFor({ state: 'hidden' });
    await page.waitForFunction(
      () => JSON.stringify(window.fakeHost.remembered()).split('"open":false').length === 3,
    );
    await page.reload();
    await waitForBoxes(54);
    expect(await layers.isVisible()).toBe(false);
    expect(await details().isVisible()).toBe(false);
    // Whatever needs the lower panel opens it.
    await press('Optimize for device');
    await page.locator('#view-optimize').waitFor();
  });
});

describe('search', () => {
  it('counts, walks and clears', async () => {
    page = await stage.open();
    const field = page.locator('.search vscode-text-field');
    await field.click();
    await page.keyboard.type('conv 16x32x32');
    expect(await page.locator('.search-count').textContent()).toBe('7 found');
    await page.keyboard.press('Enter');
    expect(await page.locator('.search-count').textContent()).toBe('1 of 7');
    await page.keyboard.press('Shift+Enter');
    expect(await page.locator('.search-count').textContent()).toBe('7 of 7');
    await picture('search');
    await page.keyboard.press('Escape');
    expect(await page.locator('.search-count').textContent()).toBe('');
  });

  it('undo in a text field stays in the field', async () => {
    page = await stage.open();
    await page.evaluate(() => {
      window.addEventListener('keydown', (event) => {
        if (event.key === 'z') document.body.dataset['leaked'] = 'yes';
      });
    });
    const field = page.locator('.search vscode-text-field');
    await field.click();
    await page.keyboard.type('relu');
    await page.keyboard.press('Control+z');
    expect(await field.evaluate((element) => (element as HTMLInputElement).value)).not.toBe('relu');
    expect(await page.evaluate(() => document.body.dataset['leaked'])).toBeUndefined();
  });
});

describe('work', () => {
  it('a fix of a finding is applied and said in numbers; undo and redo go through the host', async () => {
    page = await stage.open();
    await press('Quantize to int8: about', '.details');
    await page.waitForFunction(() => document.querySelector('.status-words')?.textContent?.includes('→'));
    expect(await status().textContent()).toMatch(/file 1\.09 MB → [\d.]+ MB \(−0\.1 %\)/);
    expect(await calls('apply')).toEqual([{ pass: 'quantize-dynamic', options: {}, layers: ['stem/Conv'] }]);
    await tab('recipe');
    expect(await page.locator('.steps li').count()).toBe(1);
    await press('Undo', '#view-recipe');
    await page.waitForSelector('.steps .undone');
    await press('Redo', '#view-recipe');
    await page.waitForFunction(() => document.querySelector('.steps .undone') === null);
  });

  it('a form checks its options before it runs', async () => {
    page = await stage.open();
    const form = page.locator('.pass', { hasText: 'Prune small weights' });
    await form.locator('summary').click();
    const field = form.locator('vscode-text-field');
    await field.locator('input').fill('1.5');
    await form.locator('vscode-button').click();
    expect(await form.locator('[role=alert]').textContent()).toBe(
      'Sparsity must be a number from 0 to 0.99.',
    );
    await field.locator('input').fill('0.7');
    await form.locator('vscode-button').click();
    await page.waitForFunction(() => window.fakeHost.calls.some((call) => call.method === 'apply'));
    expect(await calls('apply')).toEqual([
      { pass: 'prune-magnitude', options: { sparsity: 0.7, pattern: 'unstructured' } },
    ]);
  });

  it('a pass for the other dialect says why it refuses', async () => {
    page = await stage.open();
    const form = page.locator('.pass', { hasText: 'Split for the delegate' });
    await form.locator('summary').click();
    expect(await form.textContent()).toContain('Delegates are a TFLite matter');
    expect(await form.locator('vscode-button').count()).toBe(0);
  });

  it('the menu of a box offers fixes and passes by keyboard', async () => {
    page = await stage.open();
    await focusStem();
    await page.keyboard.press('Shift+F10');
    await page.waitForFunction(() =>
      document.querySelector('.menu')?.textContent?.includes('Half precision'),
    );
    await picture('menu');
    await page.keyboard.press('ArrowDown');
    expect(await page.evaluate(() => document.activeElement?.textContent)).toContain('Half precision');
    await page.keyboard.press('Enter');
    await page.waitForFunction(() => window.fakeHost.calls.some((call) => call.method === 'apply'));
    expect(await calls('apply')).toEqual([
      { pass: 'fp16', options: { 'keep-io': true }, layers: ['stem/Conv'] },
    ]);
  });

  it('a long job shows words and progress, and Cancel works at once', async () => {
    page = await stage.open();
    await page.evaluate(() => window.fakeHost.held.add('bench'));
    await tab('benchmark');
    await press('Run benchmark');
    await page.waitForFunction(() =>
      document.querySelector('.status-words')?.textContent?.includes('waiting for the test'),
    );
    await picture('job');
    await press('Cancel', '.status');
    await page.waitForFunction(() =>
      document.querySelector('.status-words')?.textContent?.includes('cancelled'),
    );
    expect(await page.evaluate(() => window.fakeHost.cancelled.length)).toBe(1);
  });

  it('a benchmark of an edited model is measured against the original', async () => {
    page = await stage.open();
    await press('Quantize to int8: about', '.details');
    await tab('benchmark');
    await press('Run benchmark');
    await page.waitForSelector('#view-benchmark .before-after');
    expect(await calls('bench')).toEqual([{ options: { runs: 50, threads: 1 }, original: true }]);
    expect(await page.locator('#view-benchmark .before-after').first().textContent()).toMatch(/→.*−/);
    await choose('Overlay on the graph', 'Measured time');
    await page.waitForFunction(() => document.querySelector('.legend-ramp') !== null);
    await picture('benchmark');
  });

  it('compare shows two numbers, an arrow and a percentage', async () => {
    page = await stage.open();
    await tab('compare');
    expect(await page.locator('#view-compare').textContent()).toContain('Nothing has been changed yet');
    await press('Quantize to int8: about', '.details');
    await page.waitForFunction(() =>
      document.querySelector('#view-compare')?.textContent?.includes('Compare the edited model'),
    );
    await press('Compare', '#view-compare');
    await page.waitForSelector('#view-compare .before-after');
    await picture('compare');
    expect(await page.locator('#view-compare').textContent()).toContain('1 layer changed');
  });

  it('optimize asks for a device, then offers candidates that can be taken', async () => {
    page = await stage.open();
    await press('Optimize for device');
    expect(await page.locator('#view-optimize').textContent()).toContain('Choose the device');
    await choose('Target device', 'Cortex-M7');
    await page.waitForFunction(() => window.fakeHost.state().device === 'cortex-m7');
    await press('Optimize for device');
    await page.waitForSelector('.candidates');
    await picture('optimize');
    await page.locator('.candidates tr.chosen vscode-button', { hasText: 'Apply' }).click();
    await page.waitForFunction(() => document.querySelector('.status-words')?.textContent?.includes('(−'));
    expect(await calls('applyRecipe')).toEqual([
      { title: 'Quantize to int8', steps: [{ pass: 'quantize-static', options: { ranges: 'minmax' } }] },
    ]);
  });

  it('the table sorts, filters and copies what it shows', async () => {
    page = await stage.open();
    await page.locator('.table-header button', { hasText: 'MACs' }).click();
    expect(await page.locator('.table-row').first().textContent()).toContain('2.36 MMAC');
    await page.locator('#view-layers vscode-text-field input').fill('gemm');
    await page.waitForFunction(() => document.querySelectorAll('.table-row').length === 1);
    await press('Copy as CSV');
    await page.waitForFunction(() => window.fakeHost.calls.some((call) => call.method === 'copy'));
    const [{ text }] = (await calls('copy')) as [{ text: string }];
    expect(text.split('\n')).toHaveLength(2);
    expect(text.split('\n')[1]).toBe('fc/Gemm,52,Gemm,fc/Gemm,1×10,float32,640,2560,640,40,,,0');
  });

  it('the weights of a layer are read when asked for', async () => {
    page = await stage.open();
    await focusStem();
    expect(await calls('tensor')).toEqual([]);
    await details().getByRole('button', { name: 'Show statistics' }).click();
    await page.waitForSelector('.histogram');
    expect(await calls('tensor')).toEqual([{ value: 'stem/Conv.weight' }]);
    await page.locator('.histogram').scrollIntoViewIfNeeded();
    await picture('details');
  });
});

describe('the host speaks', () => {
  it('a command shows a tab and runs its job', async () => {
    page = await stage.open();
    await page.evaluate(() => window.fakeHost.notify({ notice: 'show', tab: 'benchmark', run: true }));
    await page.waitForSelector('#view-benchmark .bar-row');
    expect(await calls('bench')).toHaveLength(1);
  });

  it('work of the host is shown in words', async () => {
    page = await stage.open();
    const job = { title: 'Convert', fraction: 0.4, message: 'writing' };
    await page.evaluate((given) => window.fakeHost.notify({ notice: 'job', job: given }), job);
    await page.waitForFunction(
      () => document.querySelector('.status-words')?.textContent === 'Convert: writing',
    );
    await page.evaluate(() => window.fakeHost.notify({ notice: 'job', job: null }));
    await page.waitForFunction(() => document.querySelector<HTMLElement>('.status')!.hidden);
  });

  it('an edge says what it carries', async () => {
    page = await stage.open();
    const canvas = page.locator('.graph-canvas');
    const { width } = (await canvas.boundingBox())!;
    await canvas.hover({ position: { x: width / 2 + 1, y: 90 } });
    await page.waitForFunction(() => !document.querySelector<HTMLElement>('.graph-pane .tooltip')!.hidden);
    expect(await page.locator('.graph-pane .tooltip').textContent()).toBe('input: float32[1×3×32×32]');
  });
});

describe('real models', () => {
  it.each(['digits.onnx', 'digits.tflite'])('%s, answered by the engine', async (name) => {
    page = await stage.open({ file: `samples/${name}`, theme: name.endsWith('x') ? 'dark' : 'light' });
    expect(await boxes()).toBeGreaterThan(4);
    expect(await page.locator('.headline').textContent()).toMatch(/kB · [\d.]+ k params · [\d.]+ [kM]MAC/);
    await page.locator('.graph-canvas').focus();
    await page.keyboard.press('Home');
    await page.keyboard.press('ArrowDown');
    await page.waitForFunction(() => document.querySelector('.details dl') !== null);
    await picture(`sample-${name}`);
  });
});

describe('looks', () => {
  it.each(themes.map(({ id }) => id))('theme %s', async (theme) => {
    page = await stage.open({ model: 'resnet', theme, device: 'cortex-m7' });
    await focusStem();
    await choose('Overlay on the graph', 'MACs');
    await page.waitForSelector('.legend-ramp');
    await picture(`theme-${theme}`);
  });

  it('at 200 % nothing is out of reach', async () => {
    page = await stage.open({ device: 'cortex-m7' }, { width: 720, height: 450 });
    await picture('zoom-200');
    const overflow = await page.evaluate(() => document.documentElement.scrollWidth - window.innerWidth);
    expect(overflow).toBeLessThanOrEqual(0);
  });

  it('changes its colours with the theme', async () => {
    page = await stage.open({ theme: 'dark' });
    const corner = () =>
      page.evaluate(() => {
        const canvas = document.querySelector<HTMLCanvasElement>('.graph-canvas')!;
        return canvas.getContext('2d')!.getImageData(2, 2, 1, 1).data.slice(0, 3).join();
      });
    expect(await corner()).toBe('31,31,31');
    await page.evaluate(() => window.fakeHost.setTheme('light'));
    await page.waitForFunction(() => {
      const canvas = document.querySelector<HTMLCanvasElement>('.graph-canvas')!;
      return canvas.getContext('2d')!.getImageData(2, 2, 1, 1).data[0] === 255;
    });
    expect(await corner()).toBe('255,255,255');
  });
});
