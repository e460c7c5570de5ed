import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { analyse } from '../../../src/analysis/analyse.ts';
import { arenaBytesOf } from '../../../src/devices/arena.ts';
import { readModelFile } from '../../../src/formats/io/models.ts';
import { localEngine } from '../../../src/engine/local.ts';
import { arenaOfQuantized } from '../../../src/rules/gainArena.ts';
import { hasShared, shared } from '../support/models.ts';
import { useSourceRunner } from '../support/runner.ts';

/** Against the pass itself: what the planner says of the model that `quantize-static` makes. */
describe.runIf(hasShared)('RAM behind static quantization, foretold', () => {
  it.each([
    ['own/digits.onnx', 'x86'],
    ['own/cifar_mobilenet.onnx', 'ort-x86-vnni'],
    ['own/cifar_vit.onnx', 'x86'],
    ['onnx/mnist.onnx', 'arm'],
  ])('%s for %s', async (file, target) => {
    await useSourceRunner();
    const model = path.join(shared, 'models', file);
    const engine = localEngine();
    try {
      const { handle } = await engine.call('open', { path: model });
      const step = { pass: 'quantize-static', options: { target } };
      const applied = await engine.call('apply', { handle, step });
      const { budget = [] } = await engine.call('check', { handle: applied.handle, budget: { ramBytes: 1 } });
      const { model: before } = readModelFile(model);
      if (before.dialect !== 'onnx') throw new Error('an ONNX model was asked for');
      const now = arenaBytesOf(before, analyse(before)) ?? 0;
      const done = now - (budget[0]?.used ?? 0);
      const foretold = now - (arenaOfQuantized(before, target) ?? now);
      expect(Math.abs(foretold - done)).toBeLessThan(0.02 * now);
    } finally {
      engine.dispose();
    }
  });
});
