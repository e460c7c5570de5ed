import { readdir, readFile, stat } from 'node:fs/promises';
import path from 'node:path';
import { expect } from 'vitest';
import { flow, useBrowser } from './support/flow.ts';
import { modelEditor } from './support/modelEditor.ts';

useBrowser();

const files = {
  'samples/digits.onnx': 'digits.onnx',
  'samples/digits-calibration.npz': 'digits-calibration.npz',
  'samples/digits-test.npz': 'digits-test.npz',
};

flow('optimize for a device from the explorer', { files }, async (bench) => {
  await bench.contextMenu(bench.file('digits.onnx'), 'Optimize for Device…');
  const list = bench.page.locator('.quick-input-widget');
  await list.getByRole('option').first().waitFor();
  await bench.picture('device');
  await list.locator('input[type="text"]').fill('STM32H743');
  await bench.pick('STM32H743');
  await list.getByText('digits-test.npz').waitFor();
  await bench.picture('data');
  await bench.pick('digits-test.npz');
  await list.getByText('recommended').waitFor({ timeout: 90_000 });
  await bench.picture('candidates');
  await bench.pick('recommended');
  await expect
    .poll(async () => (await readdir(bench.folder)).filter((name) => name.endsWith('.kerf.json')), {
      timeout: 30_000,
    })
    .toHaveLength(1);
  const [written] = (await readdir(bench.folder)).filter(
    (name) => name.endsWith('.onnx') && name !== 'digits.onnx',
  );
  const before = await stat(path.join(bench.folder, 'digits.onnx'));
  const after = await stat(path.join(bench.folder, written ?? ''));
  expect(after.size).toBeLessThan(before.size / 2);
  await modelEditor(bench.page).ready();
  await bench.picture('written');
  const [recipe] = (await readdir(bench.folder)).filter((name) => name.endsWith('.kerf.json'));
  expect(JSON.parse(await readFile(path.join(bench.folder, recipe ?? ''), 'utf8'))).toHaveProperty('steps');
});

flow('run the benchmark from the palette', { files }, async (bench) => {
  const editor = await bench.openModel('digits.onnx');
  await bench.command('Kerf: Benchmark');
  const panel = await editor.tab('Benchmark');
  await panel.getByText('Median').waitFor({ timeout: 60_000 });
  await bench.picture('measured');
  await expect.poll(() => panel.textContent()).toMatch(/Median\s*[\d.]+\s*[mµ]s/);
});

flow('benchmark an edited model against its original', { files }, async (bench) => {
  const editor = await bench.openModel('digits.onnx');
  await bench.command('Kerf: Apply Pass…');
  await bench.pick('Fuse batch norm');
  await bench.pick('Apply with defaults');
  await expect.poll(() => editor.steps()).toHaveLength(1);
  await bench.command('Kerf: Benchmark');
  const panel = await editor.tab('Benchmark');
  await panel.getByText('as fast as the original').waitFor({ timeout: 60_000 });
  await bench.picture('against the original');
  await bench.command('Kerf: Compare with Original');
  const compared = await editor.tab('Compare');
  await compared.getByText('→').first().waitFor({ timeout: 60_000 });
  await bench.picture('compared');
});

flow('the optimizer of the page', { files, settings: { 'kerf.device': 'stm32h743' } }, async (bench) => {
  const editor = await bench.openModel('digits.onnx');
  await editor.frame.getByRole('button', { name: 'Optimize for device…' }).click();
  await bench.pick('digits-test.npz');
  const panel = await editor.tab('Optimize');
  await panel.getByText('recommended').waitFor({ timeout: 90_000 });
  await bench.picture('candidates');
  await panel.locator('tr.chosen').getByRole('button', { name: 'Apply' }).click();
  await expect.poll(() => bench.isDirty('digits.onnx'), { timeout: 60_000 }).toBe(true);
  await expect.poll(async () => (await editor.steps()).length).toBeGreaterThan(0);
  await bench.picture('applied');
});

flow('choose the target device', { files }, async (bench) => {
  const editor = await bench.openModel('digits.onnx');
  await bench.command('Kerf: Select Target Device…');
  await bench.pick('STM32L4R5');
  await editor.details.getByText(/flash/i).first().waitFor();
  await bench.page.locator('.statusbar').getByText('STM32L4R5').waitFor();
  await bench.picture('device chosen');
});

flow('the view container', { files, settings: { 'kerf.device': 'stm32h743' } }, async (bench) => {
  await bench.openModel('digits.onnx');
  await bench.page.locator('.activitybar a.action-label[aria-label^="Kerf"]').click();
  await bench.page.locator('.sidebar').getByText('/0/Conv').first().waitFor();
  await bench.picture('views');
});
