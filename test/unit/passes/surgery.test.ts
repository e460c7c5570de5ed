import path from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { readModelFile } from '../../../src/formats/io/models.ts';
import type { DType } from '../../../src/ir/dtype.ts';
import type { Model, ValueId } from '../../../src/ir/model.ts';
import { encodeNumbers } from '../../../src/ir/numbers.ts';
import type { OptionValues } from '../../../src/passes/pass.ts';
import { startRunner } from '../../../src/runtime/process/launch.ts';
import type { HostTensor, Tensors } from '../../../src/runtime/runner.ts';
import { hasShared, samples, shared } from '../support/models.ts';
import { useSourceRunner } from '../support/runner.ts';
import { OnnxBuilder, operatorsOf, runPass } from './build.ts';
import { calibratorFor, temporaryFile } from './calibrate.ts';
import { floatsOf, random } from './runtime.ts';

beforeAll(useSourceRunner);

const files = ['digits.onnx', 'digits.tflite'] as const;
const read = (name: string): Model => readModelFile(path.join(samples, name)).model;

function tensor(dtype: DType, dims: readonly number[], value: (i: number) => number): HostTensor {
  const count = dims.reduce((product, dim) => product * dim, 1);
  const data = encodeNumbers(
    dtype,
    Float64Array.from({ length: count }, (_, i) => value(i)),
  );
  return { dtype, dims, data };
}

function noise(dims: readonly number[], seed = 3): HostTensor {
  const next = random(seed);
  return tensor('float32', dims, () => next() * 2 - 1);
}

async function run(model: Model, feeds: Tensors): Promise<Tensors> {
  const runner = startRunner();
  const session = await runner.open(await temporaryFile(model), {});
  const result = await session.run(feeds);
  runner.kill();
  return result;
}

function expectClose(a: HostTensor | undefined, b: ArrayLike<number>, tolerance = 1e-5): void {
  const seen = floatsOf(a);
  expect(seen.length).toBe(b.length);
  seen.forEach((value, i) => expect(Math.abs(value - (b[i] as number))).toBeLessThan(tolerance));
}

async function operated(id: string, model: Model, options: OptionValues, layers?: readonly string[]) {
  return (await runPass(id, model, { options, ...(layers && { layers }) })).model;
}

const image = noise([1, 1, 8, 8]);

describe('extract', () => {
  it.each([
    ['digits.onnx', '/5/Relu_output_0'],
    ['digits.tflite', '/5/Relu_output_0'],
  ])('cuts %s in two parts that give what the whole gives', async (name, middle) => {
    const model = read(name);
    const whole = await run(model, { image });
    const head = await operated('extract', model, { outputs: middle });
    const tail = await operated('extract', model, { inputs: middle });
    expect(head.graphs[0].nodes.length + tail.graphs[0].nodes.length).toBe(model.graphs[0].nodes.length);
    const between = (await run(head, { image }))[middle] as HostTensor;
    const result = await run(tail, { [middle]: between });
    expectClose(result['logits'], floatsOf(whole['logits']));
  });

  it('takes layers, and their border becomes the ends', async () => {
    const model = read('digits.onnx');
    const ids = model.graphs[0].nodes.slice(3, 6).map((node) => node.id);
    const part = await operated('extract', model, {}, ids);
    expect(part.graphs[0].nodes.map((node) => node.id)).toEqual(ids);
    expect(part.graphs[0].inputs.length).toBe(1);
    expect(part.graphs[0].outputs.length).toBe(1);
  });

  it('names what it cannot find, and inputs that lead nowhere', async () => {
    const model = read('digits.onnx');
    await expect(operated('extract', model, { outputs: 'nope' })).rejects.toThrow("no tensor 'nope'");
    await expect(
      operated('extract', model, { inputs: 'logits', outputs: '/5/Relu_output_0' }),
    ).rejects.toThrow('do not depend on logits');
    await expect(operated('extract', model, {})).rejects.toThrow('name layers, or tensors');
  });
});

