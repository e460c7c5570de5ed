import { intAttribute } from '../../ir/attribute.ts';
import type { Dim, Shape } from '../../ir/types.ts';
import { axisOf, combine, sumOf } from '../dims.ts';
import { scalarOf } from '../known.ts';
import type { Known, OpContext, Operator } from '../operator.ts';
import {
  asDeclared,
  contentAt,
  has,
  numbersAt,
  out,
  outputCount,
  presentInputs,
  replaceDim,
  sameAsFirst,
  shaped,
  tflite,
  unknownDims,
  work,
} from './kit.ts';

function transposeShape(context: OpContext): Shape | undefined {
  const x = context.shape(0);
  return x && numbersAt(context, 1)?.map((axis) => x[axis] ?? null);
}

/** Paddings are a matrix of two columns: before and after each axis. */
function padShape(context: OpContext): Shape | undefined {
  const x = context.shape(0);
  const paddings = contentAt(context, 1);
  if (x === undefined || paddings?.length !== 2 * x.length) return x && unknownDims(x.length);
  return x.map((dim, axis) => sumOf([dim, paddings[2 * axis] ?? null, paddings[2 * axis + 1] ?? null]));
}

function inferConcatenation(context: OpContext): readonly Known[] {
  const parts = presentInputs(context.node);
  const shapes = parts.map((index) => context.shape(index));
  const [first] = shapes;
  const axis = first && axisOf(intAttribute(context.node, 'axis', 0), first.length);
  if (axis === undefined || first === undefined || shapes.some((shape) => shape?.length !== first.length))
    return [out(context, undefined)];
  const along = sumOf(shapes.map((shape) => shape?.[axis] ?? null));
  const others = first.map(
    (_, at) => shapes.map((shape) => shape?.[at] ?? null).find((dim) => dim !== null) ?? null,
  );
  const contents = first.length === 1 ? parts.map((index) => contentAt(context, index)) : [undefined];
  const content = contents.every((each) => each !== undefined) ? contents.flat() : undefined;
  return [out(context, replaceDim(others, axis, along), 0, { content })];
}

function inferPack(context: OpContext): readonly Known[] {
  const parts = presentInputs(context.node);
  const shape = parts.map((index) => context.shape(index)).find((each) => each !== undefined);
  if (shape === undefined) return [out(context, undefined)];
  const axis = axisOf(intAttribute(context.node, 'axis', 0), shape.length + 1) ?? 0;
  const contents = shape.length === 0 ? parts.map((index) => contentAt(context, index)) : [undefined];
  const content = contents.every((each) => each !== undefined) ? contents.flat() : undefined;
  return [out(context, [...shape.slice(0, axis), parts.length, ...shape.slice(axis)], 0, { content })];
}

function inferUnpack(context: OpContext): readonly Known[] {
  const x = context.shape(0);
  const axis = x && axisOf(intAttribute(context.node, 'axis', 0), x.length);
  const shape = x?.filter((_, index) => index !== axis);
  const content = x?.length === 1 ? contentAt(context, 0) : undefined;
  return context.node.outputs.map((_, index) => {
    const element = content?.[index];
    return out(context, shape, index, { content: element === undefined ? undefined : [element] });
  });
}

/** Axis first, then the data; every part is equal. */
function inferSplit(context: OpContext): readonly Known[] {
  const x = context.shape(1);
  const given = scalarOf(context.input(0));
  const axis = x && given !== undefined ? axisOf(given, x.length) : undefined;
  const parts = Math.max(1, intAttribute(context.node, 'num_splits', context.node.outputs.length));
  const shape =
    x && axis !== undefined ? replaceDim(x, axis, combine(x[axis] ?? null, '/', parts)) : undefined;
  return context.node.outputs.map((_, index) => out(context, shape, index));
}

/** Data, sizes (one may be -1), axis. */
function inferSplitV(context: OpContext): readonly Known[] {
  const x = context.shape(0);
  const given = scalarOf(context.input(2));
  const axis = x && given !== undefined ? axisOf(given, x.length) : undefined;
  const sizes = numbersAt(context, 1);
  return context.node.outputs.map((_, index) => {
    if (x === undefined || axis === undefined || sizes === undefined) return out(context, undefined, index);
    const known = sizes.filter((size) => size >= 0).reduce((total, size) => total + size, 0);
    const size = sizes[index] ?? -1;
    return out(context, replaceDim(x, axis, size >= 0 ? size : combine(x[axis] ?? null, '-', known)), index);
  });
}

