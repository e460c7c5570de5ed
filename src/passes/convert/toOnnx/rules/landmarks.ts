import { attr } from '../../../../ir/attribute.ts';
import { readFlexIntegers } from '../../../../ir/flexMap.ts';
import type { ValueId } from '../../../../ir/model.ts';
import { floatTensor } from '../../../../ir/numbers.ts';
import { flexOptions } from '../../../../ops/tflite/custom.ts';
import type { Emission, Rule } from '../emission.ts';
import { channelsFirst, channelsLast } from './convolution.ts';

/*
 * MediaPipe's operators of its face landmarks with attention (mediapipe/util/tflite/operations): a region around some
 * landmarks is turned upright and cut out of a map, and landmarks found there are turned back. Matrices are 1 x 4 x 4 and
 * act in the plane: rows 0 and 1, columns 0, 1 and 3.
 */

function cut(emission: Emission, data: ValueId, axis: number, start: number, end: number): ValueId {
  const ints = (suffix: string, value: number) =>
    emission.builder.int64(`${emission.name}_${suffix}`, [value]);
  return emission.emit('Slice', [data, ints('from', start), ints('to', end), ints('axis', axis)]);
}

/** Points as rows of x, y, 1 through the first two rows of a matrix. */
function mapped(emission: Emission, points: ValueId, matrix: ValueId): ValueId {
  const columns = emission.builder.int64(`${emission.name}_columns`, [0, 1, 3]);
  const plane = emission.emit('Gather', [cut(emission, matrix, 1, 0, 2), columns], { axis: attr.int(2) });
  const turned = emission.emit('Transpose', [plane], { perm: attr.ints([0, 2, 1]) });
  return emission.emit('MatMul', [points, turned]);
}

const transformLandmarks: Rule = (emission) => {
  const [batch = 1, count = 1, axes = 2] = emission.shapeOf(emission.value(0));
  const points = emission.operand(0);
  const one = emission.builder.constant(
    `${emission.name}_one`,
    floatTensor([batch, count, 1], new Float32Array(batch * count).fill(1)),
  );
  const flat = emission.emit('Concat', [cut(emission, points, 2, 0, 2), one], { axis: attr.int(2) });
  const moved = mapped(emission, flat, emission.operand(1));
  if (axes === 2) return moved;
  return emission.emit('Concat', [moved, cut(emission, points, 2, 2, axes)], { axis: attr.int(2) });
};

/** Each pixel of the result is looked up, between pixels, where the matrix takes its middle; zero outside of the map. */
const transformTensor: Rule = (emission) => {
  const { builder, name } = emission;
  const [, height = 1, width = 1] = emission.shapeOf(emission.value(0));
  const [batch = 1, rows = 1, columns = 1] = emission.shapeOf(emission.output());
  if (batch !== 1) emission.refuse('several maps at once are not covered');
  const middles = new Float32Array(rows * columns * 3);
  for (let i = 0; i < rows * columns; i += 1)
    middles.set([(i % columns) + 0.5, Math.floor(i / columns) + 0.5, 1], 3 * i);
  const pixels = builder.constant(`${name}_pixels`, floatTensor([1, rows * columns, 3], middles));
  const places = emission.emit('Sub', [mapped(emission, pixels, emission.operand(1)), emission.scalar(0.5)]);
  const pair = (suffix: string, values: readonly number[]) =>
    builder.constant(`${name}_${suffix}`, floatTensor([2], Float32Array.from(values)));
  const last = [width - 1, height - 1];
  const perPixel = pair(
    'per_pixel',
    last.map((end) => 2 / Math.max(end, 1)),
  );
  const grid = emission.emit('Sub', [emission.emit('Mul', [places, perPixel]), emission.scalar(1)]);
  const seen = emission.emit(
    'GridSample',
    [channelsFirst(emission, emission.operand(0)), emission.reshape(grid, [1, rows, columns, 2])],
    { mode: attr.string('bilinear'), padding_mode: attr.string('border'), align_corners: attr.int(1) },
  );
  const within = emission.emit('And', [
    emission.emit('GreaterOrEqual', [places, emission.scalar(0)]),
    emission.emit('LessOrEqual', [places, pair('last', last)]),
  ]);
  const axis = builder.int64(`${name}_both`, [2]);
  const both = emission.emit('ReduceMin', [emission.cast(within, 'float32'), axis], {
    keepdims: attr.int(1),
  });
  return emission.emit('Mul', [channelsLast(emission, seen), emission.reshape(both, [1, rows, columns, 1])]);
};