describe('remove-layers', () => {
  it.each(files)('bypasses an activation of %s', async (name) => {
    const model = read(name);
    const relu = model.graphs[0].nodes.find((node) => /^relu$/i.test(node.op));
    const after = await operated('remove-layers', model, {}, [relu?.id as string]);
    expect(after.graphs[0].nodes.length).toBe(model.graphs[0].nodes.length - 1);
    const outputs = await run(after, { image });
    expect(floatsOf(outputs['logits']).every(Number.isFinite)).toBe(true);
    const before = await run(model, { image });
    expect([...floatsOf(outputs['logits'])]).not.toEqual([...floatsOf(before['logits'])]);
  });

  it('keeps the name of an output when the layer behind it goes', async () => {
    const g = new OnnxBuilder();
    g.input('x', [1, 4]);
    g.node('Relu', ['x'], 'r');
    g.node('Softmax', ['r'], 'y');
    const after = await operated('remove-layers', g.output('y').model(), {}, ['Softmax:y']);
    expect(after.graphs[0].outputs).toEqual(['y']);
    const outputs = await run(after, { x: tensor('float32', [1, 4], (i) => i - 2) });
    expectClose(outputs['y'], [0, 0, 0, 1]);
  });

  it('cuts a tail off layer by layer, with nothing left of what only the tail read', async () => {
    const g = new OnnxBuilder();
    g.input('x', [2, 4]);
    g.node('Relu', ['x'], 'r');
    g.node('ReduceMax', ['r'], 'm', { axes: [1] });
    g.node('ArgMax', ['m'], 'y', { axis: 0 });
    const model = g.output('y').model();
    const after = await operated('remove-layers', model, {}, ['ArgMax:y', 'ReduceMax:m']);
    expect(operatorsOf(after)).toBe('Relu:1');
    expect(after.graphs[0].outputs).toEqual(['r']);
  });

  it('refuses a layer in the middle that changes the shape', async () => {
    const model = read('digits.onnx');
    const conv = model.graphs[0].nodes[0]?.id as string;
    await expect(operated('remove-layers', model, {}, [conv])).rejects.toThrow(
      'changes shape, type or scale',
    );
  });
});

describe('rename', () => {
  it.each(files)('renames the ends of %s', async (name) => {
    const model = read(name);
    const after = await operated('rename', model, { names: 'image=picture, logits=scores' });
    const file = readModelFile(await temporaryFile(after)).model;
    const ends = [...file.graphs[0].inputs, ...file.graphs[0].outputs];
    expect(ends).toEqual(['picture', 'scores']);
    const outputs = await run(after, { picture: image });
    expectClose(outputs['scores'], floatsOf((await run(model, { image }))['logits']));
  });

  it('renames what bodies of control flow read', async () => {
    const body = (op: string) => {
      const inner = new OnnxBuilder();
      inner.node(op, ['shared'], `${op}_out`);
      return inner.output(`${op}_out`).graph(op);
    };
    const g = new OnnxBuilder();
    g.input('x', [1, 3]);
    g.input('c', [], 'bool');
    g.node('Relu', ['x'], 'shared');
    g.node('If', ['c'], 'y', { then_branch: body('Neg'), else_branch: body('Abs') });
    const after = await operated('rename', g.output('y').model(), { names: 'shared=hidden' });
    const feeds = { x: tensor('float32', [1, 3], (i) => i), c: tensor('bool', [], () => 1) };
    expectClose((await run(after, feeds))['y'], [-0, -1, -2]);
  });

  it('refuses a name that is taken', async () => {
    const names = 'image=logits';
    await expect(operated('rename', read('digits.onnx'), { names })).rejects.toThrow("'logits' already");
  });
});

