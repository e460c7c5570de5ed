import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { localEngine } from '../../../src/engine/local.ts';
import type { SensitivityReport } from '../../../src/engine/protocol.ts';
import { stepOfScheme } from '../../../src/optimize/sensitivity/schemes.ts';
import type { Dialect } from '../../../src/ir/model.ts';
import { hasShared, samples, shared } from '../support/models.ts';
import { seeded } from '../formats/tflite/support.ts';
import { npy, npz } from '../support/npy.ts';
import { useSourceRunner } from '../support/runner.ts';

const engine = localEngine();
const folder = mkdtempSync(path.join(tmpdir(), 'kerf-sensitivity-test-'));
beforeAll(async () => {
  await useSourceRunner();
  writeStrokes(lstm.data, 16);
});
afterAll(() => {
  engine.dispose();
  rmSync(folder, { recursive: true });
});

interface Case {
  readonly file: string;
  readonly dialect: Dialect;
  readonly data?: string;
  readonly scheme: string;
  readonly count: number;
}

async function measured({ file, data, scheme, count }: Case): Promise<SensitivityReport> {
  const { handle } = await engine.call('open', { path: file });
  const options = { scheme, samples: count, exact: true, ...(data !== undefined && { data }) };
  return engine.call('sensitivity', { handle, ...options });
}

/** The oracle: the pass on one layer of the file, the whole model run on the same samples. */
async function naive({ file, dialect, data, scheme, count }: Case, layer: string): Promise<number | null> {
  const { handle } = await engine.call('open', { path: file });
  const step = { ...stepOfScheme(scheme, dialect, data), layers: [layer] };
  const changed = await engine.call('apply', { handle, step });
  const report = await engine.call('evaluate', {
    handle: changed.handle,
    reference: handle,
    data: data as string,
    samples: count,
  });
  return report.reference?.sqnrDb ?? null;
}

const data = path.join(samples, 'digits-calibration.npz');
const digits = { file: path.join(samples, 'digits.onnx'), dialect: 'onnx', data } as const;
const digitsLite = { file: path.join(samples, 'digits.tflite'), dialect: 'tflite', data } as const;
const cifar = {
  file: path.join(shared, 'models/own/cifar_resnet_folded.onnx'),
  dialect: 'onnx',
  data: path.join(shared, 'data/cifar10-calib-512.onnx.json'),
} as const;

/** Keeps its state between runs. */
const lstm = {
  file: path.join(shared, 'models/tflite/trained_lstm.tflite'),
  dialect: 'tflite',
  data: path.join(folder, 'strokes.npz'),
} as const;

function writeStrokes(file: string, samples: number): void {
  const random = seeded(3);
  const values = Float32Array.from({ length: samples * 28 * 28 }, () => random());
  writeFileSync(file, npz({ 'serving_default_fixed_input:0': npy('<f4', [samples, 28, 28], values) }));
}

describe('one layer at a time gives what the whole changed model gives', () => {
  const cases: readonly (Case & { readonly checked: number; readonly tolerance: number })[] = [
    { ...digits, scheme: 'int8-weights', count: 24, checked: 2, tolerance: 0.05 },
    { ...digits, scheme: 'prune50', count: 24, checked: 2, tolerance: 0.05 },
    { ...digits, scheme: 'fp16', count: 24, checked: 2, tolerance: 0.05 },
    // Calibrated on as many samples as are measured; the pass by itself takes more.
    { ...digits, scheme: 'int8', count: 64, checked: 2, tolerance: 1.5 },
    { ...digitsLite, scheme: 'prune50', count: 16, checked: 2, tolerance: 0.05 },
    { ...digitsLite, scheme: 'int8', count: 64, checked: 2, tolerance: 1.5 },
    // Below 8 bits the weights of every layer count, not those of the ends alone.
    { ...digits, scheme: 'w4a8', count: 24, checked: 9, tolerance: 0.5 },
    { ...digitsLite, scheme: 'w4a8', count: 24, checked: 9, tolerance: 0.5 },
    ...(hasShared
      ? [
          { ...cifar, scheme: 'int4', count: 16, checked: 2, tolerance: 0.05 },
          // What its states hold at the first sample hangs on what ran before.
          { ...lstm, scheme: 'prune50', count: 16, checked: 9, tolerance: 0.5 },
        ]
      : []),
  ];
  for (const each of cases) {
    it(`${path.basename(each.file)}, ${each.scheme}`, { timeout: 180_000 }, async () => {
      const report = await measured(each);
      expect(report.notCovered).toEqual([]);
      expect(report.layers.every((layer) => layer.samples === report.samples)).toBe(true);
      for (const layer of report.layers.slice(0, each.checked)) {
        const wanted = await naive(each, layer.id);
        if (wanted === null || layer.sqnrDb === null) expect(layer.sqnrDb).toBe(wanted);
        else expect(Math.abs(layer.sqnrDb - wanted), layer.id).toBeLessThan(each.tolerance);
      }
    });
  }
});

describe('a report as a file', () => {
  it('is the table for spreadsheets, and node data of Model Explorer', async () => {
    const report = await measured({ ...digits, scheme: 'fp16', count: 4 });
    const { handle } = await engine.call('open', { path: digits.file });
    const csv = path.join(folder, 'digits.csv');
    const { bytes } = await engine.call('exportSensitivity', { handle, report, to: 'csv', path: csv });
    const [head, ...rows] = readFileSync(csv, 'utf8').trim().split('\r\n');
    expect(head).toMatch(/^id,name,op,sqnrDb,/);
    expect(rows).toHaveLength(report.layers.length);
    expect(bytes).toBe(readFileSync(csv).length);
    const json = path.join(folder, 'digits.json');
    await engine.call('exportSensitivity', { handle, report, to: 'node-data', path: json });
    const [nodes] = Object.values(
      JSON.parse(readFileSync(json, 'utf8')) as Record<string, { results: Record<string, unknown> }>,
    );
    expect(Object.keys(nodes!.results).sort()).toEqual(report.layers.map(({ id }) => id).sort());
  });
});
