import { beforeAll, describe, expect, it } from 'vitest';
import { attr } from '../../../src/ir/attribute.ts';
import { GraphEditor } from '../../../src/ir/edit.ts';
import { readModelFile } from '../../../src/formats/io/models.ts';
import type { Model, Node, OnnxModel, Value } from '../../../src/ir/model.ts';
import { withMainGraph } from '../../../src/ir/model.ts';
import { floatTensor } from '../../../src/ir/numbers.ts';
import { missingBytes } from '../../../src/ir/bytes.ts';
import { tensorType } from '../../../src/ir/types.ts';
import { samples } from '../support/models.ts';
import { useSourceRunner } from '../support/runner.ts';
import { OnnxBuilder, operatorsOf, runPass } from './build.ts';
import { runTflite } from './tflite.ts';
import { onnxFeeds, random, relativeError, runOnnx } from './runtime.ts';

beforeAll(useSourceRunner);

async function fused(model: OnnxModel): Promise<OnnxModel> {
  const { model: after } = await runPass('fuse', model);
  const feeds = onnxFeeds(model, 3, 2);
  expect(relativeError(await runOnnx(model, feeds), await runOnnx(after, feeds))).toBeLessThan(1e-5);
  return after;
}

describe('fuse in ONNX', () => {
  it('folds batch normalization into a grouped ConvTranspose', async () => {
    const g = new OnnxBuilder();
    g.input('x', ['N', 4, 5, 5]);
    g.node('ConvTranspose', ['x', g.floats('w', [4, 3, 3, 3]), g.floats('b', [6])], 'c', { group: 2 });
    g.norm('c', 6, 'y');
    expect(operatorsOf(await fused(g.output('y').model()))).toBe('ConvTranspose:1');
  });

  it.each([0, 1])('folds batch normalization into a Gemm with alpha, beta and transB=%i', async (transB) => {
    const g = new OnnxBuilder();
    g.input('x', ['N', 5]);
    const weight = g.floats('w', transB === 1 ? [7, 5] : [5, 7]);
    g.node('Gemm', ['x', weight, g.floats('b', [7])], 'c', { transB, alpha: 0.5, beta: 2 });
    g.norm('c', 7, 'y');
    expect(operatorsOf(await fused(g.output('y').model()))).toBe('Gemm:1');
  });

  it('scales a MatMul but cannot shift it', async () => {
    const g = new OnnxBuilder();
    g.input('x', ['N', 3, 5]);
    g.node('MatMul', ['x', g.floats('w', [5, 7])], 'm');
    g.node('Div', ['m', g.floats('k', [7])], 'd');
    g.node('Add', ['d', g.floats('b', [7])], 'y');
    expect(operatorsOf(await fused(g.output('y').model()))).toBe('MatMul:1 Add:1');
  });

  it('folds a whole chain at once', async () => {
    const g = new OnnxBuilder();
    g.input('x', ['N', 3, 6, 6]);
    g.node('Conv', ['x', g.floats('w', [4, 3, 3, 3])], 'c');
    g.norm('c', 4, 'n');
    g.node('Mul', [g.floats('k', [4, 1, 1]), 'n'], 'm');
    g.node('Sub', [g.floats('s', [1, 4, 1, 1]), 'm'], 'y');
    expect(operatorsOf(await fused(g.output('y').model()))).toBe('Conv:1');
  });

  it('keeps a value that leaves the model or is read twice', async () => {
    const g = new OnnxBuilder();
    g.input('x', ['N', 3, 6, 6]);
    g.node('Conv', ['x', g.floats('w', [4, 3, 1, 1])], 'c');
    g.norm('c', 4, 'y');
    const model = g.output('y').output('c').model();
    expect((await runPass('fuse', model)).model).toBe(model);
  });

  it('copies a weight that two layers share', async () => {
    const g = new OnnxBuilder();
    g.input('x', ['N', 3, 6, 6]);
    g.floats('w', [3, 3, 1, 1]);
    g.node('Conv', ['x', 'w'], 'a');
    g.node('Conv', ['a', 'w'], 'b');
    g.norm('b', 3, 'y');
    const model = g.output('y').model();
    const after = await fused(model);
    expect(operatorsOf(after)).toBe('Conv:2');
    expect(after.graphs[0].values.get('w')?.constant).toBe(model.graphs[0].values.get('w')?.constant);
    expect(after.graphs[0].nodes.map((node) => node.inputs[1])).toEqual(['w', 'w_folded']);
  });

  it('leaves a constant that broadcasts over more than channels, and training-mode statistics', async () => {
    const g = new OnnxBuilder();
    g.input('x', ['N', 3, 6, 6]);
    g.node('Conv', ['x', g.floats('w', [4, 3, 1, 1])], 'c');
    g.node('Mul', ['c', g.floats('k', [6])], 'y');
    const model = g.output('y').model();
    expect((await runPass('fuse', model)).model).toBe(model);
  });

  it('moves zero pads into a convolution, but no other padding', async () => {
    const g = new OnnxBuilder();
    g.input('x', ['N', 3, 6, 6]);
    g.node('Pad', ['x', g.integers('p', [0, 0, 1, 2, 0, 0, 0, 1])], 'a');
    g.node('Conv', ['a', g.floats('w', [4, 3, 3, 3])], 'c', { pads: [1, 0, 0, 0] });
    g.node('Pad', ['c', 'p', g.floats('one', [], () => 1)], 'd');
    g.node('Conv', ['d', g.floats('v', [2, 4, 3, 3])], 'y');
    const after = await fused(g.output('y').model());
    expect(operatorsOf(after)).toBe('Conv:2 Pad:1');
    expect(after.graphs[0].nodes[0]?.attributes.get('pads')).toEqual(attr.ints([2, 2, 0, 1]));
  });

  it('fuses one layer when asked for it', async () => {
    const g = new OnnxBuilder();
    g.input('x', ['N', 3, 6, 6]);
    g.node('Conv', ['x', g.floats('w', [3, 3, 1, 1])], 'a');
    g.norm('a', 3, 'b');
    g.node('Relu', ['b'], 'r');
    g.node('Conv', ['r', g.floats('v', [3, 3, 1, 1])], 'c');
    g.norm('c', 3, 'y');
    const { model } = await runPass('fuse', g.output('y').model(), { layers: ['BatchNormalization:b'] });
    expect(operatorsOf(model)).toBe('Conv:2 Relu:1 BatchNormalization:1');
  });

  it('says which layers stay because their weights are missing', async () => {
    const g = new OnnxBuilder();
    g.input('x', ['N', 3, 6, 6]);
    g.constant('w', { dtype: 'float32', dims: [3, 3, 1, 1], data: missingBytes(36, 'w.bin is missing') });
    g.node('Conv', ['x', 'w'], 'a');
    g.norm('a', 3, 'y');
    const model = g.output('y').model();
    const result = await runPass('fuse', model);
    expect(result.model).toBe(model);
    expect(result.notes).toEqual(['1 layers stay as they are: their weights are missing']);
  });
});

