import path from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { readModelFile } from '../../../src/formats/io/models.ts';
import type { Model, Node } from '../../../src/ir/model.ts';
import { readIntegers } from '../../../src/ir/numbers.ts';
import { indexOf } from '../../../src/ir/walk.ts';
import { samples } from '../support/models.ts';
import { useSourceRunner } from '../support/runner.ts';
import { top1 } from './accuracy.ts';
import { operatorsOf, runPass } from './build.ts';
import { calibratorFor } from './calibrate.ts';
import { optimizedOnnx } from './runtime.ts';

beforeAll(useSourceRunner);

const test = path.join(samples, 'digits-test.npz');

/** A bit per weight needs all 256 samples; with 48 it costs several times more. */
function digits(extension: string, count = 48) {
  const { model } = readModelFile(path.join(samples, `digits.${extension}`));
  return { model, calibrator: calibratorFor(model, path.join(samples, 'digits-calibration.npz'), count) };
}

/** The most different codes that an output channel of the layers has, the first and the last layer aside. */
function mostCodes(model: Model): number {
  const graph = model.graphs[0];
  const { producer } = indexOf(graph);
  const names = ['Conv', 'Gemm', 'MatMul', 'CONV_2D', 'DEPTHWISE_CONV_2D', 'FULLY_CONNECTED'];
  const layers = graph.nodes.filter((node) => names.includes(node.op));
  return Math.max(...layers.slice(1, -1).map((node) => codesOf(node)));

  function codesOf(node: Node): number {
    const read = node.inputs[1] ?? '';
    const stored = graph.values.get(producer.get(read)?.inputs[0] ?? read)?.constant;
    if (stored === undefined) throw new Error(`${node.id} has no stored weight`);
    const codes = readIntegers(stored);
    const last = node.op === 'MatMul' || node.op === 'DEPTHWISE_CONV_2D';
    const channels = (last ? stored.dims.at(-1) : stored.dims[0]) ?? 1;
    const each = codes.length / channels;
    const sets = Array.from({ length: channels }, () => new Set<number>());
    for (const [i, code] of codes.entries()) sets[last ? i % channels : Math.floor(i / each)]?.add(code);
    return Math.max(...sets.map((set) => set.size));
  }
}

describe.each(['onnx', 'tflite'])('narrow weights of digits.%s', (extension) => {
  it.each([
    ['w4a8', 'auto', 1],
    ['w3a8', 'optimized', 1.5],
    ['w2a8', 'auto', 2],
    ['w1a8', 'auto', 2],
    ['w4a8', 'nearest', 2],
    ['w8a8', 'sequential', 0.5],
  ] as const)(
    '%s, rounding %s: few codes, integer kernels, and the accuracy',
    async (scheme, rounding, most) => {
      const { model, calibrator } = digits(extension, scheme === 'w1a8' ? 256 : 48);
      const options = { scheme, rounding };
      const { model: after, notes } = await runPass('quantize-static', model, { options, calibrator });
      const bits = Number(scheme[1]);
      // The zero of channels that were added is one more.
      expect(mostCodes(after)).toBeLessThanOrEqual(2 ** bits + 1);
      if (bits < 8) expect(notes.join()).toContain('stored as int8');
      if (after.dialect === 'onnx') {
        const plain = await runPass('quantize-static', model, { options: {}, calibrator });
        if (plain.model.dialect !== 'onnx') throw new Error('not ONNX');
        expect(operatorsOf(await optimizedOnnx(after))).toBe(operatorsOf(await optimizedOnnx(plain.model)));
      }
      const drop = (await top1(model, test)) - (await top1(after, test));
      console.info(`digits.${extension} ${scheme} ${rounding}: drop ${drop.toFixed(2)}`);
      expect(drop).toBeLessThanOrEqual(most);
    },
    60_000,
  );
});
