import { attr, stringAttribute } from '../../../../ir/attribute.ts';
import { floatTensor } from '../../../../ir/numbers.ts';
import type { Placed } from '../builder.ts';
import { option } from '../builder.ts';
import type { Emission, Rule } from '../emission.ts';
import type { Window } from './window.ts';
import { isSame, padded, windowOf } from './window.ts';

const lowest = -3.4028234663852886e38;

/** Spatial sizes as height and width; a signal has a height of 1. */
function planeOf(emission: Emission, shape: readonly number[]): readonly [number, number] {
  if (shape.length === 3) return [1, shape[2] as number];
  if (shape.length === 4) return [shape[2] as number, shape[3] as number];
  return emission.refuse(`maps of ${shape.length - 2} dimensions are not covered`);
}

/** The input with channels last; a signal becomes a map of height 1. */
function mapOf(emission: Emission, value: Placed): Placed {
  const [n, c, length] = value.shape as [number, number, number];
  const { builder, name } = emission;
  return builder.nhwc(
    value.shape.length === 3 ? builder.reshape(value, [n, c, 1, length], `${name}_map`) : value,
  );
}

/** Back from channels last, and from a map to a signal. */
function backFrom(emission: Emission, value: Placed): Placed {
  const { builder, name, output } = emission;
  if (output.length === 4) return builder.nchw(value, name);
  return builder.reshape(builder.nchw(value, `${name}_nchw`), output, name);
}

function nhwcOf(emission: Emission): readonly number[] {
  const [height, width] = planeOf(emission, emission.output);
  return [emission.output[0] as number, height, width, emission.output[1] as number];
}

/** The output of an operator on maps before it is turned back. */
function onMap(
  emission: Emission,
  op: string,
  inputs: readonly (Placed | null)[],
  attributes: Attributes,
): Placed {
  return backFrom(emission, emission.step(op, inputs, nhwcOf(emission), { attributes }));
}

type Attributes = NonNullable<Parameters<Emission['make']>[2]>['attributes'] & {};

function biasOf(emission: Emission, outputs: number): Placed {
  if (!emission.has(2))
    return emission.builder.constant(
      `${emission.name}_bias`,
      floatTensor([outputs], new Float32Array(outputs)),
    );
  if (emission.constant(2) === undefined) emission.refuse('its bias is not constant');
  return emission.operand(2);
}

const conv: Rule = (emission) => {
  const dims = emission.constant(1)?.dims ?? emission.refuse('its weights are not constant');
  const [outputs, perGroup, ...kernel] = dims as [number, number, ...number[]];
  const input = planeOf(emission, emission.shapeIn(0));
  const window = windowOf(emission, kernel, input, planeOf(emission, emission.output));
  const group = emission.int('group', 1);
  const depthwise = group > 1 && perGroup === 1;
  const flat = kernel.length === 1;
  const order = flat ? (depthwise ? [1, 2, 0] : [0, 2, 1]) : depthwise ? [1, 2, 3, 0] : [0, 2, 3, 1];
  const weights = emission.weight(1, order, depthwise ? 3 : 0, flat);
  const same = isSame(window, input);
  const map = mapOf(emission, emission.operand(0));
  const value = same || window.pads.every((pad) => pad === 0) ? map : padded(emission, map, window.pads);
  return onMap(
    emission,
    depthwise ? 'DEPTHWISE_CONV_2D' : 'CONV_2D',
    [value, weights, biasOf(emission, outputs)],
    {
      ...windowOptions(window, same),
      ...(depthwise && { depth_multiplier: attr.int(outputs / group) }),
      dilation_h_factor: attr.int(window.dilations[0] as number),
      dilation_w_factor: attr.int(window.dilations[1] as number),
    },
  );
};

function windowOptions(window: Window, same: boolean): Attributes {
  return {
    padding: option.padding(same),
    stride_h: attr.int(window.strides[0] as number),
    stride_w: attr.int(window.strides[1] as number),
    fused_activation_function: option.activation('NONE'),
  };
}