describe('set-shape', () => {
  it.each(files)('lets %s take three images at once', async (name) => {
    const model = read(name);
    const after = await operated('set-shape', model, { batch: '3' });
    const images = noise([3, 1, 8, 8]);
    const outputs = await run(after, { image: images });
    const each = 64 * 4;
    for (let i = 0; i < 3; i += 1) {
      const one = { ...images, dims: [1, 1, 8, 8], data: images.data.slice(i * each, (i + 1) * each) };
      const alone = floatsOf((await run(model, { image: one }))['logits']);
      expectClose({ ...(outputs['logits'] as HostTensor), ...rowOf(outputs['logits'], i) }, alone);
    }
  });

  it('opens the batch of an ONNX model and binds it again', async () => {
    const open = await operated('set-shape', read('digits.onnx'), { batch: 'N' });
    expect(shapeOf(open, 'logits')).toEqual(['N', 10]);
    const bound = await operated('set-shape', open, { dims: 'N=5' });
    expect(shapeOf(bound, 'logits')).toEqual([5, 10]);
    const outputs = await run(open, { image: noise([2, 1, 8, 8]) });
    expect(outputs['logits']?.dims).toEqual([2, 10]);
  });

  it('changes height and width of a convolutional model', async () => {
    const after = await operated('set-shape', read('digits.onnx'), { dims: 'image[2]=12, image[3]=16' });
    const outputs = await run(after, { image: noise([1, 1, 12, 16]) });
    expect(outputs['logits']?.dims).toEqual([1, 10]);
  });

  it.runIf(hasShared)('lets the state of a recurrent model grow with the batch', async () => {
    const { model } = readModelFile(path.join(shared, 'models/tflite/trained_lstm.tflite'));
    const after = await operated('set-shape', model, { batch: '2' });
    const [input, output] = [model.graphs[0].inputs[0] as string, model.graphs[0].outputs[0] as string];
    const rows = noise([2, 28, 28]);
    const both = floatsOf((await run(after, { [input]: rows }))[output]);
    const half = rows.data.length / 2;
    const second = { ...rows, dims: [1, 28, 28], data: rows.data.slice(half) };
    expectClose((await run(model, { [input]: second }))[output], both.slice(both.length / 2), 1e-4);
  });

  it('refuses a size that a reshape in the model rules out', async () => {
    const dims = 'image[2]=12, image[3]=16';
    await expect(operated('set-shape', read('digits.tflite'), { dims })).rejects.toThrow(
      'fixed to 1×8×8×1, 64 elements of 192',
    );
  });

  it('says which dimension there is not, and what is no dimension', async () => {
    const model = read('digits.tflite');
    await expect(operated('set-shape', model, { dims: 'width=3' })).rejects.toThrow("dimension 'width'");
    await expect(operated('set-shape', model, { batch: 'N' })).rejects.toThrow('a positive number is needed');
  });
});

describe('io-types', () => {
  it.each(files)('feeds %s with bytes', async (name) => {
    const model = read(name);
    const after = await operated('io-types', model, { input: 'uint8' });
    const bytes = tensor('uint8', [1, 1, 8, 8], (i) => (i * 37) % 17);
    const floats = tensor('float32', [1, 1, 8, 8], (i) => (i * 37) % 17);
    const outputs = await run(after, { image: bytes });
    expectClose(outputs['logits'], floatsOf((await run(model, { image: floats }))['logits']));
  });

  it('moves a quantized TFLite model between int8, uint8 and float ends', async () => {
    const float = read('digits.tflite');
    const { model } = await runPass('quantize-static', float, { calibrator: calibratorFor(float) });
    const { scale, zeroPoint } = quantizationOf(model, 'image');
    const code = (i: number) => ((i * 29) % 200) - 100;
    const result = await run(model, { image: tensor('int8', [1, 1, 8, 8], code) });
    const codes = [...floatsOf(result['logits'])];
    const unsigned = await operated('io-types', model, { input: 'uint8', output: 'uint8' });
    const shifted = await run(unsigned, { image: tensor('uint8', [1, 1, 8, 8], (i) => code(i) + 128) });
    expect([...floatsOf(shifted['logits'])]).toEqual(codes.map((each) => each + 128));
    const floating = await operated('io-types', model, { input: 'float32', output: 'float32' });
    const real = tensor('float32', [1, 1, 8, 8], (i) => (code(i) - zeroPoint) * scale);
    const logits = quantizationOf(model, 'logits');
    const outputs = await run(floating, { image: real });
    expectClose(
      outputs['logits'],
      codes.map((each) => (each - logits.zeroPoint) * logits.scale),
    );
    const back = await operated('io-types', floating, { output: 'int8' }).catch((error: Error) => error);
    expect(back).toMatchObject({ reason: 'unsupported' });
  });
});

