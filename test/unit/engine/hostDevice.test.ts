import fs from 'node:fs';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { analyse } from '../../../src/analysis/analyse.ts';
import { estimateOn } from '../../../src/devices/estimate.ts';
import { allDevices, deviceNamed } from '../../../src/engine/deviceFiles.ts';
import { keepProbesIn, rememberProbe } from '../../../src/engine/hostDevice.ts';
import { readModelFile } from '../../../src/formats/io/models.ts';
import { samples } from '../support/models.ts';
import { temporaryFolder } from '../support/temporary.ts';

const { model } = readModelFile(path.join(samples, 'digits.onnx'));
const analysis = analyse(model);
const estimate = () => estimateOn(deviceNamed('host'), model, analysis).latencyMs;
const [folder, elsewhere] = [temporaryFolder(), temporaryFolder()];
const steady = (median: number) => ({
  min: median,
  median,
  mean: median,
  p90: median * 1.1,
  p99: median * 1.2,
});

describe('this machine', () => {
  it('has no estimate until something was measured here', () => {
    expect(estimate()).toBeNull();
  });

  it('stays without one after runs that were too noisy', async () => {
    await rememberProbe(model, analysis, { ...steady(0.05), p90: 0.5 });
    expect(estimate()).toBeNull();
  });

  it('is scaled to a benchmark, in the list of devices too', async () => {
    await rememberProbe(model, analysis, steady(0.05));
    expect(estimate()).toBeCloseTo(0.05, 5);
    expect(allDevices([]).find((device) => device.id === 'host')?.calibrated).toBe(true);
  });

  it('follows the latest benchmark of a model', async () => {
    await rememberProbe(model, analysis, steady(0.2));
    expect(estimate()).toBeCloseTo(0.2, 5);
  });

  it('is still calibrated in the next process, and not by the benchmarks of another machine', async () => {
    keepProbesIn(folder);
    expect(estimate()).toBeNull();
    await rememberProbe(model, analysis, steady(0.3));
    keepProbesIn(elsewhere);
    expect(estimate()).toBeNull();
    keepProbesIn(folder);
    expect(estimate()).toBeCloseTo(0.3, 5);
    const file = path.join(folder, 'host-probes.json');
    const text = fs.readFileSync(file, 'utf8');
    expect(text).not.toContain('/0/Conv');
    fs.writeFileSync(file, text.replace(/"machine":"[^"]*"/, '"machine":"another"'));
    keepProbesIn(folder);
    expect(estimate()).toBeNull();
    fs.writeFileSync(file, 'not JSON');
    keepProbesIn(folder);
    expect(estimate()).toBeNull();
  });
});