/** Puts MUL, ADD and RELU6 behind every convolution of a model. */
function unfused(model: Model): Model {
  const graph = model.graphs[0];
  const editor = new GraphEditor(graph, model);
  const next = random(5);
  for (const node of graph.nodes) {
    const output = node.outputs[0];
    const weight = graph.values.get(node.inputs[1] ?? '')?.constant;
    const type = output == null ? undefined : graph.values.get(output)?.type;
    if (node.op !== 'CONV_2D' || output == null || weight === undefined || type === undefined) continue;
    const channels = weight.dims[0] as number;
    const constant = (base: string) =>
      editor.addConstant(
        base,
        floatTensor(
          [channels],
          Float32Array.from({ length: channels }, () => 0.5 + next()),
        ),
      );
    const [a, b, c] = ['a', 'b', 'c'].map((base) => editor.addValue(`${output}_${base}`, { type })) as [
      string,
      string,
      string,
    ];
    const plain = (op: string, inputs: string[], result: string): Node => ({
      id: editor.freshNode(op),
      name: '',
      op,
      domain: '',
      inputs,
      outputs: [result],
      attributes: new Map(),
    });
    editor.replaceNode(node.id, [
      { ...node, outputs: [a] },
      plain('MUL', [a, constant('scale')], b),
      plain('ADD', [constant('shift'), b], c),
      plain('RELU6', [c], output),
    ]);
  }
  return withMainGraph(model, editor.finish());
}

