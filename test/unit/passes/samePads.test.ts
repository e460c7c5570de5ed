import path from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { readModelFile } from '../../../src/formats/io/models.ts';
import { intAttribute } from '../../../src/ir/attribute.ts';
import { GraphEditor } from '../../../src/ir/edit.ts';
import type { Attribute, TfliteModel } from '../../../src/ir/model.ts';
import { withMainGraph } from '../../../src/ir/model.ts';
import { intTensor } from '../../../src/ir/numbers.ts';
import { tensorType } from '../../../src/ir/types.ts';
import { factsOf } from '../../../src/passes/support/facts.ts';
import { hasShared, samples, shared } from '../support/models.ts';
import { useSourceRunner } from '../support/runner.ts';
import { operatorsOf, runPass } from './build.ts';
import { relativeError } from './runtime.ts';
import { runTflite } from './tflite.ts';

beforeAll(useSourceRunner);

const valid: Attribute = { kind: 'enum', value: 1, name: 'VALID' };

/** The model with every SAME padding of a convolution as a PAD in front, `shift` rows of it moved to the other side. */
function padded(model: TfliteModel, shift: number): { model: TfliteModel; pads: number } {
  const graph = model.graphs[0];
  const facts = factsOf(model);
  const editor = new GraphEditor(graph, model);
  let pads = 0;
  for (const conv of graph.nodes) {
    if (!conv.op.endsWith('CONV_2D') || intAttribute(conv, 'padding', 0) !== 0) continue;
    const [x, weight] = [facts.dimsOf(conv.inputs[0]) ?? [], facts.dimsOf(conv.inputs[1]) ?? []];
    const sides = (['h', 'w'] as const).map((side, i) => {
      const stride = intAttribute(conv, `stride_${side}`, 1);
      const size = x[1 + i] as number;
      const total = (Math.ceil(size / stride) - 1) * stride + (weight[1 + i] as number) - size;
      return [Math.floor(total / 2) - shift, total - Math.floor(total / 2) + shift] as const;
    });
    if (sides.some(([before, after]) => before < 0 || before + after === 0)) continue;
    const numbers = [0, 0, ...sides.flat(), 0, 0];
    const shape = x.map(
      (dim, axis) => dim + (numbers[2 * axis] as number) + (numbers[2 * axis + 1] as number),
    );
    const amount = editor.addConstant(`${conv.id}_pads`, intTensor('int32', [4, 2], numbers));
    const input = graph.values.get(conv.inputs[0] as string);
    const output = editor.addValue(`${conv.id}_padded`, {
      type: tensorType(factsOf(model).dtypeOf(conv.inputs[0]) ?? 'float32', shape),
      ...(input?.quantization && { quantization: input.quantization }),
    });
    const pad = {
      id: editor.freshNode(`${conv.id}/pad`),
      name: '',
      op: 'PAD',
      domain: '',
      inputs: [conv.inputs[0] ?? null, amount],
      outputs: [output],
      attributes: new Map(),
    };
    const attributes = new Map(conv.attributes).set('padding', valid);
    editor.replaceNode(conv.id, [pad, { ...conv, inputs: [output, ...conv.inputs.slice(1)], attributes }]);
    pads += 1;
  }
  return { model: withMainGraph(model, editor.finish()), pads };
}

const files = [
  path.join(samples, 'digits.tflite'),
  ...(hasShared
    ? ['pretrainedResnet', 'vww_96_int8'].map((name) => path.join(shared, `models/tflite/${name}.tflite`))
    : []),
];

describe('PAD in front of a TFLite convolution', () => {
  it.each(files)('becomes SAME padding where it is that: %s', async (file) => {
    const model = readModelFile(file).model as TfliteModel;
    const { model: written, pads } = padded(model, 0);
    expect(pads).toBeGreaterThan(0);
    const { model: fused } = await runPass('fuse', written);
    expect(operatorsOf(fused)).toBe(operatorsOf((await runPass('fuse', model)).model));
    expect(relativeError(await runTflite(written), await runTflite(fused))).toBeLessThan(1e-6);
  });

  it('stays where it is another one', async () => {
    const model = readModelFile(files[0] as string).model as TfliteModel;
    const { model: written, pads } = padded(model, 1);
    expect(pads).toBeGreaterThan(0);
    expect(operatorsOf((await runPass('fuse', written)).model)).toContain(`PAD:${pads}`);
  });
});
