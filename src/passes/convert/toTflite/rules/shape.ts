import { attr, stringAttribute } from '../../../../ir/attribute.ts';
import { numberTensor, readFloats } from '../../../../ir/numbers.ts';
import type { Placed } from '../builder.ts';
import { option } from '../builder.ts';
import type { Rule } from '../emission.ts';

/** Flatten, Squeeze and the like: the shape of the output says all. */
const reshape: Rule = (emission) =>
  emission.builder.reshape(emission.operand(0), emission.output, emission.name);

const transpose: Rule = (emission) => {
  const { builder, name, output } = emission;
  const order = emission.ints('perm') ?? output.map((_, i) => output.length - 1 - i);
  return builder.transpose(emission.operand(0), order, name);
};

const concat: Rule = (emission) => {
  const inputs = emission.node.inputs.map((_, index) => emission.operand(index));
  return emission.make('CONCATENATION', inputs, {
    dtype: (inputs[0] as Placed).dtype,
    attributes: {
      axis: attr.int(emission.axis(0, emission.output.length)),
      fused_activation_function: option.activation('NONE'),
    },
  });
};

const split: Rule = (emission) => {
  const { builder, node } = emission;
  const value = emission.operand(0);
  const axis = emission.axis(0);
  const sizes = node.outputs.map((_, index) => emission.shapeOut(index)[axis] as number);
  const made = node.outputs.map((id, index) => ({
    name: id ?? `${emission.name}_${index}`,
    shape: emission.shapeOut(index),
    dtype: value.dtype,
  }));
  const attributes = { num_splits: attr.int(sizes.length) };
  return sizes.every((size) => size === sizes[0])
    ? builder.emitMany('SPLIT', [builder.integers([axis], []), value], made, attributes)
    : builder.emitMany(
        'SPLIT_V',
        [value, builder.integers(sizes), builder.integers([axis], [])],
        made,
        attributes,
      );
};

/** All axes with begin, end and stride; where a step goes back beyond the first element, a mask says so. */
const slice: Rule = (emission) => {
  const { builder, output } = emission;
  const shape = emission.shapeIn(0);
  const list = (name: string, index: number) => emission.list(name, index, 10);
  const starts = list('starts', 1) ?? emission.refuse('its starts are not constant');
  const ends = list('ends', 2) ?? emission.refuse('its ends are not constant');
  const axes = list('axes', 3) ?? starts.map((_, i) => i);
  const steps = emission.version >= 10 && emission.has(4) ? emission.integers(4) : starts.map(() => 1);
  const begin = shape.map(() => 0);
  const end = [...shape];
  const strides = shape.map(() => 1);
  let mask = 0;
  axes.forEach((each, i) => {
    const axis = each < 0 ? each + shape.length : each;
    const size = shape[axis] as number;
    const step = steps[i] as number;
    const from = (value: number) => (value < 0 ? value + size : value);
    const [low, high] = step > 0 ? [0, size] : [0, size - 1];
    begin[axis] = Math.max(low, Math.min(high, from(starts[i] as number)));
    const stop =
      step > 0
        ? Math.max(0, Math.min(size, from(ends[i] as number)))
        : Math.max(-1, Math.min(size - 1, from(ends[i] as number)));
    if (stop < 0) mask |= 1 << axis;
    end[axis] = Math.max(stop, 0);
    strides[axis] = step;
  });
  if (output.some((dim) => dim === 0)) emission.refuse('it leaves nothing');
  const value = emission.operand(0);
  return emission.make(
    'STRIDED_SLICE',
    [value, builder.integers(begin), builder.integers(end), builder.integers(strides)],
    {
      dtype: value.dtype,
      attributes: {
        begin_mask: attr.int(0),
        end_mask: attr.int(mask),
        ellipsis_mask: attr.int(0),
        new_axis_mask: attr.int(0),
        shrink_axis_mask: attr.int(0),
      },
    },
  );
};

