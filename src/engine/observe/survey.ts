import type { OnnxModel, ValueId } from '../../ir/model.ts';
import type { ChannelMoments, ObservedRange, Survey, SurveyPlan } from '../../passes/pass.ts';
import type { DenseLayer } from '../../passes/support/denseLayer.ts';
import type { WatchedChannels } from './channels.ts';
import { addChannelSums, addExtremes, momentsOf, watchedChannels, withChannelOutputs } from './channels.ts';
import type { ColumnNames } from './columnOutputs.ts';
import { withColumnOutputs } from './columnOutputs.ts';
import type { Watched } from './moments.ts';
import { addSums, groupsOf, momentsSeen, watchedLayers } from './moments.ts';
import { mergedRanges } from './merged.ts';
import { withRangeOutputs } from './rangeOutputs.ts';
import type { RunSamples, Visit } from './runs.ts';
import { numbersOf } from './sums.ts';

/** Vectors per element of a layer's inputs, and of any layer: enough for a matrix of second moments. */
const vectorsPerInput = 4;
const fewestVectors = 1024;

export interface SurveyRuns {
  /** Over as many samples as the plan's `few`. */
  readonly few: RunSamples;
  readonly all: RunSamples;
  /** Samples of both. */
  readonly samples: { readonly few: number; readonly all: number };
}

/** See `Calibrator.survey`. What is costly per sample is asked of a few of them; the others only give extremes. */
export async function surveyOnnx(
  { few, all, samples }: SurveyRuns,
  model: OnnxModel,
  plan: SurveyPlan,
): Promise<Survey> {
  const channels = watchedChannels(model, plan.channels);
  const layers = watchedLayers(model, plan.moments);
  await sumFew(few, model, channels, layers, samples.few);
  const merged = mergedRanges();
  const extremes = withRangeOutputs(model, plan.ranges, channels);
  const isWatched = extremes.model.graphs[0].outputs.length > 0;
  const visit: Visit = (tensors) => {
    const read = (name: ValueId) => numbersOf(tensors, name);
    for (const [id, { min, max }] of extremes.outputs)
      merged.add(id, { min: min === undefined ? 0 : (read(min)[0] as number), max: read(max)[0] as number });
    for (const each of channels) {
      const names = extremes.channels.get(each.value);
      if (names === undefined) continue;
      const max = read(names.max);
      addExtremes(each, names.min === undefined ? new Float64Array(max.length) : read(names.min), max);
    }
  };
  if (isWatched) await all([extremes.model], [0.3, 1], visit);
  return {
    ranges: merged.finish() as ReadonlyMap<ValueId, ObservedRange>,
    channels: new Map(channels.map((each) => [each.value, channelsSeen(each, samples)])),
    moments: momentsSeen(layers),
  };
}

/** The extremes come from more numbers than the sums. */
function channelsSeen({ seen }: WatchedChannels, samples: SurveyRuns['samples']): ChannelMoments {
  return { ...momentsOf(seen), count: (seen.count * samples.all) / samples.few };
}

async function sumFew(
  run: RunSamples,
  model: OnnxModel,
  channels: readonly WatchedChannels[],
  layers: readonly Watched[],
  samples: number,
): Promise<void> {
  const groups = layers.length === 0 && channels.length > 0 ? [[]] : groupsOf(layers);
  const density = ({ inputs }: DenseLayer) =>
    Math.ceil(Math.max(fewestVectors, vectorsPerInput * inputs) / samples);
  for (const [index, group] of groups.entries()) {
    const columns = withColumnOutputs(
      model,
      group.map(({ layer }) => ({ layer })),
      density,
    );
    const own = index === 0 ? channels : [];
    const sums = withChannelOutputs(columns.model, own, ['sum', 'squares'], columns.model.graphs[0].outputs);
    const part = [(0.3 * index) / groups.length, (0.3 * (index + 1)) / groups.length] as const;
    await run([sums.model], part, (tensors) => {
      for (const { layer, sum } of group)
        addSums(sum, tensors, columns.outputs.get(layer.node.id) as ColumnNames);
      addChannelSums(own, sums, tensors);
    });
  }
}
