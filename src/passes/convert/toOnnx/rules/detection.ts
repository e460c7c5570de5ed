import { attr } from '../../../../ir/attribute.ts';
import type { ValueId } from '../../../../ir/model.ts';
import { intTensor } from '../../../../ir/numbers.ts';
import { flexOptions } from '../../../../ops/tflite/custom.ts';
import type { Emission, Rule } from '../emission.ts';

/**
 * The custom operator behind SSD models: boxes relative to anchors become corners, the best class of each anchor is
 * kept, overlapping boxes go (LiteRT, detection_postprocess.cc, the fast form). Missing detections are zeros.
 */
const detection: Rule = (emission) => {
  const options = flexOptions(emission.node) ?? emission.refuse('its options are missing');
  const number = (name: string, fallback: number) => Number(options.get(name) ?? fallback);
  if (options.get('use_regular_nms') === true) emission.refuse('suppression class by class is not covered');
  if (number('max_classes_per_detection', 1) !== 1)
    emission.refuse('several classes per detection are not covered');
  const most = number('max_detections', 10);
  const corners = cornersOf(emission, number);
  const background = (emission.shapeOf(emission.value(1)).at(-1) as number) - number('num_classes', 1);
  const scores =
    background === 0
      ? emission.operand(1)
      : sliced(emission, emission.operand(1), 2, background, 2 ** 31 - 1);
  const { builder, name } = emission;
  const axes = builder.int64(`${name}_class_axis`, [2]);
  const best = emission.emit('ReduceMax', [scores, axes], { keepdims: attr.int(0) });
  const classes = emission.emit('ArgMax', [scores], { axis: attr.int(2), keepdims: attr.int(0) });
  const anchors = emission.shapeOf(emission.value(0))[1] as number;
  const chosen = emission.emit('NonMaxSuppression', [
    corners,
    emission.reshape(best, [1, 1, anchors]),
    builder.int64(`${name}_most`, [most]),
    emission.reshape(emission.scalar(number('nms_iou_threshold', 0.6)), [1]),
    emission.reshape(emission.scalar(number('nms_score_threshold', 0)), [1]),
  ]);
  const indices = emission.reshape(sliced(emission, chosen, 1, 2, 3), [-1]);
  const pick = (data: ValueId, dims: readonly number[]) =>
    filledUp(
      emission,
      emission.emit('Gather', [emission.reshape(data, dims), indices], { axis: attr.int(0) }),
      most,
      dims.length,
    );
  const count = emission.cast(emission.emit('Shape', [indices]), 'float32');
  return [
    emission.reshape(pick(corners, [anchors, 4]), [1, most, 4]),
    emission.reshape(pick(emission.cast(classes, 'float32'), [anchors]), [1, most]),
    emission.reshape(pick(best, [anchors]), [1, most]),
    emission.reshape(count, [1]),
  ];
};

/** y, x, height and width against the anchor, to top, left, bottom, right (Liu et al., "SSD", 2016). */
function cornersOf(emission: Emission, number: (name: string, fallback: number) => number): ValueId {
  const boxes = emission.operand(0);
  const anchors = emission.reshape(emission.operand(2), [1, ...emission.shapeOf(emission.value(2))]);
  const part = (data: ValueId, index: number) => sliced(emission, data, 2, index, index + 1);
  const divided = (index: number, scale: string) =>
    emission.emit('Div', [part(boxes, index), emission.scalar(number(scale, 1))]);
  const side = (index: number, scale: string) =>
    emission.emit('Mul', [emission.emit('Exp', [divided(index, scale)]), part(anchors, index)]);
  const centre = (index: number, scale: string) =>
    emission.emit('Add', [
      emission.emit('Mul', [divided(index, scale), part(anchors, index + 2)]),
      part(anchors, index),
    ]);
  const half = (value: ValueId) => emission.emit('Mul', [value, emission.scalar(0.5)]);
  const [y, x] = [centre(0, 'y_scale'), centre(1, 'x_scale')];
  const [h, w] = [half(side(2, 'h_scale')), half(side(3, 'w_scale'))];
  const ends = [
    emission.emit('Sub', [y, h]),
    emission.emit('Sub', [x, w]),
    emission.emit('Add', [y, h]),
    emission.emit('Add', [x, w]),
  ];
  return emission.emit('Concat', ends, { axis: attr.int(2) });
}

function sliced(emission: Emission, data: ValueId, axis: number, start: number, end: number): ValueId {
  const ints = (suffix: string, value: number) =>
    emission.builder.int64(`${emission.name}_${suffix}`, [value]);
  return emission.emit('Slice', [data, ints('start', start), ints('end', end), ints('axis', axis)]);
}

/** Zeros behind what was found, up to the number of rows that callers expect. */
function filledUp(emission: Emission, found: ValueId, rows: number, rank: number): ValueId {
  const amounts = Array.from({ length: 2 * rank }, (_, i) => (i === rank ? rows : 0));
  const pads = emission.builder.constant(`${emission.name}_pads`, intTensor('int64', [2 * rank], amounts));
  return sliced(emission, emission.emit('Pad', [found, pads]), 0, 0, rows);
}

export const detectionRules: Readonly<Record<string, Rule>> = {
  TFLite_Detection_PostProcess: detection,
};
