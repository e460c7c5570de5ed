import { attr } from '../../ir/attribute.ts';
import { KerfError } from '../../ir/errors.ts';
import type { Model, Value } from '../../ir/model.ts';
import { floatTensor, intTensor } from '../../ir/numbers.ts';
import type { Dim } from '../../ir/types.ts';
import { tensorType } from '../../ir/types.ts';
import type { OptionValues, Pass, PassResult } from '../pass.ts';
import { changedNodes, opsetOf, resultOf } from '../support/graph.ts';
import { readOptions } from '../support/options.ts';
import type { EndType } from './convertEnds.ts';
import { endType, withInputType } from './convertEnds.ts';
import type { Chain } from './ends.ts';
import { openInput, withChain } from './ends.ts';
import { endOf, numbersOf } from './names.ts';

/** Puts what has to be done to an image before inference into the model. */
export const preprocess: Pass = {
  id: 'preprocess',
  title: 'Put preprocessing into the model',
  summary:
    'Lets the model take raw images: type, channel order, size, scale, mean and deviation at its input.',
  dialects: ['onnx', 'tflite'],
  exact: false,
  calibration: 'none',
  options: [
    {
      name: 'input',
      title: 'Input; may be empty when there is one',
      type: 'text',
      default: '',
      example: 'image',
    },
    {
      name: 'type',
      title: 'Type of the raw input',
      type: 'choice',
      default: 'uint8',
      choices: ['uint8', 'float32'],
    },
    { name: 'scale', title: 'Factor for raw numbers', type: 'number', default: 1 / 255, min: 1e-9, max: 1e9 },
    {
      name: 'mean',
      title: 'Mean to subtract, after the factor: one number, or one per channel',
      type: 'text',
      default: '',
      example: '0.485, 0.456, 0.406',
    },
    {
      name: 'std',
      title: 'Deviation to divide by',
      type: 'text',
      default: '',
      example: '0.229, 0.224, 0.225',
    },
    {
      name: 'layout',
      dialects: ['onnx'],
      title: 'Channel order of the raw input (ONNX)',
      type: 'choice',
      default: 'same',
      choices: ['same', 'nhwc'],
    },
    {
      name: 'size',
      title: 'Height and width of the raw input, resized bilinearly; empty when they fit',
      type: 'text',
      default: '',
      example: '480x640',
    },
  ],
  run: runPreprocess,
};

interface Raw {
  readonly channelAxis: number;
  readonly shape: readonly Dim[];
}

async function runPreprocess(model: Model, given: OptionValues): Promise<PassResult> {
  const options = readOptions(preprocess.options, given);
  const id = endOf(model, 'inputs', 'input', options.text('input'));
  const { dtype, shape } = endType(model, id);
  if (dtype !== 'float32')
    throw new KerfError(
      'unsupported',
      `it takes ${dtype}: preprocessing needs a float input (io-types first)`,
      {
        place: `input '${id}'`,
      },
    );
  if (shape === undefined)
    throw new KerfError('unsupported', 'its rank is unknown', { place: `input '${id}'` });
  const channelAxis = model.dialect === 'onnx' && shape.length === 4 ? 1 : shape.length - 1;
  const affine = affineOf(
    options.number('scale'),
    numbersOf('mean', options.text('mean')),
    numbersOf('std', options.text('std')),
    shape[channelAxis] ?? null,
  );
  const size = sizeOf(options.text('size'));
  const nhwc = options.choice('layout') === 'nhwc' && model.dialect === 'onnx';
  if ((nhwc || size !== undefined) && shape.length !== 4)
    throw new KerfError('bad-option', `input '${id}' has ${shape.length} axes: no image of four`);
  const raw: Raw = { channelAxis, shape: rawShape(model, shape, size, nhwc) };
  const opened = openInput(model, id);
  const value = model.graphs[0].values.get(id) as Value;
  const processed = withChain(opened.model, 'first', (chain, editor) => {
    const { signature: _resizable, ...rest } = value;
    editor.setValue({ ...rest, type: tensorType('float32', raw.shape) });
    let at = id;
    if (nhwc)
      at = chain.add(
        'Transpose',
        [at],
        { type: tensorType('float32', chw(raw.shape)) },
        { perm: attr.ints([0, 3, 1, 2]) },
      );
    if (size !== undefined) at = resized(model, chain, at, shape);
    normalized(model, chain, at, affine, { ...raw, shape }, opened.inner);
  });
  const after = withInputType(processed, id, options.choice('type') as EndType);
  const notes = [
    `${id}: ${options.choice('type')} ${raw.shape.join('×')}, then x * ${spell(affine.factor)} + ${spell(affine.shift)}`,
  ];
  return resultOf(model, after, changedNodes(model.graphs[0], after.graphs[0]), notes);
}

