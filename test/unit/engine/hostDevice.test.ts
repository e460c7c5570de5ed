import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { analyse } from '../../../src/analysis/analyse.ts';
import { estimateOn } from '../../../src/devices/estimate.ts';
import { allDevices, deviceNamed } from '../../../src/engine/deviceFiles.ts';
import { rememberProbe } from '../../../src/engine/hostDevice.ts';
import { readModelFile } from '../../../src/formats/io/models.ts';
import { samples } from '../support/models.ts';

const { model } = readModelFile(path.join(samples, 'digits.onnx'));
const analysis = analyse(model);
const estimate = () => estimateOn(deviceNamed('host'), model, analysis).latencyMs;
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

  it('stays without one after runs that were too noisy', () => {
    rememberProbe(model, analysis, { ...steady(0.05), p90: 0.5 });
    expect(estimate()).toBeNull();
  });

  it('is scaled to a benchmark, in the list of devices too', () => {
    rememberProbe(model, analysis, steady(0.05));
    expect(estimate()).toBeCloseTo(0.05, 5);
    expect(allDevices([]).find((device) => device.id === 'host')?.calibrated).toBe(true);
  });

  it('follows the latest benchmark of a model', () => {
    rememberProbe(model, analysis, steady(0.2));
    expect(estimate()).toBeCloseTo(0.2, 5);
  });
});