/** Short names for what the matrix is put together from. */
function algebra(emission: Emission) {
  const emit = (op: string, ...inputs: readonly ValueId[]) => emission.emit(op, inputs);
  const two = (op: string) => (a: ValueId, b: ValueId) => emit(op, a, b);
  return {
    add: two('Add'),
    sub: two('Sub'),
    mul: two('Mul'),
    div: two('Div'),
    root: (value: ValueId) => emit('Sqrt', value),
    minus: (value: ValueId) => emit('Neg', value),
    times: (value: ValueId, factor: number) => emit('Mul', value, emission.scalar(factor)),
  };
}

/** Some of the landmarks, and one coordinate of such. */
function landmarks(emission: Emission, suffix: string, indices: readonly number[]): ValueId {
  const { builder, name } = emission;
  const picks = builder.int64(`${name}_${suffix}`, indices);
  return emission.emit('Gather', [emission.operand(0), picks], { axis: attr.int(1) });
}

const coordinate = (emission: Emission, points: ValueId, axis: number) =>
  cut(emission, points, 2, axis, axis + 1);

type Options = (name: string) => number;

interface Turn {
  readonly cosine: ValueId;
  readonly sine: ValueId;
}

/** Cosine and sine of the wanted angle less that from the left to the right landmark. */
function turnOf(emission: Emission, number: Options): Turn {
  const { add, sub, mul, div, root, times } = algebra(emission);
  const right = landmarks(emission, 'right', [number('right_rotation_idx')]);
  const left = landmarks(emission, 'left', [number('left_rotation_idx')]);
  const across = sub(right, left);
  const dx = coordinate(emission, across, 0);
  const dy = coordinate(emission, across, 1);
  const length = root(add(mul(dx, dx), mul(dy, dy)));
  const [towardX, towardY] = [div(dx, length), div(dy, length)];
  const target = number('target_rotation_radians');
  const [c, s] = [Math.cos(target), Math.sin(target)];
  return {
    cosine: add(times(towardX, c), times(towardY, s)),
    sine: sub(times(towardX, s), times(towardY, c)),
  };
}

/** Where a box around numbers begins, and how much of it a pixel of the cut-out covers. */
function boxAround(
  emission: Emission,
  values: ValueId,
  axis: ValueId,
  { scale, pixels }: { readonly scale: number; readonly pixels: number },
): { readonly start: ValueId; readonly perPixel: ValueId } {
  const { add, sub, times } = algebra(emission);
  const end = (op: string) => emission.emit(op, [values, axis], { keepdims: attr.int(1) });
  const [low, high] = [end('ReduceMin'), end('ReduceMax')];
  const size = times(sub(high, low), scale);
  const middle = times(add(low, high), 0.5);
  return { start: sub(middle, times(size, 0.5)), perPixel: times(size, 1 / pixels) };
}

/** The matrix that takes pixels of an upright cut-out to the map: the box around a subset, turned by two landmarks. */
const landmarksToMatrix: Rule = (emission) => {
  const stored = emission.node.attributes.get('custom_options');
  const options = flexOptions(emission.node);
  if (options === undefined || stored?.kind !== 'bytes') return emission.refuse('its options are missing');
  const number: Options = (name) => Number(options.get(name) ?? 0);
  const subset = readFlexIntegers(stored.value.read()).get('subset_idxs');
  if (subset === undefined || subset.length === 0) return emission.refuse('it names no landmarks');
  const { builder, name } = emission;
  const { add, sub, mul, minus } = algebra(emission);

  const { cosine, sine } = turnOf(emission, number);
  const points = landmarks(emission, 'subset', subset);
  const [x, y] = [coordinate(emission, points, 0), coordinate(emission, points, 1)];
  const axis = builder.int64(`${name}_all`, [1]);
  const across = boxAround(emission, sub(mul(cosine, x), mul(sine, y)), axis, {
    scale: number('scale_x'),
    pixels: number('output_width'),
  });
  const down = boxAround(emission, add(mul(sine, x), mul(cosine, y)), axis, {
    scale: number('scale_y'),
    pixels: number('output_height'),
  });
  // Turned back.
  const left = add(mul(cosine, across.start), mul(sine, down.start));
  const top = sub(mul(cosine, down.start), mul(sine, across.start));
  const constant = (value: number) =>
    builder.constant(`${name}_${value}`, floatTensor([1, 1, 1], Float32Array.of(value)));
  const [none, one] = [constant(0), constant(1)];
  const cells = [
    [mul(cosine, across.perPixel), mul(sine, down.perPixel), none, left],
    [mul(minus(sine), across.perPixel), mul(cosine, down.perPixel), none, top],
    [none, none, one, none],
    [none, none, none, one],
  ];
  const row = emission.emit('Concat', cells.flat(), { axis: attr.int(2) });
  return emission.reshape(row, [1, 4, 4]);
};

export const landmarkRules: Readonly<Record<string, Rule>> = {
  TransformLandmarks: transformLandmarks,
  TransformTensorBilinear: transformTensor,
  Landmarks2TransformMatrix: landmarksToMatrix,
};