const pad: Rule = (emission) => {
  const { builder, node } = emission;
  const value = emission.operand(0);
  const rank = value.shape.length;
  const given = emission.list('pads', 1, 11) ?? emission.refuse('its amounts are not constant');
  if (emission.version >= 18 && emission.has(3)) emission.refuse('padding of chosen axes is not covered');
  if (given.some((amount) => amount < 0)) emission.refuse('negative padding is not covered');
  const amounts = builder.integers(
    value.shape.flatMap((_, axis) => [given[axis] as number, given[axis + rank] as number]),
    [rank, 2],
  );
  const mode = stringAttribute(node, 'mode', 'constant');
  const { dtype } = value;
  if (mode === 'reflect')
    return emission.make('MIRROR_PAD', [value, amounts], {
      dtype,
      attributes: { mode: option.type(0, 'REFLECT') },
    });
  if (mode !== 'constant') emission.refuse(`mode ${mode} is not covered`);
  const fill =
    emission.version < 11 ? emission.float('value', 0) : emission.has(2) ? (emission.floats(2)[0] ?? 0) : 0;
  if (fill === 0) return emission.make('PAD', [value, amounts], { dtype });
  return emission.make('PADV2', [value, amounts, builder.scalar(fill)], { dtype });
};

/** Indices from the end are counted from the front. */
const gather: Rule = (emission) => {
  const { builder } = emission;
  const axis = emission.axis(0);
  const size = emission.shapeIn(0)[axis] as number;
  const constant = emission.constant(1);
  const indices =
    constant === undefined
      ? emission.operand(1)
      : builder.integers(
          emission.integers(1).map((index) => (index < 0 ? index + size : index)),
          constant.dims,
        );
  const value = emission.operand(0);
  return emission.make('GATHER', [value, indices], {
    dtype: value.dtype,
    attributes: { axis: attr.int(axis), batch_dims: attr.int(0) },
  });
};

const gatherNd: Rule = (emission) => {
  if (emission.int('batch_dims', 0) !== 0) emission.refuse('batch_dims other than 0 are not covered');
  const value = emission.operand(0);
  return emission.make('GATHER_ND', [value, emission.operand(1)], { dtype: value.dtype });
};

const tile: Rule = (emission) => {
  const value = emission.operand(0);
  return emission.make('TILE', [value, emission.builder.integers(emission.integers(1))], {
    dtype: value.dtype,
  });
};

/** Repeats along the axes that grow; new axes in front come from a reshape. */
const expand: Rule = (emission) => {
  const { builder, name, output } = emission;
  const value = emission.operand(0);
  const filled = [...Array<number>(output.length - value.shape.length).fill(1), ...value.shape];
  const repeats = output.map((dim, axis) => dim / (filled[axis] as number));
  const raised =
    filled.length === value.shape.length ? value : builder.reshape(value, filled, `${name}_raised`);
  if (repeats.every((each) => each === 1)) return raised;
  return emission.make('TILE', [raised, builder.integers(repeats)], { dtype: value.dtype });
};

/** Sizes are known, so what asks for them is a constant. */
const shapeOf: Rule = (emission) => {
  const shape = emission.shapeIn(0);
  const end = emission.int('end', shape.length);
  return emission.builder.integers(shape.slice(emission.int('start', 0), end));
};

const count: Rule = (emission) =>
  emission.builder.integers([emission.shapeIn(0).reduce((product, dim) => product * dim, 1)], []);

const filled: Rule = (emission) => {
  const attribute = emission.node.attributes.get('value');
  const value = attribute?.kind === 'tensor' ? attribute.value : undefined;
  const size = emission.output.reduce((product, dim) => product * dim, 1);
  const number = value === undefined ? 0 : (readFloats(value)[0] ?? 0);
  const dtype = value === undefined || value.dtype === 'float32' ? 'float32' : 'int32';
  const data = new Float64Array(size).fill(number);
  return emission.builder.constant(emission.name, numberTensor(dtype, emission.output, data));
};

export const shapeRules: Readonly<Record<string, Rule>> = {
  Reshape: reshape,
  Flatten: reshape,
  Squeeze: reshape,
  Unsqueeze: reshape,
  Transpose: transpose,
  Concat: concat,
  Split: split,
  Slice: slice,
  Pad: pad,
  Gather: gather,
  GatherND: gatherNd,
  Tile: tile,
  Expand: expand,
  Shape: shapeOf,
  Size: count,
  ConstantOfShape: filled,
};
