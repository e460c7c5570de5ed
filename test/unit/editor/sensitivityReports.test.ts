import { describe, expect, it } from 'vitest';
import { mixedReport, sensitivityReport } from '../../../src/editor/reports/sensitivityReports.ts';
import type { MixedReport, SensitivityReport } from '../../../src/engine/protocol.ts';

const figures = { sqnrDb: 30, cosine: 0.999, klDiv: 1e-3, agreement: 0.98, samples: 64 };

const sensitivity: SensitivityReport = {
  scheme: 'int8',
  step: { pass: 'quantize-static' },
  method: 'measured',
  metric: 'signal to noise',
  data: '/models/digits.npz',
  layers: [
    { id: 'a', name: 'a|b', op: 'Conv', ...figures, weights: { ...figures, sqnrDb: 41 } },
    { id: 'c', name: 'c', op: 'Gemm', ...figures, sqnrDb: null },
  ],
  cumulative: [
    { layers: 1, predictedSqnrDb: null },
    { layers: 2, predictedSqnrDb: 30 },
  ],
  samples: 64,
  inferences: 40,
  naiveInferences: 128,
  seconds: 1.5,
  baselineInferenceSeconds: 0.001,
  notCovered: ['d: refused'],
};

describe('sensitivity as Markdown', () => {
  it('has a row per layer and no columns without numbers', () => {
    const text = sensitivityReport('m.onnx', sensitivity);
    expect(text).toMatch(/\| a\\\|b \| Conv \| 30\.0\u{a0}dB \| 98\u{a0}% \| 41\.0\u{a0}dB \|/u);
    expect(text).toMatch(/\| c \| Gemm \| identical \| 98\u{a0}% \|  \|/u);
    expect(text).toContain('| Layer | Operator | SQNR | Agreement | Weights alone |');
    expect(text).toContain('Data: digits.npz. The work of 40 inferences, 31.3 % of layers × samples, 1.5 s.');
    expect(text).not.toContain('Accuracy');
    expect(text).toMatch(/31\.[23]\d* %/);
    expect(text).toContain('- d: refused');
  });
});

describe('mixed precision as Markdown', () => {
  const point = (fileBytes: number, predictedSqnrDb: number) => ({
    fileBytes,
    latencyMs: null,
    predictedSqnrDb,
    counts: { int8: 2 },
  });
  const report: MixedReport = {
    budget: { kind: 'size', bytes: 30_000 },
    schemes: ['int8'],
    data: 'digits.npz',
    heldOut: true,
    original: { fileBytes: 100_000, latencyMs: null, top1: 0.98 },
    layers: [{ id: 'a', name: 'a', op: 'Conv', options: [], chosen: 'int8' }],
    frontier: [point(20_000, 20), point(30_000, 35)],
    exact: true,
    chosen: point(30_000, 35),
    measured: { ...figures, top1: 0.97, fileBytes: 29_000, drop: 1 },
    keepOut: [{ id: 'z', reason: 'the last layer', applied: false }],
    recipe: [],
    inferences: 100,
    seconds: 2,
    notes: [],
    out: null,
  };

  it('shows the frontier as a chart and as a table, and what was measured', () => {
    const text = mixedReport('m.onnx', report);
    expect(text).toMatch(/100\S* kB → 29\S* kB/);
    expect(text).toMatch(/accuracy 98\S* % → 97\S* % on samples that nothing was chosen by/);
    expect(text).toContain('**chosen**');
    const [, image = ''] = /data:image\/svg\+xml;base64,([^)]+)/.exec(text) ?? [];
    const svg = Buffer.from(image, 'base64').toString();
    expect(svg.match(/<circle/g)).toHaveLength(3);
    expect(svg).not.toContain('NaN');
  });

  it('says when nothing fits', () => {
    expect(mixedReport('m.onnx', { ...report, chosen: null, measured: null })).toContain(
      'No assignment of schemes to layers meets the budget.',
    );
  });
});
