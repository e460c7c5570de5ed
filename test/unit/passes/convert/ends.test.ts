import { join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { writeModelFile } from '../../../../src/formats/io/models.ts';
import type { Attribute, Quantization, TfliteModel, Value } from '../../../../src/ir/model.ts';
import { attr } from '../../../../src/ir/attribute.ts';
import { floatTensor, numberTensor } from '../../../../src/ir/numbers.ts';
import { tensorType } from '../../../../src/ir/types.ts';
import { tfliteToOnnx } from '../../../../src/passes/convert/toOnnx/convert.ts';
import { evaluate } from '../../../../src/runtime/measure/evaluate.ts';
import { startRunner } from '../../../../src/runtime/process/launch.ts';
import { constant, graphOf, modelOf, node, value } from '../../formats/tflite/support.ts';
import { useSourceRunner } from '../../support/runner.ts';
import { temporaryFolder } from '../../support/temporary.ts';
import { int8Model } from '../../support/tinyTflite.ts';

beforeAll(useSourceRunner);
const folder = temporaryFolder();

const choice = (name: string, number: number): Attribute => ({ kind: 'enum', value: number, name });

const scaled = (scale: number, zeroPoint = 0): Quantization => ({
  scale: Float32Array.of(scale),
  zeroPoint: [zeroPoint],
  axis: 0,
});

/** A pointwise convolution of `codes`, RELU6, whose result has this scale. */
function convolution(result: Quantization): TfliteModel {
  const typed = (id: string, dims: readonly number[], more: Partial<Value>) =>
    value(id, dims, { type: tensorType('uint8', dims), ...more });
  const weights = numberTensor('uint8', [2, 1, 1, 1], [200, 90]);
  const bias = numberTensor('int32', [2], [100, -50]);
  const values = [
    typed('x', [1, 2, 2, 1], { quantization: scaled(0.05, 128) }),
    { ...constant('w', weights), quantization: scaled(0.02, 128) },
    { ...constant('b', bias), quantization: scaled(0.001) },
    typed('y', [1, 2, 2, 2], { quantization: result }),
  ];
  const made = node('CONV_2D', ['x', 'w', 'b'], ['y'], {
    padding: choice('VALID', 1),
    stride_w: attr.int(1),
    stride_h: attr.int(1),
    fused_activation_function: choice('RELU6', 3),
    dilation_w_factor: attr.int(1),
    dilation_h_factor: attr.int(1),
  });
  return modelOf(graphOf([made], values, ['x'], ['y']));
}

const operators = (model: TfliteModel) => tfliteToOnnx(model).model.graphs[0].nodes.map(({ op }) => op);

describe('a bound behind a quantized layer', () => {
  it('goes where the codes end at it, though the last code lies a rounding beyond', () => {
    // 255 codes of 0.023529 reach 6.0003: six itself is the last of them.
    expect(operators(convolution(scaled(0.02352941)))).not.toContain('Clip');
  });

  it('stays where codes lie beyond it', () => {
    expect(operators(convolution(scaled(0.05)))).toContain('Clip');
  });
});

describe('ends of a converted model', () => {
  it('mean real numbers by the scales beside them', async () => {
    const [from, to] = [join(folder, 'int8.tflite'), join(folder, 'int8.onnx')];
    await writeModelFile(int8Model(), from);
    await writeModelFile(tfliteToOnnx(int8Model()).model, to);
    const report = await evaluate(startRunner, { model: to, reference: from, samples: 50 });
    // The same codes on both sides, which no dB say.
    expect(report.reference).toMatchObject({ sqnrDb: null, agreement: 1 });
    const back = await evaluate(startRunner, { model: from, reference: to, samples: 50 });
    expect(back.reference?.sqnrDb).toBeNull();
  });

  it('that come out as they went in, or twice, get a name of their own', async () => {
    const model = modelOf(
      graphOf(
        [node('ADD', ['x', 'one'], ['y'], { fused_activation_function: choice('NONE', 0) })],
        [value('x', [1, 2]), constant('one', floatTensor([], Float32Array.of(1))), value('y', [1, 2])],
        ['x'],
        ['x', 'y', 'y'],
      ),
    );
    const { model: made, notes } = tfliteToOnnx(model);
    expect(made.graphs[0].outputs).toEqual(['x_out', 'y', 'y_out']);
    expect(notes).toContain("output 'x' is named 'x_out'");
    const file = join(folder, 'through.onnx');
    await writeModelFile(made, file);
    const report = await evaluate(startRunner, { model: file, reference: file, samples: 2 });
    expect(report.reference).toMatchObject({ agreement: 1 });
  });
});

describe('16-bit activations', () => {
  it('take biases of 64 bits along', async () => {
    const result = { type: tensorType('int16', [1, 2]), quantization: scaled(0.001) };
    const weights = numberTensor('int8', [2, 2], [100, -50, 25, 75]);
    const bias = numberTensor('int64', [2], [40_000, -10_000]);
    const model = modelOf(
      graphOf(
        [
          node('FULLY_CONNECTED', ['x', 'w', 'b'], ['y'], {
            fused_activation_function: choice('NONE', 0),
          }),
        ],
        [
          value('x', [1, 2], { type: tensorType('int16', [1, 2]), quantization: scaled(0.0005) }),
          { ...constant('w', weights), quantization: scaled(0.01) },
          { ...constant('b', bias), quantization: scaled(0.000005) },
          value('y', [1, 2], result),
        ],
        ['x'],
        ['y'],
      ),
    );
    const file = join(folder, 'wide.onnx');
    await writeModelFile(tfliteToOnnx(model).model, file);
    const session = await startRunner().open(file, {});
    const codes = Int16Array.of(1000, -2000);
    const made = await session.run({
      x: { dtype: 'int16', dims: [1, 2], data: new Uint8Array(codes.buffer) },
    });
    // 0.5 · 1 + (-1) · (-0.5) + 0.2 = 1.2; 0.5 · 0.25 + (-1) · 0.75 - 0.05 = -0.675.
    const { data } = made['y']!;
    expect([...new Int16Array(data.slice().buffer)]).toEqual([1200, -675]);
  });
});
