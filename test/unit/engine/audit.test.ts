import { beforeAll, describe, expect, it } from 'vitest';
import { analyse } from '../../../src/analysis/analyse.ts';
import { targetFor } from '../../../src/devices/targets/registry.ts';
import type { AuditReport } from '../../../src/engine/audit/report.ts';
import { auditReport } from '../../../src/engine/audit/report.ts';
import type { OnnxModel } from '../../../src/ir/model.ts';
import { floatTensor } from '../../../src/ir/numbers.ts';
import { OnnxBuilder, runPass } from '../passes/build.ts';
import { calibratorFor, givenRanges } from '../passes/calibrate.ts';
import { onnxFeeds, optimizedOnnx, runOnnx, sqnrDb } from '../passes/runtime.ts';
import { network } from '../passes/variety.ts';
import { useSourceRunner } from '../support/runner.ts';

beforeAll(useSourceRunner);

async function audit(model: OnnxModel): Promise<AuditReport> {
  const optimized = (await optimizedOnnx(model)) as OnnxModel;
  return auditReport(model, analyse(model), optimized, targetFor('x86', 'onnx'), 'test');
}

const quantize = async (model: OnnxModel, target: string) =>
  (
    await runPass('quantize-static', model, {
      options: { target },
      calibrator: calibratorFor(model, undefined, 8),
    })
  ).model;
const floatOps = (report: AuditReport) =>
  report.rows.filter((row) => row.runsOn === 'floats').map((row) => row.op);

describe('the fusion audit', () => {
  it('finds what quantize-static writes for this runtime on integers, but for the head', async () => {
    const report = await audit(await quantize(network(), 'x86'));
    expect(floatOps(report)).toEqual(['Softmax']);
    expect(report.integers).toBeGreaterThan(15);
    expect(report.findings.flatMap((finding) => finding.fixes)).toEqual([]);
  });

  const foreign: readonly (readonly [string, string])[] = [
    ['qnn', 'HardSwish has no integer kernel and runs in float between codes'],
    ['tensorrt', 'the result of Conv is not quantized at once, so that it has no kernel'],
  ];
  it.each(foreign)('names what a model for %s loses, and requantize cures it', async (target, reason) => {
    const model = network();
    const other = await quantize(model, target);
    const before = await audit(other);
    expect(before.rows.some((row) => row.reason?.includes(reason))).toBe(true);
    const cures = before.findings.flatMap((finding) => finding.fixes.map((fix) => fix.pass));
    expect(cures).toContain('requantize');
    const calibrator = calibratorFor(other, undefined, 8);
    const { model: cured, notes } = await runPass('requantize', other, { calibrator });
    expect(notes.some((note) => note.includes('ranges taken over from the model'))).toBe(true);
    const after = await audit(cured);
    expect(floatOps(after)).toEqual(['Softmax']);
    expect(after.findings.flatMap((finding) => finding.fixes)).toEqual([]);
    const feeds = onnxFeeds(model, 9);
    expect(sqnrDb(await runOnnx(model, feeds), await runOnnx(cured, feeds))).toBeGreaterThan(12);
  });

  it('names a Clip that the codes reach beyond', async () => {
    const g = new OnnxBuilder(4);
    g.input('x', ['N', 16, 8, 8]);
    g.node('Conv', ['x', g.floats('w', [16, 16, 1, 1]), g.floats('b', [16])], 'a');
    g.node('Clip', ['a', g.floats('low', [], () => 0), g.floats('high', [], () => 6)], 'c');
    g.node('Conv', ['c', g.floats('v', [16, 16, 1, 1])], 'y');
    const model = g.output('y').model();
    const { model: good } = await runPass('quantize-static', model, {
      options: { equalize: false, rounding: 'nearest' },
      calibrator: givenRanges({ c: [0, 6] }, { min: -8, max: 8 }),
    });
    expect(floatOps(await audit(good))).toEqual([]);
    const graph = good.graphs[0];
    const clip = graph.nodes.find((node) => node.op === 'Clip');
    const quantizer = graph.nodes.find((node) => node.inputs[0] === clip?.outputs[0]);
    const scale = graph.values.get(quantizer?.inputs[1] ?? '');
    if (scale === undefined) throw new Error('no scale');
    const values = new Map(graph.values).set(scale.id, {
      ...scale,
      constant: floatTensor([], Float32Array.of(7 / 255)),
    });
    const bad: OnnxModel = { ...good, graphs: [{ ...graph, values }] };
    const report = await audit(bad);
    expect(floatOps(report)).toEqual(['Conv', 'Clip']);
    expect(report.rows[0]?.reason).toContain('the codes reach 7, beyond the Clip at 6');
    const { model: cured } = await runPass('requantize', bad, {
      calibrator: calibratorFor(bad, undefined, 2),
    });
    expect(floatOps(await audit(cured))).toEqual([]);
  });

  it('names int8 activations that a residual addition shares on x86', async () => {
    const g = new OnnxBuilder(4);
    g.input('x', ['N', 16, 8, 8]);
    g.node('Conv', ['x', g.floats('w', [16, 16, 1, 1])], 'a');
    g.node('Conv', ['a', g.floats('v', [16, 16, 1, 1])], 'b');
    g.node('Add', ['a', 'b'], 's');
    g.node('Conv', ['s', g.floats('u', [16, 16, 1, 1])], 'y');
    const model = g.output('y').model();
    const report = await audit(await quantize(model, 'ort-arm'));
    // On ARM the runtime keeps all of it on integers.
    if (process.arch !== 'x64') return;
    const add = report.rows.find((row) => row.op === 'Add');
    expect(add?.runsOn).toBe('floats');
    expect(add?.reason).toContain('int8');
    const other = await quantize(model, 'ort-arm');
    const { model: cured } = await runPass('requantize', other, {
      calibrator: calibratorFor(other, undefined, 2),
    });
    expect(floatOps(await audit(cured))).toEqual([]);
  });

  it('has nothing to say about a float model', async () => {
    const report = await audit(network());
    expect(report).toMatchObject({ quantized: false, integers: 0, findings: [] });
  });
});
