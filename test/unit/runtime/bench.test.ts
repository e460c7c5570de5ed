import { join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { readModelFile, writeModelFile } from '../../../src/formats/io/models.ts';
import { benchmark } from '../../../src/runtime/measure/bench.ts';
import { kernelLayers } from '../../../src/runtime/measure/kernelLayers.ts';
import { startRunner } from '../../../src/runtime/process/launch.ts';
import { parseTrace } from '../../../src/runtime/onnx/onnxProfile.ts';
import { latencyStats, median, quantile } from '../../../src/runtime/measure/statistics.ts';
import { samples } from '../support/models.ts';
import { useSourceRunner } from '../support/runner.ts';
import { temporaryFolder } from '../support/temporary.ts';
import { floatModel, int8Model } from '../support/tinyTflite.ts';

const folder = temporaryFolder();
const digits = join(samples, 'digits.onnx');
beforeAll(useSourceRunner);

describe('statistics', () => {
  it('interpolate between neighbours', () => {
    const values = Float64Array.of(4, 1, 3, 2);
    expect(median(values)).toBe(2.5);
    expect(quantile([1, 2, 3, 4, 5], 0.9)).toBeCloseTo(4.6, 12);
    expect(latencyStats(values)).toEqual({
      min: 1,
      median: 2.5,
      mean: 2.5,
      p90: 3.7,
      p99: expect.closeTo(3.97, 12),
    });
    expect(latencyStats(Float64Array.of(2))).toEqual({ min: 2, median: 2, mean: 2, p90: 2, p99: 2 });
  });
});

describe('a trace of ONNX Runtime', () => {
  const run = (ts: number) => ({ cat: 'Session', name: 'model_run', ts, dur: 100 });
  const kernel = (name: string, ts: number, dur: number) => ({
    cat: 'Node',
    name: `${name}_kernel_time`,
    ts,
    dur,
    args: { op_name: 'Conv', provider: 'CPUExecutionProvider' },
  });

  it('gives medians over the last runs and sums within one', () => {
    const runs = [
      [run(0), kernel('a', 10, 5000)],
      [run(200), kernel('a', 210, 10), kernel('b', 220, 3), kernel('b', 230, 4)],
      [run(400), kernel('a', 410, 20), kernel('b', 420, 3), kernel('b', 430, 4)],
      [run(600), kernel('a', 610, 90), kernel('b', 620, 3), kernel('b', 630, 4)],
    ];
    expect(parseTrace(runs.flat(), 3)).toEqual([
      { name: 'a', op: 'Conv', provider: 'cpu', ms: 0.02 },
      { name: 'b', op: 'Conv', provider: 'cpu', ms: 0.007 },
    ]);
  });
});

describe('the layer behind a kernel', () => {
  it.each([
    ['/0/Conv', '/0/Conv'],
    ['fused /0/Conv', '/0/Conv'],
    ['/0/Conv_token_8', '/0/Conv'],
    ['ReorderInput_token_1', undefined],
  ])('%s is %s', (name, layer) => {
    const layerOf = kernelLayers(readModelFile(digits).model);
    expect(layerOf(name, { name, op: 'Conv', provider: 'cpu', ms: 1 })).toBe(layer);
  });
});

describe('benchmark', () => {
  it('reports what it measured', async () => {
    const layerOf = kernelLayers(readModelFile(digits).model);
    const report = await benchmark(startRunner, { model: digits, layerOf, runs: 30, threads: 1 });
    expect(report).toMatchObject({
      provider: 'cpu',
      threads: 1,
      runs: 30,
      inputs: 'seeded random inputs (seed 0)',
      fallback: [],
    });
    expect(report.runtime).toMatch(/^onnxruntime \d/);
    const { min, median, mean, p90, p99 } = report.latencyMs;
    expect(min).toBeGreaterThan(0);
    expect([median, p90, p99]).toEqual([median, p90, p99].sort((a, b) => a - b));
    expect(mean).toBeGreaterThanOrEqual(min);
    expect(report.loadMs).toBeGreaterThan(0);
    expect(report.peakRssBytes).toBeGreaterThan(10 * 2 ** 20);
    expect(report.layers.reduce((sum, layer) => sum + layer.share, 0)).toBeCloseTo(1, 9);
    expect(report.layers.map((layer) => layer.id)).toContain('/0/Conv');
    expect(report.against).toBeUndefined();
  });

  it('compares two models in turns, across formats', async () => {
    const tiny = join(folder, 'float.tflite');
    await writeModelFile(floatModel(), tiny);
    const report = await benchmark(startRunner, {
      model: tiny,
      layerOf: (name) => name,
      against: digits,
      runs: 20,
    });
    expect(report.layers.map((layer) => layer.id)).toEqual(['y', 'z']);
    expect(report.against).toMatchObject({ runs: 20 });
    const ratio = (report.against?.latencyMs.median as number) / report.latencyMs.median;
    expect(report.against?.speedup).toBe(ratio);
  });

  it('measures with the data it is given', async () => {
    const data = join(samples, 'digits-test.npz');
    const report = await benchmark(startRunner, { model: digits, layerOf: () => undefined, runs: 3, data });
    expect(report.inputs).toBe(data);
    expect(new Set(report.layers.map((layer) => layer.id))).toEqual(new Set([null]));
  });

  it('says which layers did not run on the kernels of the rest', async () => {
    const model = join(folder, 'int8.tflite');
    await writeModelFile(int8Model(), model);
    const { fallback, provider } = await benchmark(startRunner, { model, layerOf: (name) => name, runs: 3 });
    expect(provider).toBe('xnnpack');
    expect(fallback).toEqual([]);
  });

  it('stops at once when it is cancelled', async () => {
    const abort = new AbortController();
    const running = benchmark(startRunner, {
      model: digits,
      layerOf: () => undefined,
      runs: 50_000_000,
      signal: abort.signal,
      onProgress: (_fraction, message) => {
        if (message.startsWith('timing')) abort.abort();
      },
    });
    await expect(running).rejects.toMatchObject({ reason: 'cancelled' });
  });
});