interface Affine {
  readonly factor: readonly number[];
  readonly shift: readonly number[];
}

/** (x * scale - mean) / std as one product and one sum. */
function affineOf(scale: number, mean: readonly number[], std: readonly number[], channels: Dim): Affine {
  for (const [name, list] of [
    ['mean', mean],
    ['std', std],
  ] as const)
    if (list.length > 1 && list.length !== channels)
      throw new KerfError(
        'bad-option',
        `${name}: ${list.length} numbers for ${channels ?? 'unknown'} channels`,
      );
  if (std.includes(0)) throw new KerfError('bad-option', 'std: 0 divides nothing');
  const count = Math.max(1, mean.length, std.length);
  const at = (list: readonly number[], i: number, fallback: number) =>
    list[list.length === 1 ? 0 : i] ?? fallback;
  const all = Array.from({ length: count }, (_, i) => i);
  return {
    factor: all.map((i) => scale / at(std, i, 1)),
    shift: all.map((i) => -at(mean, i, 0) / at(std, i, 1)),
  };
}

function spell(numbers: readonly number[]): string {
  const short = numbers.map((each) => String(Number(each.toPrecision(6))));
  return short.length === 1 ? (short[0] as string) : `[${short.join(', ')}]`;
}

function sizeOf(text: string): readonly [number, number] | undefined {
  if (text === '') return undefined;
  const found = /^(\d+)\s*[x×]\s*(\d+)$/.exec(text);
  if (found === null || Number(found[1]) === 0 || Number(found[2]) === 0)
    throw new KerfError('bad-option', `size: '${text}' is not of the form HEIGHTxWIDTH`);
  return [Number(found[1]), Number(found[2])];
}

function rawShape(
  model: Model,
  shape: readonly Dim[],
  size: readonly [number, number] | undefined,
  nhwc: boolean,
): readonly Dim[] {
  if (shape.length !== 4) return shape;
  const [n, c, h, w] = (model.dialect === 'onnx' ? shape : [shape[0], shape[3], shape[1], shape[2]]) as [
    Dim,
    Dim,
    Dim,
    Dim,
  ];
  const [height, width] = size ?? [h, w];
  return nhwc || model.dialect === 'tflite' ? [n, height, width, c] : [n, c, height, width];
}

function chw([n, h, w, c]: readonly Dim[]): readonly Dim[] {
  return [n, c, h, w] as readonly Dim[];
}

/** Bilinear with half-pixel centres, as image libraries do without antialiasing. */
function resized(model: Model, chain: Chain, from: string, shape: readonly Dim[]): string {
  const spatial = model.dialect === 'onnx' ? shape.slice(2) : shape.slice(1, 3);
  if (!spatial.every((dim): dim is number => typeof dim === 'number'))
    throw new KerfError('unsupported', 'the size that the model wants is free: bind it first (set-shape)');
  const type = tensorType('float32', shape);
  if (model.dialect === 'tflite') {
    const wanted = chain.constant('resize_size', intTensor('int32', [2], spatial));
    return chain.add(
      'RESIZE_BILINEAR',
      [from, wanted],
      { type },
      {
        align_corners: { kind: 'bool', value: false },
        half_pixel_centers: { kind: 'bool', value: true },
      },
    );
  }
  if (opsetOf(model) < 18)
    throw new KerfError(
      'unsupported',
      `size needs Resize of opset 18 or newer; the model has ${opsetOf(model)}`,
    );
  const sizes = chain.constant('resize_sizes', intTensor('int64', [2], spatial));
  return chain.add(
    'Resize',
    [from, null, null, sizes],
    { type },
    {
      mode: attr.string('linear'),
      coordinate_transformation_mode: attr.string('half_pixel'),
      axes: attr.ints([2, 3]),
    },
  );
}

function normalized(
  model: Model,
  chain: Chain,
  from: string,
  { factor, shift }: Affine,
  { channelAxis, shape }: Raw,
  into: string,
): void {
  const dims = factor.length === 1 ? [] : shape.map((_, axis) => (axis === channelAxis ? factor.length : 1));
  const constant = (name: string, numbers: readonly number[]) =>
    chain.constant(name, floatTensor(dims, Float32Array.from(numbers)));
  const [multiply, sum] = model.dialect === 'onnx' ? ['Mul', 'Add'] : ['MUL', 'ADD'];
  const type = tensorType('float32', shape);
  const shifts = shift.some((each) => each !== 0);
  const product = chain.add(
    multiply as string,
    [from, constant('input_factor', factor)],
    shifts ? { type } : { id: into },
  );
  if (shifts) chain.add(sum as string, [product, constant('input_shift', shift)], { id: into });
}