describe('preprocess', () => {
  it.each(files)('scales and normalizes bytes inside of %s', async (name) => {
    const model = read(name);
    const options = { scale: 1 / 16, mean: '0.3', std: '0.5' };
    const after = await operated('preprocess', model, options);
    const raw = (i: number) => (i * 11) % 17;
    const outputs = await run(after, { image: tensor('uint8', [1, 1, 8, 8], raw) });
    const ready = tensor('float32', [1, 1, 8, 8], (i) => (raw(i) / 16 - 0.3) / 0.5);
    expectClose(outputs['logits'], floatsOf((await run(model, { image: ready }))['logits']), 1e-4);
  });

  it('takes the channel order of cameras and one number per channel', async () => {
    const g = new OnnxBuilder();
    g.input('x', [1, 3, 2, 2]);
    g.node('Identity', ['x'], 'y');
    const model = g.output('y').model();
    const after = await operated('preprocess', model, {
      layout: 'nhwc',
      type: 'float32',
      scale: 1,
      mean: '1, 2, 3',
      std: '1, 2, 4',
    });
    const outputs = await run(after, { x: tensor('float32', [1, 2, 2, 3], (i) => i) });
    const expected = [0, 1, 2].flatMap((c) =>
      [0, 1, 2, 3].map((p) => (p * 3 + c - (c + 1)) / ([1, 2, 4][c] as number)),
    );
    expectClose(outputs['y'], expected);
  });

  it.each(['onnx', 'tflite'])('resizes %s images bilinearly with half-pixel centres', async (dialect) => {
    const g = new OnnxBuilder();
    g.input('x', [1, 1, 2, 4]);
    g.node('Relu', ['x'], 'y');
    const onnx = g.output('y').model(18);
    const model = dialect === 'onnx' ? onnx : read('digits.tflite');
    const [height, width] = dialect === 'onnx' ? [2, 4] : [8, 8];
    const size = `${2 * height}x${2 * width}`;
    if (dialect === 'tflite') {
      // Its input has the channels in front, so there is no image whose channels come last.
      const after = await operated('preprocess', model, { size: '16x2' });
      expect(shapeOf(after, 'image')).toEqual([1, 16, 2, 8]);
      return;
    }
    const after = await operated('preprocess', model, { size, type: 'float32', scale: 1 });
    const outputs = await run(after, { x: tensor('float32', [1, 1, 4, 8], (i) => i) });
    // The mean of each two by two block.
    const expected = [0, 1].flatMap((y) => [0, 1, 2, 3].map((x) => 16 * y + 2 * x + 4.5));
    expectClose(outputs['y'], expected);
  });

  it('refuses counts that do not fit the channels', async () => {
    const model = read('digits.onnx');
    await expect(operated('preprocess', model, { mean: '1, 2, 3' })).rejects.toThrow(
      '3 numbers for 1 channels',
    );
    await expect(operated('preprocess', model, { std: '0' })).rejects.toThrow('std: 0');
    await expect(operated('preprocess', model, { size: '8' })).rejects.toThrow('HEIGHTxWIDTH');
  });
});

describe('postprocess', () => {
  it.each(files)('appends softmax, sigmoid and argmax to %s', async (name) => {
    const model = read(name);
    const logits = floatsOf((await run(model, { image }))['logits']);
    const total = logits.reduce((sum, each) => sum + Math.exp(each), 0);
    const outputOf = async (apply: string) =>
      (await run(await operated('postprocess', model, { apply }), { image }))['logits'];
    expectClose(
      await outputOf('softmax'),
      logits.map((each) => Math.exp(each) / total),
    );
    expectClose(
      await outputOf('sigmoid'),
      logits.map((each) => 1 / (1 + Math.exp(-each))),
    );
    const best = await outputOf('argmax');
    expect(best?.dims).toEqual([1]);
    expect(best?.data[0]).toBe(logits.indexOf(Math.max(...logits)));
  });
});

function rowOf(whole: HostTensor | undefined, row: number): Pick<HostTensor, 'dims' | 'data'> {
  return { dims: [1, 10], data: (whole as HostTensor).data.slice(row * 40, (row + 1) * 40) };
}

function shapeOf(model: Model, id: ValueId) {
  const type = model.graphs[0].values.get(id)?.type;
  return type?.kind === 'tensor' ? type.shape : undefined;
}

function quantizationOf(model: Model, id: ValueId): { scale: number; zeroPoint: number } {
  const quantization = model.graphs[0].values.get(id)?.quantization;
  return { scale: quantization?.scale[0] as number, zeroPoint: quantization?.zeroPoint[0] as number };
}
