import type { Page } from 'playwright-core';
import { describe, expect, it } from 'vitest';
import { localEngine } from '../../src/engine/local.ts';
import { startPerson } from './support/person.ts';

const { open, tab, press, choose, picture, waitForName, waitForDetails } = startPerson();
let page: Page;

const show = async (...options: Parameters<typeof open>) => {
  page = await open(...options);
  await tab('roofline');
  await page.waitForSelector('.roof-point');
};
const point = (layer: string) => page.locator(`.roof-point[data-layer="${layer}"]`);
const tooltip = () => page.locator('.roofline .tooltip');

describe('roofline', () => {
  it('asks for a device first', async () => {
    page = await open();
    await tab('roofline');
    await expect.poll(() => page.locator('#view-roofline').textContent()).toContain('Choose the device');
    await choose('Target device', 'Raspberry Pi 4');
    await page.waitForSelector('.roof-point');
  });

  it.each(['dark', 'light', 'hc-dark', 'hc-light'])('theme %s', async (theme) => {
    await show({ file: 'samples/digits.onnx', device: 'pi4', theme });
    await point('/3/Conv').hover({ force: true });
    await tooltip().waitFor();
    await picture(`roofline-${theme}`);
  });

  it('says of a layer what the engine says of it', async () => {
    const engine = localEngine();
    const { handle } = await engine.call('open', { path: 'samples/digits.onnx' });
    const { layers } = await engine.call('layers', { handle });
    const estimate = await engine.call('estimate', { handle, device: 'pi4' });
    const { devices } = await engine.call('devices', {});
    engine.dispose();
    const layer = layers.find(({ id }) => id === '/3/Conv')!;
    const { ms } = estimate.layers.find(({ id }) => id === '/3/Conv')!;
    const profile = devices.find(({ id }) => id === 'pi4')!;
    const flops = layer.flops!;
    const intensity = flops / (layer.inputBytes! + layer.activationBytes! + layer.weightBytes);

    await show({ file: 'samples/digits.onnx', device: 'pi4' });
    await point('/3/Conv').hover({ force: true });
    await tooltip().waitFor();
    const text = (await tooltip().textContent())!;
    const number = (unit: string) => Number(new RegExp(`([\\d.]+) ${unit}`).exec(text)![1]);
    expect(number('FLOP/byte') / intensity).toBeCloseTo(1, 1);
    expect(number('GFLOP/s') / (flops / ms! / 1e6)).toBeCloseTo(1, 1);
    expect(text).toContain('estimated');
    const { gmacsPerSecond, bandwidth = profile.bandwidth } = profile.precisions.float32!;
    const roof = Math.min(2 * gmacsPerSecond, (bandwidth / 1e9) * intensity);
    expect(number('% of the float32 line')).toBe(Math.round((100 * flops) / ms! / 1e6 / roof));
  });

  it('a point selects everywhere, and shows what another view selected', async () => {
    await show({ device: 'pi-4' });
    await point('stem/Conv').click({ force: true });
    await waitForName('stem/Conv');
    await expect
      .poll(() => page.locator('.roof-point.selected').getAttribute('data-layer'))
      .toBe('stem/Conv');
    await page.evaluate(() => window.fakeHost.notify({ notice: 'select', layer: 'fc/Gemm' }));
    await page.waitForSelector('.roof-point.selected[data-layer="fc/Gemm"]');
    await page.locator('.roofline-chart').focus();
    await page.keyboard.press('End');
    await waitForDetails('Conv');
    await expect
      .poll(() => page.locator('.roofline-chart').getAttribute('aria-valuetext'))
      .toMatch(/^Conv .*FLOP\/byte, .*GFLOP\/s, .*estimated/);
  });

  it('is a table as well', async () => {
    await show({ device: 'pi-4' });
    await press('As a table');
    const row = page.locator('#view-roofline .table-row', { hasText: 'layer1/block0/conv1/Conv' });
    await expect.poll(() => row.textContent()).toContain('compute');
    await row.click();
    await waitForName('layer1/block0/conv1/Conv');
    await picture('roofline-table');
    await press('As a picture');
    await page.waitForSelector('.roof-point.selected[data-layer="layer1/block0/conv1/Conv"]');
  });

  it('fits a narrow pane', async () => {
    await show({ model: 'transformer', device: 'pi-4' }, { width: 520, height: 380 });
    const { height } = (await page.locator('.roofline-chart').boundingBox())!;
    expect(height).toBeGreaterThan(80);
    await picture('roofline-narrow');
  });
});
