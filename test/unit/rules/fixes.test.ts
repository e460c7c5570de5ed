import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { readModelFile } from '../../../src/formats/io/models.ts';
import type { Model } from '../../../src/ir/model.ts';
import type { PassContext } from '../../../src/passes/pass.ts';
import { passById } from '../../../src/passes/registry.ts';
import type { Fix } from '../../../src/rules/rule.ts';
import { hasShared, shared } from '../support/models.ts';
import { check, device, of } from './check.ts';
import { convNet, onnx, perTensor, tensor, tflite } from './small.ts';

const context: PassContext = { step: () => Promise.resolve(), seed: 1 };

async function applied(model: Model, { pass, options, layers }: Fix): Promise<Model> {
  const found = passById(pass);
  if (found === undefined) throw new Error(`no pass ${pass}`);
  const result = await found.run(model, options, { ...context, ...(layers && { layers: new Set(layers) }) });
  return result.model;
}

/** The first fix of a finding, and what the rule says once it has been applied. */
async function cured(rule: string, model: Model): Promise<readonly unknown[]> {
  const [finding] = of(rule, model);
  const [fix] = finding?.fixes ?? [];
  if (fix === undefined) throw new Error(`${rule} offers no fix`);
  return of(rule, await applied(model, fix));
}

describe('fixes that repair the file cure what they are offered for', () => {
  it('zero points of int8 weights, where the codes have room', async () => {
    const net = (zero: number) =>
      tflite({
        inputs: { x: ['int8', [1, 4]] },
        outputs: ['y'],
        types: { y: ['int8', [1, 2]] },
        constants: { w: tensor('int8', [2, 4], new Uint8Array(8).fill(5)) },
        quantization: { x: perTensor(0.1), y: perTensor(0.1), w: perTensor(0.1, zero) },
        nodes: [['fc', 'FULLY_CONNECTED', ['x', 'w', ''], ['y']]],
      });
    expect(await cured('nonzero-weight-zero-point', net(3))).toEqual([]);
    expect(of('nonzero-weight-zero-point', net(-128))[0]?.fixes).toEqual([]);
  });

  it('versions above the runtime, where the file needs no newer ones', async () => {
    const model = onnx({
      inputs: { x: ['float32', [1, 4]] },
      outputs: ['y'],
      nodes: [['r', 'Relu', ['x'], ['y']]],
    });
    expect(await cured('opset-above-runtime', { ...model, irVersion: 14 })).toEqual([]);
    const unknown = { ...model, opsets: new Map([['', 99]]) };
    expect(of('opset-above-runtime', unknown)[0]?.fixes).toEqual([]);
  });

  it.runIf(hasShared).each([
    ['tflite-bias-axis', 'person_detect.tflite'],
    ['misaligned-weights', 'person_detect.tflite'],
    ['misaligned-weights', 'trained_lstm_int8.tflite'],
  ])('%s of %s', async (rule, file) => {
    const { model } = readModelFile(path.join(shared, 'models/tflite', file));
    expect(await cured(rule, model)).toEqual([]);
  });
});

it('what is too slow or too large somewhere is offered what makes it faster or smaller there', () => {
  const wide = convNet(64, 16);
  const on = { device: device('pi4') };
  const slow = of('over-latency-budget', wide, { ...on, budget: { latencyMs: 0.01 } });
  expect(slow[0]?.fixes.map(({ gain }) => gain?.latencyMs !== undefined)).toContain(true);
  const small = { device: device('coral_usb', { onChipBytes: 1000 }) };
  expect(of('exceeds-accelerator-memory', wide, small)[0]?.fixes).toMatchObject([
    { pass: 'quantize-static' },
  ]);
  expect(check(wide).every(({ fixes }) => fixes.every(({ title }) => title !== ''))).toBe(true);
});
