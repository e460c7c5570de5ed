import { describe, expect, it } from 'vitest';
import { auditReport } from '../../../src/editor/reports/auditReports.ts';
import { candidateLine, comparisonReport, evaluationReport } from '../../../src/editor/reports/reports.ts';
import type { Candidate } from '../../../src/engine/protocol.ts';
import type { InspectReport } from '../../../src/engine/answers.ts';

const inspected = (fileBytes: number, macs: number | null): InspectReport => ({
  format: 'onnx',
  producer: '',
  opset: 13,
  irVersion: 8,
  opsets: { '': 13 },
  metadata: [],
  signatures: [],
  quantization: { perTensor: 0, perChannel: 0, blockwise: 0, constantTypes: {} },
  alignment: { wanted: 4096, constants: 0, misaligned: 0 },
  memory: null,
  micro: null,
  bodies: [],
  fileBytes,
  weightBytes: fileBytes,
  params: 1000,
  macs,
  flops: null,
  peakActivationBytes: null,
  sparsity: null,
  unresolved: [],
  freeDimensions: [],
  inputs: [],
  outputs: [],
  layers: [],
  damage: [],
});

const candidate: Candidate = {
  title: 'Static int8',
  recipe: [],
  fileBytes: 35_100,
  compressedBytes: 30_000,
  macs: 600_000,
  measuredMs: 0.0314,
  latencyMs: null,
  energyMj: null,
  ramBytes: null,
  fits: { flash: 'fits', ram: 'unknown' },
  score: 0.982,
  scoreKind: 'top1',
};

describe('reports', () => {
  it('compare in numbers with signs, and never turn unknown into 0', () => {
    const head = { fileBytes: 0, params: 0, macs: null };
    const text = comparisonReport(['a', 'b'], {
      before: inspected(1000, 500),
      after: inspected(250, null),
      diff: {
        added: ['q|1'],
        removed: [],
        changed: [{ id: 'conv', classes: ['weights', 'type'] }],
        unchanged: 3,
        renamed: [],
        before: head,
        after: head,
        groups: [],
        notCovered: [],
      },
    });
    expect(text).toContain('| File | 1 kB | 250 B | −75 % |');
    expect(text).toContain('| MACs | 500 | unknown |  |');
    expect(text).toContain('| conv | weights, type |');
    expect(text).toContain(String.raw`- q\|1`);
    expect(text).not.toContain('## Removed');
  });

  it('say what was not measured', () => {
    const { description, detail } = candidateLine(candidate, { ...candidate, fileBytes: 116_000 });
    expect(description).toBe('35.1 kB −69.7 % · accuracy 98.2 %');
    expect(detail).toBe('on device unknown (estimated) · here 31.4 µs (measured) · flash fits');
    const slower = candidateLine(candidate, { ...candidate, measuredMs: 0.0157 });
    expect(slower.detail).toContain('here 31.4 µs (measured, +100 %)');
    const storage = { flash: 'unknown', ram: 'unknown' } as const;
    expect(candidateLine({ ...candidate, fits: storage }, candidate).detail).not.toContain('unknown, ');

    expect(candidateLine({ ...candidate, failure: 'no samples' }, candidate).detail).toBe('no samples');
    expect(candidateLine({ ...candidate, scoreKind: 'none' }, candidate).description).toContain(
      'not evaluated',
    );
  });

  it('tell identical outputs from a large ratio', () => {
    const reference = { agreement: 1, sqnrDb: null, cosine: 1, klDiv: 0 };
    const text = evaluationReport('m.onnx', { samples: 5, data: 'd.npz', reference });
    expect(text).toContain('identical outputs');
    expect(text).not.toContain('Top-1');
  });
});

describe('the report of an audit', () => {
  const report = {
    runtime: 'onnxruntime 1.30.0',
    target: 'ort-x86',
    quantized: true,
    integers: 3,
    floats: 1,
    conversions: 2,
    rows: [
      { id: 'a', op: 'Conv', kernel: 'QLinearConv', runsOn: 'integers' as const },
      {
        id: 'b|c',
        op: 'Clip',
        kernel: 'FusedConv',
        runsOn: 'floats' as const,
        reason: 'its output has no codes',
      },
    ],
    findings: [],
  };

  it('lists what stayed float and why', () => {
    const text = auditReport('net.onnx', report);
    expect(text).toContain('3 of 4 layers run on integers in onnxruntime 1.30.0, 2 conversions');
    expect(text).toContain(String.raw`| b\|c | Clip | FusedConv | its output has no codes |`);
    expect(text).not.toContain('QLinearConv');
  });

  it('says when there is nothing to audit', () => {
    expect(auditReport('net.onnx', { ...report, quantized: false })).toContain('not quantized');
  });
});