describe('fuse in TFLite', () => {
  it('folds constants into weights and activations into operators', async () => {
    const model = unfused(readModelFile(`${samples}/digits.tflite`).model);
    const { model: after } = await runPass('fuse', model);
    expect(operatorsOf(after)).toBe('RESHAPE:2 CONV_2D:3 RELU:3 MAX_POOL_2D:1 MEAN:1 FULLY_CONNECTED:2');
    const activations = after.graphs[0].nodes
      .filter((node) => node.op === 'CONV_2D')
      .map((node) => node.attributes.get('fused_activation_function'));
    expect(activations).toEqual(Array.from({ length: 3 }, () => ({ kind: 'enum', value: 3, name: 'RELU6' })));
    expect(relativeError(await runTflite(model), await runTflite(after))).toBeLessThan(1e-4);
  });

  it('does not fuse into a result that is encoded otherwise', async () => {
    const { model } = readModelFile(`${samples}/digits.tflite`);
    const graph = model.graphs[0];
    const relu = graph.nodes.find((node) => node.op === 'RELU') as Node;
    const quantize = (id: string, scale: number): readonly [string, Value] => {
      const value = graph.values.get(id);
      if (value?.type?.kind !== 'tensor') throw new Error(`no value ${id}`);
      const quantization = { scale: Float32Array.of(scale), zeroPoint: [0], axis: 0 };
      return [id, { ...value, type: tensorType('int8', value.type.shape), quantization }];
    };
    const values = new Map<string, Value>([
      ...graph.values,
      quantize(relu.inputs[0] as string, 0.1),
      quantize(relu.outputs[0] as string, 0.2),
    ]);
    const mixed = withMainGraph(model, { ...graph, values });
    const { model: after } = await runPass('fuse', mixed);
    expect(after.graphs[0].nodes).toContain(relu);
  });
});

describe('fuse puts one operator where exporters wrote several', () => {
  /** As torch writes them: Pow and Div, the constants last. */
  const written = (power: boolean) => {
    const g = new OnnxBuilder(3);
    g.input('x', ['N', 5, 8]);
    g.node('ReduceMean', ['x'], 'm', { axes: [-1] });
    g.node('Sub', ['x', 'm'], 'd');
    if (power) g.node('Pow', ['d', g.floats('two', [], () => 2)], 'p');
    else g.node('Mul', ['d', 'd'], 'p');
    g.node('ReduceMean', ['p'], 'v', { axes: [-1] });
    g.node('Sqrt', [g.node('Add', ['v', g.floats('e', [], () => 1e-5)], 'a')], 's');
    g.node('Div', ['d', 's'], 'n');
    g.node('Add', [g.node('Mul', ['n', g.floats('w', [8])], 'k'), g.floats('b', [8])], 'l');
    g.node('Erf', [g.node('Div', ['l', g.floats('r', [], () => Math.SQRT2)], 'q')], 'f');
    g.node('Mul', ['l', g.node('Add', ['f', g.floats('one', [], () => 1)], 'o')], 'h');
    g.node('Mul', ['h', g.floats('half', [], () => 0.5)], 'y');
    return g.output('y');
  };

  it.each([true, false])('LayerNormalization and Gelu (Pow: %s)', async (power) => {
    const model = written(power).model(17);
    const { model: fused } = await runPass('fuse', model);
    expect(operatorsOf(fused)).toBe('LayerNormalization:1 Div:1 Erf:1 Add:1 Mul:2');
    const feeds = onnxFeeds(model, 5, 3);
    expect(relativeError(await runOnnx(model, feeds), await runOnnx(fused, feeds))).toBeLessThan(1e-5);
    expect((await runPass('fuse', written(power).model(16))).changed).toEqual([]);
  });

  it('Gelu from opset 20 on', async () => {
    const g = new OnnxBuilder(3);
    g.input('x', ['N', 8]);
    g.node('Erf', [g.node('Mul', ['x', g.floats('r', [], () => Math.SQRT1_2)], 'q')], 'f');
    g.node(
      'Mul',
      [
        g.node('Mul', ['x', g.floats('half', [], () => 0.5)], 'h'),
        g.node('Add', ['f', g.floats('one', [], () => 1)], 'o'),
      ],
      'y',
    );
    const model = g.output('y').model(20);
    const { model: fused } = await runPass('fuse', model);
    expect(operatorsOf(fused)).toBe('Gelu:1');
    const feeds = onnxFeeds(model, 5, 3);
    expect(relativeError(await runOnnx(model, feeds), await runOnnx(fused, feeds))).toBeLessThan(1e-5);
  });
});