/** A size of -1 takes everything from the beginning on. */
function inferSlice(context: OpContext): readonly Known[] {
  const x = context.shape(0);
  const begin = numbersAt(context, 1);
  const size = contentAt(context, 2);
  const shape = x && size && x.map((dim, axis): Dim => sliceDim(dim, begin?.[axis], size[axis] ?? null));
  const values = x?.length === 1 ? contentAt(context, 0) : undefined;
  const from = begin?.[0];
  const count = shape?.[0];
  const known = values !== undefined && from !== undefined && typeof count === 'number';
  return [out(context, shape, 0, { content: known ? values.slice(from, from + count) : undefined })];
}

function sliceDim(dim: Dim, begin: number | undefined, size: Dim): Dim {
  if (size !== -1) return size;
  return begin === undefined ? null : combine(dim, '-', begin);
}

/** What STRIDED_SLICE does along one axis of its input, or that it adds one. */
interface Cut {
  readonly axis: number | 'new';
  readonly from: number;
  readonly step: number;
  readonly count: Dim;
  readonly dropped: boolean;
}

/** The cuts in the order of the result's axes; masks have one bit per entry of begin, end and strides. */
function stridedCuts(context: OpContext, x: Shape): readonly Cut[] | undefined {
  const [begin, end, strides] = [1, 2, 3].map((index) => numbersAt(context, index));
  if (begin === undefined || end === undefined || strides === undefined) return undefined;
  const bit = (name: string, index: number) =>
    ((intAttribute(context.node, `${name}_mask`, 0) >> index) & 1) === 1;
  const isOffset = intAttribute(context.node, 'offset', 0) !== 0;
  const cuts: Cut[] = [];
  let axis = 0;
  const whole = () => {
    cuts.push({ axis, from: 0, step: 1, count: x[axis] ?? null, dropped: false });
    axis += 1;
  };
  begin.forEach((first, index) => {
    if (bit('ellipsis', index)) {
      const rest = begin.filter((_, at) => at > index && !bit('new_axis', at)).length;
      while (axis < x.length - rest) whole();
    } else if (bit('new_axis', index)) cuts.push({ axis: 'new', from: 0, step: 1, count: 1, dropped: false });
    else {
      const step = strides[index] ?? 1;
      const last = isOffset ? first + (end[index] ?? 0) : (end[index] ?? 0);
      const dropped = bit('shrink_axis', index);
      const from = bit('begin', index) ? undefined : first;
      const to = bit('end', index) ? undefined : last;
      cuts.push({
        axis,
        ...cutOf(x[axis] ?? null, from, dropped ? undefined : to, step, dropped),
        step,
        dropped,
      });
      axis += 1;
    }
  });
  while (axis < x.length) whole();
  return axis === x.length ? cuts : undefined;
}

/** Begin and number of elements of one cut, counted as Python slices are. */
function cutOf(
  dim: Dim,
  from: number | undefined,
  to: number | undefined,
  step: number,
  single: boolean,
): { from: number; count: Dim } {
  if (single) return { from: from ?? 0, count: 1 };
  if (typeof dim !== 'number') {
    const whole = step === 1 && (from ?? 0) === 0;
    const count =
      whole && to === undefined ? dim : whole && to !== undefined && to < 0 ? combine(dim, '+', to) : null;
    return { from: from ?? 0, count };
  }
  const low = step > 0 ? 0 : -1;
  const high = step > 0 ? dim : dim - 1;
  const clamp = (value: number) => Math.min(high, Math.max(low, value < 0 ? value + dim : value));
  const first = from === undefined ? (step > 0 ? 0 : dim - 1) : clamp(from);
  const last = to === undefined ? (step > 0 ? dim : -1) : clamp(to);
  return { from: first, count: step === 0 ? null : Math.max(0, Math.ceil((last - first) / step)) };
}

function inferStridedSlice(context: OpContext): readonly Known[] {
  const x = context.shape(0);
  const cuts = x && stridedCuts(context, x);
  if (cuts === undefined) return [out(context, undefined)];
  const shape = cuts.filter((cut) => !cut.dropped).map((cut) => cut.count);
  const values = x?.length === 1 ? contentAt(context, 0) : undefined;
  const cut = cuts.find((each) => each.axis === 0);
  let content: readonly Dim[] | undefined;
  if (values !== undefined && cut !== undefined && typeof cut.count === 'number') {
    const start = cut.from < 0 ? cut.from + values.length : cut.from;
    content = Array.from({ length: cut.count }, (_, index) => values[start + index * cut.step] ?? null);
  }
  return [out(context, shape, 0, { content })];
}

