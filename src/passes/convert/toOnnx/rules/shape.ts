import { attr, intAttribute } from '../../../../ir/attribute.ts';
import type { Value, ValueId } from '../../../../ir/model.ts';
import type { Emission, Rule } from '../emission.ts';
import { quantizationOf } from '../values.ts';
import { channelsFirst, channelsLast } from './convolution.ts';

/** New dimensions are the stored shape of the output. */
const reshape: Rule = (emission) =>
  emission.reshape(emission.operand(0), emission.shapeOf(emission.output()));

const pad: Rule = (emission) => {
  const amounts = emission.integers(1);
  const before = amounts.filter((_, i) => i % 2 === 0);
  const after = amounts.filter((_, i) => i % 2 === 1);
  const inputs = [
    emission.operand(0),
    emission.builder.int64(`${emission.name}_pads`, [...before, ...after]),
  ];
  if (emission.has(2)) inputs.push(emission.operand(2));
  if (emission.node.op !== 'MIRROR_PAD') return emission.emit('Pad', inputs);
  if (intAttribute(emission.node, 'mode', 0) !== 0) emission.refuse('ONNX has no symmetric padding');
  return emission.emit('Pad', inputs, { mode: attr.string('reflect') });
};

const transpose: Rule = (emission) =>
  emission.emit('Transpose', [emission.operand(0)], { perm: attr.ints(emission.integers(1)) });

const positive = (axis: number, rank: number) => (axis < 0 ? axis + rank : axis);

const concatenate: Rule = (emission) => {
  const scaleOf = (value: Value) => quantizationOf(value)?.scale[0];
  const scale = scaleOf(emission.output());
  if (emission.node.inputs.some((_, index) => scaleOf(emission.value(index)) !== scale))
    emission.note(
      'CONCATENATION of different scales: LiteRT on processors (XNNPACK) joins the codes as they are, the ONNX model goes by the scales in the file',
    );
  return emission.emit(
    'Concat',
    emission.node.inputs.map((_, index) => emission.operand(index)),
    { axis: attr.int(intAttribute(emission.node, 'axis', 0)) },
  );
};

const pack: Rule = (emission) => {
  const shape = emission.shapeOf(emission.output());
  const axis = positive(intAttribute(emission.node, 'axis', 0), shape.length);
  const parts = emission.node.inputs.map((_, index) =>
    emission.reshape(
      emission.operand(index),
      shape.map((dim, i) => (i === axis ? 1 : dim)),
    ),
  );
  return emission.emit('Concat', parts, { axis: attr.int(axis) });
};

/** Pieces of these sizes along an axis. */
function pieces(
  emission: Emission,
  data: number,
  axis: number,
  sizes: readonly number[],
): readonly ValueId[] {
  const names = sizes.map((_, index) => emission.node.outputs[index] ?? `${emission.name}_${index}`);
  const inputs = [emission.operand(data), emission.builder.int64(`${emission.name}_sizes`, sizes)];
  return emission.builder.emitMany(
    'Split',
    inputs,
    names.map((name) => `${name}_part`),
    { axis: attr.int(axis) },
  );
}

const split: Rule = (emission) => {
  const shape = emission.shapeOf(emission.value(1));
  const axis = positive(emission.integers(0)[0] ?? 0, shape.length);
  const count = emission.node.outputs.length;
  return pieces(emission, 1, axis, Array<number>(count).fill((shape[axis] as number) / count));
};

const splitSizes: Rule = (emission) => {
  const shape = emission.shapeOf(emission.value(0));
  const axis = positive(emission.integers(2)[0] ?? 0, shape.length);
  const sizes = emission.integers(1);
  const known = sizes.reduce((sum, size) => sum + Math.max(size, 0), 0);
  return pieces(
    emission,
    0,
    axis,
    sizes.map((size) => (size < 0 ? (shape[axis] as number) - known : size)),
  );
};

const unpack: Rule = (emission) => {
  const shape = emission.shapeOf(emission.value(0));
  const axis = positive(intAttribute(emission.node, 'axis', 0), shape.length);
  const parts = pieces(emission, 0, axis, Array<number>(shape[axis] as number).fill(1));
  return parts.map((part) =>
    emission.reshape(
      part,
      shape.filter((_, i) => i !== axis),
    ),
  );
};

const tile: Rule = (emission) => emission.emit('Tile', [emission.operand(0), emission.int64(1)]);

/** To a shape that the file states, or that is computed. */
const broadcast: Rule = (emission) => emission.emit('Expand', [emission.operand(0), emission.int64(1)]);

