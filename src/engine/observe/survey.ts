import type { OnnxModel, ValueId } from '../../ir/model.ts';
import type { ChannelMoments, Survey, SurveyPlan } from '../../passes/pass.ts';
import { factsOf } from '../../passes/support/facts.ts';
import type { DenseLayer } from '../../passes/support/denseLayer.ts';
import type { ChannelModel, WatchedChannels } from './channels.ts';
import { addChannelSums, addExtremes, momentsOf, watchedChannels, withChannelOutputs } from './channels.ts';
import type { ColumnModel, ColumnNames } from './columnOutputs.ts';
import { withJoinedOutputs } from './joined.ts';
import { withColumnOutputs } from './columnOutputs.ts';
import type { Watched } from './moments.ts';
import { addSums, groupsOf, momentsSeen, watchedLayers } from './moments.ts';
import type { MergedRanges } from './merged.ts';
import { mergedRanges } from './merged.ts';
import { withRangeOutputs } from './rangeOutputs.ts';
import type { RunSamples, Visit } from './runs.ts';
import { numbersOf } from './sums.ts';

/** Vectors per element of a layer's inputs, and of any layer: enough for a matrix of second moments. */
const vectorsPerInput = 2;
const fewestVectors = 512;
/** Positions of a feature map, about, that mean and variance of its channels are taken over. */
const positionsPerMap = 196;

interface SurveyRuns {
  /** Over as many samples as the plan's `few`, over the others, and over all. */
  readonly few: RunSamples;
  readonly others: RunSamples;
  readonly all: RunSamples;
  readonly samples: { readonly few: number; readonly all: number };
}

/**
 * See `Calibrator.survey`. What is costly per sample is asked of a few of them; the others only give extremes, and no
 * sample is run twice unless the matrices of moments are too many for one session.
 */
export async function surveyOnnx(
  { few, others, all, samples }: SurveyRuns,
  model: OnnxModel,
  plan: SurveyPlan,
): Promise<Survey> {
  const channels = watchedChannels(model, plan.channels);
  const layers = watchedLayers(model, plan.moments);
  const extremes: Extremes = { merged: mergedRanges(), values: plan.ranges, channels };
  const groups = groupsOf(layers);
  if (groups.length === 0 && channels.length > 0) groups.push([]);
  for (const [index, group] of groups.entries()) {
    const part = [(0.3 * index) / groups.length, (0.3 * (index + 1)) / groups.length] as const;
    const isFirst = index === 0;
    const seen = sumsAmong(model, group, isFirst ? extremes : undefined, samples.few);
    await few([seen.model], part, seen.visit);
  }
  const left = groups.length === 0 ? all : others;
  const isLeft = groups.length === 0 || samples.few < samples.all;
  if (isLeft && plan.ranges.length + channels.length > 0) {
    const seen = extremesOf(model, extremes);
    await left([seen.model], [0.3, 1], seen.visit);
  }
  return {
    ranges: extremes.merged.finish(),
    channels: new Map(channels.map((each) => [each.value, channelsSeen(each, samples)])),
    moments: momentsSeen(layers),
  };
}

/** The extremes come from more numbers than the sums. */
function channelsSeen({ seen }: WatchedChannels, samples: SurveyRuns['samples']): ChannelMoments {
  return { ...momentsOf(seen), count: (seen.count * samples.all) / samples.few };
}

/** Values and channels whose extremes are looked for, and what was seen so far. */
interface Extremes {
  readonly merged: MergedRanges;
  readonly values: readonly ValueId[];
  readonly channels: readonly WatchedChannels[];
}

/** A model with more outputs, and what is done with them. */
interface Watching {
  readonly model: OnnxModel;
  readonly visit: Visit;
}

function extremesOf(model: OnnxModel, { merged, values, channels }: Extremes, kept: Kept = {}): Watching {
  const watching = withRangeOutputs(model, values, channels, kept);
  const lengths = new Map<ValueId, number>();
  for (const { value, axis, dims } of channels)
    for (const name of Object.values(watching.channels.get(value) ?? {}))
      if ((dims[axis] ?? -1) >= 0) lengths.set(name, dims[axis] as number);
  const { model: own, split } = withJoinedOutputs(watching.model, 'float32', lengths, watching.joined);
  return {
    model: own,
    visit(joined) {
      const tensors = split(joined);
      const read = (name: ValueId) => numbersOf(tensors, name);
      for (const [id, { min, max }] of watching.outputs)
        merged.add(id, {
          min: min === undefined ? 0 : (read(min)[0] as number),
          max: read(max)[0] as number,
        });
      for (const each of channels) {
        const names = watching.channels.get(each.value);
        if (names === undefined) continue;
        const max = read(names.max);
        addExtremes(each, names.min === undefined ? new Float64Array(max.length) : read(names.min), max);
      }
    },
  };
}

type Kept = Parameters<typeof withRangeOutputs>[3];

/** Moments of a group of layers; with `extremes`, those and the sums of the channels as well. */
function sumsAmong(
  model: OnnxModel,
  group: readonly Watched[],
  extremes: Extremes | undefined,
  samples: number,
): Watching {
  const density = ({ inputs }: DenseLayer) =>
    Math.ceil(Math.max(fewestVectors, vectorsPerInput * inputs) / samples);
  const columns = withColumnOutputs(
    model,
    group.map(({ layer }) => ({ layer })),
    density,
  );
  const own = extremes?.channels ?? [];
  const kept = columns.model.graphs[0].outputs;
  const sums = withChannelOutputs(columns.model, own, ['sum', 'squares'], kept, positionsPerMap);
  const numbers = withJoinedOutputs(sums.model, 'float32', sumLengths(own, sums));
  const shapes = withJoinedOutputs(numbers.model, 'int64', shapeLengths(group, columns, own, sums));
  const surroundings = { kept: shapes.model.graphs[0].outputs, facts: factsOf(model) };
  const whole = extremes && extremesOf(shapes.model, extremes, surroundings);
  return {
    model: whole?.model ?? shapes.model,
    visit(joined, ...run) {
      const tensors = shapes.split(numbers.split(joined));
      for (const { layer, sum } of group)
        addSums(sum, tensors, columns.outputs.get(layer.node.id) as ColumnNames);
      addChannelSums(own, sums, tensors);
      whole?.visit(joined, ...run);
    },
  };
}

/** Numbers in the sums of channels, where known. */
function sumLengths(
  channels: readonly WatchedChannels[],
  { outputs }: ChannelModel,
): ReadonlyMap<ValueId, number> {
  return new Map(
    channels.flatMap(({ axis, dims }, index) => {
      const count = dims[axis] ?? -1;
      return count < 0 ? [] : Object.values(outputs[index]?.of ?? {}).map((id) => [id, count] as const);
    }),
  );
}

function shapeLengths(
  group: readonly Watched[],
  columns: ColumnModel,
  channels: readonly WatchedChannels[],
  sums: ChannelModel,
): ReadonlyMap<ValueId, number> {
  const lengths = new Map<ValueId, number>();
  for (const { layer } of group) {
    const names = columns.outputs.get(layer.node.id);
    // Groups, elements, vectors.
    if (names !== undefined) lengths.set(names.shape, 3);
  }
  for (const [index, { dims }] of channels.entries()) {
    const shape = sums.outputs[index]?.shape;
    if (shape !== undefined) lengths.set(shape, dims.length);
  }
  return lengths;
}