/** TRANSPOSE_CONV makes the full result, of which the padding is cut off. */
const convTranspose: Rule = (emission) => {
  const dims = emission.constant(1)?.dims ?? emission.refuse('its weights are not constant');
  if (emission.int('group', 1) !== 1) emission.refuse('groups are not covered');
  if (dims.length !== 4) emission.refuse('only two-dimensional ones are covered');
  if ((emission.ints('dilations') ?? []).some((each) => each !== 1))
    emission.refuse('dilation is not covered');
  if (stringAttribute(emission.node, 'auto_pad', 'NOTSET') !== 'NOTSET')
    emission.refuse('auto_pad is not covered');
  const { builder, output } = emission;
  const [n, outputs, height, width] = output as [number, number, number, number];
  const [, , inHeight, inWidth] = emission.shapeIn(0) as [number, number, number, number];
  const strides = emission.ints('strides') ?? [1, 1];
  const [top = 0, left = 0] = emission.ints('pads') ?? [];
  const full = [
    (inHeight - 1) * (strides[0] as number) + (dims[2] as number),
    (inWidth - 1) * (strides[1] as number) + (dims[3] as number),
  ] as const;
  if (top + height > full[0] || left + width > full[1])
    emission.refuse('output_padding beyond the padding is not covered');
  const shape = [n, full[0], full[1], outputs];
  const made = emission.step(
    'TRANSPOSE_CONV',
    [
      builder.integers(shape),
      emission.weight(1, [1, 2, 3, 0], 0),
      mapOf(emission, emission.operand(0)),
      biasOf(emission, outputs),
    ],
    shape,
    { attributes: windowOptions({ kernel: [], strides, dilations: [], pads: [] }, false) },
  );
  const cut = [n, height, width, outputs];
  const whole = full[0] === height && full[1] === width;
  const begin = builder.integers([0, top, left, 0]);
  return backFrom(emission, whole ? made : emission.step('SLICE', [made, begin, builder.integers(cut)], cut));
};

function pool(op: 'MAX_POOL_2D' | 'AVERAGE_POOL_2D'): Rule {
  return (emission) => {
    const input = planeOf(emission, emission.shapeIn(0));
    const output = planeOf(emission, emission.output);
    const window = windowOf(emission, emission.ints('kernel_shape') ?? [], input, output);
    if (window.dilations.some((each) => each !== 1)) emission.refuse('TFLite has no dilated pooling');
    if (emission.node.outputs.length > 1) emission.refuse('indices of the maxima are not covered');
    const average = op === 'AVERAGE_POOL_2D';
    const counted = emission.int('count_include_pad', 0) === 1;
    const plain = window.pads.every((pad) => pad === 0);
    // TFLite's SAME leaves padding out of an average.
    const same = !plain && isSame(window, input) && !(average && counted);
    const map = mapOf(emission, emission.operand(0));
    const value = plain || same ? map : padded(emission, map, window.pads, average ? undefined : lowest);
    const attributes = {
      ...windowOptions(window, same),
      filter_height: attr.int(window.kernel[0] as number),
      filter_width: attr.int(window.kernel[1] as number),
    };
    const made = emission.step(op, [value], nhwcOf(emission), { attributes });
    const corrected =
      average && !counted && !plain && !same ? corrections(emission, window, input, output, made) : made;
    return backFrom(emission, corrected);
  };
}

/** Averages that counted explicit padding, times the size of the window over what it saw of the input. */
function corrections(
  emission: Emission,
  { kernel, strides, pads }: Window,
  input: readonly number[],
  output: readonly number[],
  value: Placed,
): Placed {
  const seen = [0, 1].map((axis) =>
    Array.from({ length: output[axis] as number }, (_, i) => {
      const start = i * (strides[axis] as number) - (pads[axis] as number);
      const end = Math.min(start + (kernel[axis] as number), input[axis] as number);
      return (kernel[axis] as number) / (end - Math.max(start, 0));
    }),
  ) as [number[], number[]];
  const factors = Float32Array.from(seen[0].flatMap((y) => seen[1].map((x) => y * x)));
  const shape = [1, seen[0].length, seen[1].length, 1];
  const factor = emission.builder.constant(`${emission.name}_counts`, floatTensor(shape, factors));
  const attributes = { fused_activation_function: option.activation('NONE') };
  return emission.step('MUL', [value, factor], value.shape, { attributes });
}

