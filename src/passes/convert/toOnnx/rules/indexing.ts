import { attr, floatAttribute, intAttribute } from '../../../../ir/attribute.ts';
import type { ValueId } from '../../../../ir/model.ts';
import type { Emission, Rule } from '../emission.ts';

const toEnd = 2 ** 31 - 1;

interface Cut {
  readonly axis: number;
  readonly start: number;
  readonly end: number;
  readonly step: number;
}

function sliced(emission: Emission, data: ValueId, cuts: readonly Cut[]): ValueId {
  if (cuts.length === 0) return data;
  const ints = (name: keyof Cut) =>
    emission.builder.int64(
      `${emission.name}_${name}`,
      cuts.map((cut) => cut[name]),
    );
  return emission.emit('Slice', [data, ints('start'), ints('end'), ints('axis'), ints('step')]);
}

const slice: Rule = (emission) => {
  const starts = emission.integers(1);
  const sizes = emission.integers(2);
  const cuts = starts.map((start, axis) => {
    const size = sizes[axis] as number;
    return { axis, start, end: size < 0 ? toEnd : start + size, step: 1 };
  });
  return sliced(emission, emission.operand(0), cuts);
};

/** New axes and dropped ones show in the stored shape of the output. */
const stridedSlice: Rule = (emission) => {
  const rank = emission.shapeOf(emission.value(0)).length;
  const [begin, end, strides] = [1, 2, 3].map((index) => emission.integers(index)) as [
    number[],
    number[],
    number[],
  ];
  const bit = (name: string, index: number) =>
    ((intAttribute(emission.node, `${name}_mask`, 0) >> index) & 1) === 1;
  const newAxes = begin.filter((_, i) => bit('new_axis', i)).length;
  const cuts: Cut[] = [];
  let axis = 0;
  begin.forEach((start, i) => {
    if (bit('ellipsis', i)) {
      axis += rank - (begin.length - 1 - newAxes);
      return;
    }
    if (bit('new_axis', i)) return;
    const step = strides[i] as number;
    if (bit('shrink_axis', i)) cuts.push({ axis, start, end: start === -1 ? toEnd : start + 1, step: 1 });
    else
      cuts.push({
        axis,
        start: bit('begin', i) ? (step > 0 ? 0 : toEnd) : start,
        end: bit('end', i) ? (step > 0 ? toEnd : -toEnd) : (end[i] as number) + offsetOf(emission, start),
        step,
      });
    axis += 1;
  });
  const cut = sliced(emission, emission.operand(0), cuts);
  return emission.reshape(cut, emission.shapeOf(emission.output()));
};

/** With this flag the ends are given from the begins on. */
function offsetOf({ node }: Emission, start: number): number {
  return intAttribute(node, 'offset', 0) === 1 ? start : 0;
}

const gather: Rule = (emission) => {
  if (intAttribute(emission.node, 'batch_dims', 0) !== 0)
    emission.refuse('batch_dims other than 0 are not covered');
  const axis = attr.int(intAttribute(emission.node, 'axis', 0));
  return emission.emit('Gather', [emission.operand(0), emission.int64(1)], { axis });
};

const gatherNd: Rule = (emission) => emission.emit('GatherND', [emission.operand(0), emission.int64(1)]);

const embedding: Rule = (emission) =>
  emission.emit('Gather', [emission.operand(1), emission.int64(0)], { axis: attr.int(0) });

const oneHot: Rule = (emission) => {
  const depth = emission.reshape(emission.int64(1), [1]);
  const values = emission.emit(
    'Concat',
    [emission.reshape(emission.operand(3), [1]), emission.reshape(emission.operand(2), [1])],
    { axis: attr.int(0) },
  );
  const axis = attr.int(intAttribute(emission.node, 'axis', -1));
  return emission.emit('OneHot', [emission.int64(0), depth, values], { axis });
};

const reverse: Rule = (emission) => {
  const cuts = emission.integers(1).map((axis) => ({ axis, start: -1, end: -toEnd, step: -1 }));
  return sliced(emission, emission.operand(0), cuts);
};

/** TFLite sums over `radius` channels on both sides, ONNX over a window whose size divides alpha. */
const localResponse: Rule = (emission) => {
  const { node } = emission;
  const size = 2 * intAttribute(node, 'radius', 5) + 1;
  const toNchw = emission.emit('Transpose', [emission.operand(0)], { perm: attr.ints([0, 3, 1, 2]) });
  const normal = emission.emit('LRN', [toNchw], {
    size: attr.int(size),
    alpha: attr.float(floatAttribute(node, 'alpha', 1) * size),
    beta: attr.float(floatAttribute(node, 'beta', 0.5)),
    bias: attr.float(floatAttribute(node, 'bias', 1)),
  });
  return emission.emit('Transpose', [normal], { perm: attr.ints([0, 2, 3, 1]) });
};

export const indexingRules: Readonly<Record<string, Rule>> = {
  SLICE: slice,
  STRIDED_SLICE: stridedSlice,
  GATHER: gather,
  GATHER_ND: gatherNd,
  EMBEDDING_LOOKUP: embedding,
  ONE_HOT: oneHot,
  REVERSE_V2: reverse,
  LOCAL_RESPONSE_NORMALIZATION: localResponse,
};