function tileShape(context: OpContext): Shape | undefined {
  const times = contentAt(context, 1);
  return times && context.shape(0)?.map((dim, axis) => combine(dim, '*', times[axis] ?? null));
}

/** Blocks of pixels become channels (`direction` 1) or the other way round. */
function blockShape(toDepth: boolean) {
  return (context: OpContext): Shape | undefined => {
    const x = context.shape(0);
    const block = Math.max(1, intAttribute(context.node, 'block_size', 1));
    if (x?.length !== 4) return undefined;
    const [n = null, h = null, w = null, c = null] = x;
    const [space, depth] = toDepth ? (['/', '*'] as const) : (['*', '/'] as const);
    return [n, combine(h, space, block), combine(w, space, block), combine(c, depth, block * block)];
  };
}

/** Blocks of pixels become batches: block shape, then paddings or crops as pairs. */
function batchShape(toBatch: boolean) {
  return (context: OpContext): Shape | undefined => {
    const x = context.shape(0);
    const block = numbersAt(context, 1);
    const edges = numbersAt(context, 2);
    if (x === undefined || block === undefined || edges === undefined) return undefined;
    const blocks = block.reduce((product, size) => product * size, 1);
    const spatial = block.map((size, index) => {
      const edge = (edges[2 * index] ?? 0) + (edges[2 * index + 1] ?? 0);
      const dim = x[index + 1] ?? null;
      return toBatch
        ? combine(combine(dim, '+', edge), '/', size)
        : combine(combine(dim, '*', size), '-', edge);
    });
    const batch = combine(x[0] ?? null, toBatch ? '*' : '/', blocks);
    return [batch, ...spatial, ...x.slice(1 + block.length)];
  };
}

function resizeShape(context: OpContext): Shape | undefined {
  const x = context.shape(0);
  const [height = null, width = null] = contentAt(context, 1) ?? [];
  return x?.length === 4 ? [x[0] ?? null, height, width, x[3] ?? null] : undefined;
}

/** Dilation puts gaps between elements: `(size − 1)·dilation + 1`. */
function dilateShape(context: OpContext): Shape | undefined {
  const by = contentAt(context, 1);
  return (
    by &&
    context
      .shape(0)
      ?.map((dim, axis) => combine(combine(combine(dim, '-', 1), '*', by[axis] ?? null), '+', 1))
  );
}

const move = (
  name: string,
  rule: (context: OpContext) => Shape | undefined,
  settings: readonly number[] = [],
) => tflite(name, 'movement', shaped(rule), settings.length > 0 ? { settings } : {});

export const movementOperators: readonly Operator[] = [
  move('TRANSPOSE', transposeShape, [1]),
  move('PAD', padShape, [1]),
  move('PADV2', padShape, [1, 2]),
  move('MIRROR_PAD', padShape, [1]),
  tflite('CONCATENATION', 'movement', inferConcatenation),
  tflite('PACK', 'movement', inferPack),
  tflite('UNPACK', 'movement', inferUnpack),
  tflite('SPLIT', 'movement', inferSplit, { settings: [0] }),
  tflite('SPLIT_V', 'movement', inferSplitV, { settings: [1, 2] }),
  tflite('SLICE', 'movement', inferSlice, { settings: [1, 2] }),
  tflite('STRIDED_SLICE', 'movement', inferStridedSlice, { settings: [1, 2, 3] }),
  move('TILE', tileShape, [1]),
  tflite('REVERSE_V2', 'movement', sameAsFirst, { settings: [1] }),
  tflite('REVERSE_SEQUENCE', 'movement', sameAsFirst, { settings: [1] }),
  move('SPACE_TO_DEPTH', blockShape(true)),
  move('DEPTH_TO_SPACE', blockShape(false)),
  move('SPACE_TO_BATCH_ND', batchShape(true), [1, 2]),
  move('BATCH_TO_SPACE_ND', batchShape(false), [1, 2]),
  move('RESIZE_NEAREST_NEIGHBOR', resizeShape, [1]),
  tflite('RESIZE_BILINEAR', 'movement', shaped(resizeShape), {
    cost: (context) => work(context, outputCount(context), 8, 'outputs', 'bilinear'),
    settings: [1],
  }),
  tflite('DYNAMIC_UPDATE_SLICE', 'movement', sameAsFirst, { settings: [2] }),
  move('DILATE', dilateShape, [1, 2]),
  tflite('STABLEHLO_PAD', 'movement', asDeclared),
  tflite('BITCAST', 'movement', (context) => (has(context.node, 0) ? [out(context, undefined)] : []), {
    view: true,
  }),
];
