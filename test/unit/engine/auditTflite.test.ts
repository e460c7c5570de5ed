import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { localEngine } from '../../../src/engine/local.ts';
import type { AuditReport } from '../../../src/engine/protocol.ts';
import type { RecipeStep } from '../../../src/passes/pass.ts';
import { hasShared, samples, shared } from '../support/models.ts';
import { useSourceRunner } from '../support/runner.ts';

const engine = localEngine();
beforeAll(async () => {
  await useSourceRunner();
});
afterAll(() => engine.dispose());

const digits = path.join(samples, 'digits.tflite');
const data = path.join(samples, 'digits-calibration.npz');

/** Audits a model after some steps, and gives its handle to go on from. */
async function audited(
  file: string,
  steps: readonly RecipeStep[] = [],
): Promise<{ report: AuditReport; handle: string }> {
  let { handle } = await engine.call('open', { path: file });
  for (const step of steps) ({ handle } = await engine.call('apply', { handle, step }));
  return { report: await engine.call('audit', { handle }), handle };
}

async function layersOf(file: string): Promise<readonly { id: string; op: string; params: number | null }[]> {
  const { handle } = await engine.call('open', { path: file });
  return (await engine.call('inspect', { handle })).layers;
}

const messages = (report: AuditReport) => report.findings.map((finding) => finding.message).join('\n');
const cures = (report: AuditReport) => report.findings.flatMap(({ fixes }) => fixes.map(({ pass }) => pass));

describe('the audit of TFLite', () => {
  it('has nothing to say about a float model', async () => {
    const { report } = await audited(digits);
    expect(report).toMatchObject({ quantized: false, integers: 0, hybrid: 0, conversions: 0, findings: [] });
    expect(report.floats).toBeGreaterThan(5);
  });

  it('finds full-integer models on integers, and asks LiteRT which kernels are its own', async () => {
    const { report } = await audited(digits, [{ pass: 'quantize-static', data }]);
    expect(report.floats).toBe(0);
    expect(report.rows.find((row) => row.op === 'CONV_2D')?.kernel).toBe('XNNPACK');
    expect(cures(report)).toEqual([]);
  });

  it('tells why conversions are there when inputs and outputs stay float', async () => {
    const step = { pass: 'quantize-static', data, options: { io: 'float' } };
    const { report } = await audited(digits, [step]);
    expect(report.conversions).toBe(2);
    expect(messages(report)).toContain('an input that the model takes in float');
    expect(messages(report)).toContain('an output that the model gives in float');
  });

  it('offers to quantize the activations of hybrid layers, which leaves none', async () => {
    const dynamic = { pass: 'quantize-dynamic', options: { smallest: 0 } };
    const { report } = await audited(digits, [dynamic]);
    expect(report.hybrid).toBe((await layersOf(digits)).filter(({ params }) => (params ?? 0) > 0).length);
    expect(messages(report)).toContain('Computes on both: integer weights against float activations');
    expect(cures(report)).toContain('quantize-static');
    const { report: cured } = await audited(digits, [dynamic, { pass: 'quantize-static', data }]);
    expect(cured).toMatchObject({ hybrid: 0, floats: 0, conversions: 0 });
  });

  it('names a layer left in float with its conversions; the cure takes over the encodings around it', async () => {
    const layers = await layersOf(digits);
    const left = layers.filter(({ op }) => op === 'CONV_2D')[1]?.id;
    const others = layers.map(({ id }) => id).filter((id) => id !== left);
    const partly = { pass: 'quantize-static', data, layers: others };
    const { report } = await audited(digits, [partly]);
    expect(report.floats).toBeGreaterThan(0);
    expect(messages(report)).toContain('CONV_2D has an integer kernel, and was left in float');
    expect(messages(report)).toContain('Dequantizes for CONV_2D');
    expect(report.conversions).toBeGreaterThan(1);
    const { report: cured, handle } = await audited(digits, [partly, { pass: 'quantize-static', data }]);
    expect(cured).toMatchObject({ floats: 0, conversions: 0, findings: [] });
    const { handle: reference } = await engine.call('open', { path: digits });
    const { reference: same } = await engine.call('evaluate', { handle, reference, data, samples: 64 });
    expect(same?.sqnrDb).toBeGreaterThan(33);
  });
});

describe.runIf(hasShared)('the audit of public TFLite models', () => {
  const file = (name: string) => path.join(shared, 'models/tflite', `${name}.tflite`);

  it.each([
    ['vww_96_int8', ['AVERAGE_POOL_2D', 'SOFTMAX']],
    ['mobilenet_v2_q', []],
  ] as const)('%s runs on integers; XNNPACK leaves %j to other kernels', async (name, left) => {
    const { report } = await audited(file(name));
    expect(report.floats).toBe(0);
    const reference = report.rows.filter(({ kernel }) => kernel === 'reference').map(({ op }) => op);
    expect(reference).toEqual(left);
    for (const op of left) expect(messages(report)).toContain(`XNNPACK takes no ${op}`);
  });

  it('offers static quantization for an LSTM with float activations, which cures it', async () => {
    const hybrid = await audited(file('trained_lstm'), [
      { pass: 'quantize-dynamic', options: { smallest: 100 } },
    ]);
    const lstm = (report: typeof hybrid.report) =>
      report.rows.find(({ op }) => op === 'UNIDIRECTIONAL_SEQUENCE_LSTM');
    expect(lstm(hybrid.report)).toMatchObject({ runsOn: 'hybrid', kernel: null });
    const cured = await audited(file('trained_lstm'), [{ pass: 'quantize-static' }]);
    expect(lstm(cured.report)).toMatchObject({ runsOn: 'integers', kernel: null });
    expect(cures(cured.report)).toEqual([]);
  });
});
