import type { Model, NodeId, ValueId } from '../../ir/model.ts';
import type { Equalized, Scaled } from '../equalize/equalize.ts';
import type { Calibrator, ChannelMoments, InputMoments, ObservedRange, Survey } from '../pass.ts';
import type { DenseLayer } from '../support/denseLayer.ts';
import { multiplyLayerOf } from '../support/denseLayer.ts';
import { indexOf } from '../../ir/walk.ts';

/**
 * Answers from a survey of the model before its channels were centred and divided, for the model after; what the survey
 * does not know is observed. Ranges are those before the weights are rounded: at 8 bits they move by less than the room
 * they get.
 */
export function afterEqualization(
  calibrator: Calibrator,
  survey: Survey,
  { model, scaled, seen }: Equalized<Model>,
): Calibrator {
  const rangeOf = (id: ValueId): ObservedRange | undefined => {
    const channels = seen.get(id);
    return channels === undefined ? survey.ranges.get(id) : wholeRange(channels);
  };
  return {
    ...calibrator,
    async ranges(current, values, momentum) {
      if (momentum !== undefined) return calibrator.ranges(current, values, momentum);
      const found = new Map<ValueId, ObservedRange>();
      for (const id of values) {
        const range = rangeOf(id);
        if (range !== undefined) found.set(id, range);
      }
      const open = values.filter((id) => !found.has(id));
      if (open.length > 0)
        for (const [id, range] of await calibrator.ranges(current, open)) found.set(id, range);
      return found;
    },
    async moments(current, ids, samples) {
      const { node } = indexOf(model.graphs[0]);
      const found = new Map<NodeId, InputMoments>();
      for (const id of ids) {
        const at = node.get(id);
        const layer = at && multiplyLayerOf(model, at);
        const moments = survey.moments.get(id);
        if (layer === undefined || moments === undefined) continue;
        found.set(id, scaledMoments(moments, layer, model.dialect, scaled.get(layer.activation)));
      }
      const open = ids.filter((id) => !found.has(id));
      if (open.length > 0)
        for (const [id, moments] of await calibrator.moments(current, open, samples)) found.set(id, moments);
      return found;
    },
  };
}

function wholeRange({ min, max }: ChannelMoments): ObservedRange {
  return { min: min.reduce((a, b) => Math.min(a, b)), max: max.reduce((a, b) => Math.max(a, b)) };
}

/** Moments of the vectors after their channels became (x - centre) / divisor. */
function scaledMoments(
  moments: InputMoments,
  layer: DenseLayer,
  dialect: Model['dialect'],
  by: Scaled | undefined,
): InputMoments {
  if (by === undefined) return moments;
  const { groups, size } = moments;
  const channels = by.divisor.length / groups;
  const taps = layer.kind === 'conv' ? size / channels : 1;
  // ONNX stores all taps of a channel together, TFLite all channels of a tap.
  const channelOf = (i: number) => (dialect === 'onnx' ? Math.floor(i / taps) : i % channels);
  const mean = new Float64Array(groups * size);
  const gram = new Float64Array(moments.gram.length);
  const centre = new Float64Array(size);
  const factor = new Float64Array(size);
  for (let g = 0; g < groups; g += 1) {
    for (let i = 0; i < size; i += 1) {
      const channel = g * channels + channelOf(i);
      centre[i] = by.centre?.[channel] ?? 0;
      factor[i] = 1 / (by.divisor[channel] as number);
      mean[g * size + i] = (moments.mean[g * size + i] as number) - (centre[i] as number);
    }
    for (let i = 0; i < size; i += 1) {
      const row = (g * size + i) * size;
      const [own, off] = [factor[i] as number, centre[i] as number];
      const about = moments.mean[g * size + i] as number;
      for (let j = 0; j < size; j += 1) {
        const other = centre[j] as number;
        const moved =
          (moments.gram[row + j] as number) -
          off * (moments.mean[g * size + j] as number) -
          other * about +
          off * other;
        gram[row + j] = moved * own * (factor[j] as number);
      }
    }
    for (let i = 0; i < size; i += 1)
      mean[g * size + i] = (mean[g * size + i] as number) * (factor[i] as number);
  }
  return { ...moments, mean, gram };
}