const fill: Rule = (emission) => emission.emit('Expand', [emission.operand(1), emission.int64(0)]);

const shapeOf: Rule = (emission) => {
  const found = emission.emit('Shape', [emission.operand(0)]);
  const dtype = emission.dtypeOf(emission.output());
  return dtype === 'int64' ? found : emission.cast(found, dtype);
};

const range: Rule = (emission) =>
  emission.emit(
    'Range',
    [0, 1, 2].map((index) => emission.operand(index)),
  );

/** Both formats put the blocks before the channels. */
function blocks(op: 'SpaceToDepth' | 'DepthToSpace'): Rule {
  return (emission) => {
    const blocksize = attr.int(intAttribute(emission.node, 'block_size', 1));
    const moved = channelsFirst(emission, emission.operand(0));
    return channelsLast(emission, emission.emit(op, [moved], { blocksize }));
  };
}

/** Pads, cuts the spatial axes into blocks and moves the blocks into the batch. */
const spaceToBatch: Rule = (emission) => {
  const [batch = 1, ...spatial] = emission.shapeOf(emission.value(0));
  const block = emission.integers(1);
  const amounts = emission.integers(2);
  const n = block.length;
  const rest = spatial.slice(n);
  const side = (offset: number) => [
    0,
    ...block.map((_, i) => amounts[2 * i + offset] as number),
    ...rest.map(() => 0),
  ];
  const padded = emission.emit('Pad', [
    emission.operand(0),
    emission.builder.int64(`${emission.name}_pads`, [...side(0), ...side(1)]),
  ]);
  const sizes = block.map(
    (b, i) => ((spatial[i] as number) + (amounts[2 * i] as number) + (amounts[2 * i + 1] as number)) / b,
  );
  const cut = emission.reshape(padded, [batch, ...block.flatMap((b, i) => [sizes[i] as number, b]), ...rest]);
  const order = [
    ...block.map((_, i) => 2 + 2 * i),
    0,
    ...block.map((_, i) => 1 + 2 * i),
    ...rest.map((_, i) => 1 + 2 * n + i),
  ];
  const moved = emission.emit('Transpose', [cut], { perm: attr.ints(order) });
  return emission.reshape(moved, emission.shapeOf(emission.output()));
};

const batchToSpace: Rule = (emission) => {
  const [batch = 1, ...spatial] = emission.shapeOf(emission.value(0));
  const block = emission.integers(1);
  const crops = emission.integers(2);
  const n = block.length;
  const rest = spatial.slice(n);
  const inner = batch / block.reduce((product, b) => product * b, 1);
  const cut = emission.reshape(emission.operand(0), [...block, inner, ...spatial]);
  const order = [n, ...block.flatMap((_, i) => [n + 1 + i, i]), ...rest.map((_, i) => 2 * n + 1 + i)];
  const moved = emission.emit('Transpose', [cut], { perm: attr.ints(order) });
  const whole = block.map((b, i) => b * (spatial[i] as number));
  const joined = emission.reshape(moved, [inner, ...whole, ...rest]);
  if (crops.every((crop) => crop === 0)) return joined;
  const ints = (name: string, values: readonly number[]) =>
    emission.builder.int64(`${emission.name}_${name}`, values);
  const starts = block.map((_, i) => crops[2 * i] as number);
  const ends = whole.map((size, i) => size - (crops[2 * i + 1] as number));
  return emission.emit('Slice', [
    joined,
    ints('starts', starts),
    ints('ends', ends),
    ints(
      'axes',
      block.map((_, i) => i + 1),
    ),
  ]);
};

export const shapeRules: Readonly<Record<string, Rule>> = {
  RESHAPE: reshape,
  SQUEEZE: reshape,
  EXPAND_DIMS: reshape,
  PAD: pad,
  PADV2: pad,
  MIRROR_PAD: pad,
  TRANSPOSE: transpose,
  CONCATENATION: concatenate,
  PACK: pack,
  UNPACK: unpack,
  SPLIT: split,
  SPLIT_V: splitSizes,
  TILE: tile,
  BROADCAST_TO: broadcast,
  FILL: fill,
  SHAPE: shapeOf,
  RANGE: range,
  SPACE_TO_DEPTH: blocks('SpaceToDepth'),
  DEPTH_TO_SPACE: blocks('DepthToSpace'),
  SPACE_TO_BATCH_ND: spaceToBatch,
  BATCH_TO_SPACE_ND: batchToSpace,
};