function global(op: 'MEAN' | 'REDUCE_MAX'): Rule {
  return (emission) => {
    const axes = emission
      .shapeIn(0)
      .map((_, axis) => axis)
      .slice(2);
    const attributes = { keep_dims: option.flag(true) };
    return emission.make(op, [emission.operand(0), emission.builder.integers(axes)], { attributes });
  };
}

/** The nearest pixel differs between the formats where two are equally near, which whole factors do not bring about. */
const resize: Rule = (emission) => {
  const { node, builder, output } = emission;
  const [n, c, height, width] = output as [number, number, number, number];
  const [inN, inC, inHeight = 1, inWidth = 1] = emission.shapeIn(0);
  if (output.length !== 4 || n !== inN || c !== inC) emission.refuse('only height and width can be resized');
  const mode = stringAttribute(node, 'mode', 'nearest');
  if (mode !== 'nearest' && mode !== 'linear') emission.refuse(`mode ${mode} is not covered`);
  const old = node.op === 'Upsample' || emission.version < 11;
  const coordinates = old
    ? 'asymmetric'
    : stringAttribute(node, 'coordinate_transformation_mode', 'half_pixel');
  const aligned = coordinates === 'align_corners';
  const centred =
    coordinates === 'half_pixel' || (coordinates === 'pytorch_half_pixel' && height > 1 && width > 1);
  if (!aligned && !centred && coordinates !== 'asymmetric')
    emission.refuse(`coordinates by ${coordinates} are not covered`);
  const whole = height % inHeight === 0 && width % inWidth === 0;
  const nearest = old ? 'floor' : stringAttribute(node, 'nearest_mode', 'round_prefer_floor');
  const alike =
    coordinates === 'asymmetric'
      ? nearest === 'floor'
      : nearest.startsWith('round') && (whole || nearest === 'round_prefer_ceil');
  if (mode === 'nearest' && !alike)
    emission.refuse(`the nearest pixel by ${coordinates} and ${nearest} is not covered`);
  const op = mode === 'linear' ? 'RESIZE_BILINEAR' : 'RESIZE_NEAREST_NEIGHBOR';
  return onMap(emission, op, [mapOf(emission, emission.operand(0)), builder.integers([height, width])], {
    align_corners: option.flag(aligned),
    half_pixel_centers: option.flag(centred),
  });
};

/** Blocks of pixels to channels and back; ONNX's second order, channels before blocks, is written out. */
function blocks(op: 'DEPTH_TO_SPACE' | 'SPACE_TO_DEPTH'): Rule {
  return (emission) => {
    const { builder, name, output } = emission;
    const size = emission.int('blocksize', 1);
    if (op === 'SPACE_TO_DEPTH' || stringAttribute(emission.node, 'mode', 'DCR') === 'DCR')
      return onMap(emission, op, [mapOf(emission, emission.operand(0))], { block_size: attr.int(size) });
    const [n, c, h, w] = emission.shapeIn(0) as [number, number, number, number];
    const cut = builder.reshape(emission.operand(0), [n, c / size ** 2, size, size, h, w], `${name}_blocks`);
    return builder.reshape(builder.transpose(cut, [0, 1, 4, 2, 5, 3], `${name}_moved`), output, name);
  };
}

/** Convolutions, pooling and resizing: operators that TFLite has with channels last only. */
export const convolutionRules: Readonly<Record<string, Rule>> = {
  Conv: conv,
  ConvTranspose: convTranspose,
  MaxPool: pool('MAX_POOL_2D'),
  AveragePool: pool('AVERAGE_POOL_2D'),
  GlobalAveragePool: global('MEAN'),
  GlobalMaxPool: global('REDUCE_MAX'),
  Resize: resize,
  Upsample: resize,
  DepthToSpace: blocks('DEPTH_TO_SPACE'),
  SpaceToDepth: blocks('SPACE_TO_DEPTH'),
};
