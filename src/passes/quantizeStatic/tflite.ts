import type { TargetRules } from '../../devices/targets/target.ts';
import { KerfError } from '../../ir/errors.ts';
import type { Node, TfliteModel, ValueId } from '../../ir/model.ts';
import { withMainGraph } from '../../ir/model.ts';
import type { Calibrator, ObservedRange, PassContext, PassResult } from '../pass.ts';
import { factsOf } from '../support/facts.ts';
import { changedNodes, resultOf } from '../support/graph.ts';
import type { RangeChoice } from '../support/observe.ts';
import { observeRanges } from '../support/observe.ts';
import { prepared } from '../support/prepare.ts';
import type { Encoding } from '../support/quantization.ts';
import { activationEncoding, symmetricWide } from '../support/quantization.ts';
import { equalizedFor } from './equalizedFor.ts';
import { fewSamples } from './fastRounding.ts';
import { recurrentTflite } from './recurrent.ts';
import { emitTflite } from './tfliteEmit.ts';
import type { Group, TflitePlan } from './tflitePlan.ts';
import { codesOf, groupRoot, planTflite } from './tflitePlan.ts';
import type { WeightRounding } from './weights.ts';
import { momentsFor, roundedFor } from './weights.ts';

export interface TfliteStaticOptions {
  readonly rules: TargetRules;
  readonly floatBorder: boolean;
  readonly perChannel: boolean;
  readonly perChannelDense: boolean;
  readonly ranges: RangeChoice;
  readonly weights: WeightRounding;
  readonly equalize: boolean;
}

/** Full-integer int8 quantization of a float TFLite model. */
export async function quantizeTflite(
  model: TfliteModel,
  options: TfliteStaticOptions,
  context: PassContext & { readonly calibrator: Calibrator },
): Promise<PassResult> {
  const allowed = (node: Node) => context.layers === undefined || context.layers.has(node.id);
  const ready = await prepared(model, context);
  const first = planTflite(ready.model, factsOf(ready.model), options.rules, allowed, () => true);
  const perChannel = (node: Node) =>
    node.op === 'FULLY_CONNECTED' ? options.perChannelDense : options.perChannel;
  await context.step(0.02, 'equalizing channels');
  const moments = momentsFor(ready.model, [...first.nodes.values()], options.weights);
  const {
    model: form,
    room,
    calibrator,
  } = await equalizedFor(ready.model, options.equalize, allowed, context.calibrator, {
    values: new Set(first.groups.keys()),
    roots: [...first.groups.keys()],
    nodes: first.nodes,
    perChannel,
    bits: options.weights.bits,
    activations: codesOf(options.rules),
    few: fewSamples,
    ...(moments && { rounded: moments }),
  });
  const weighted = [...planTflite(form, factsOf(form), options.rules, allowed, () => true).nodes.values()];
  const rounded = await roundedFor(
    form,
    weighted,
    options.weights,
    { ...context, calibrator },
    {
      bits: options.rules.weights.bits ?? 8,
      perChannel,
    },
  );
  const start = rounded.model;
  const facts = factsOf(start);
  const draft = planTflite(start, facts, options.rules, allowed, () => true);
  const wanted = [...draft.groups.keys()];
  if (wanted.length === 0) {
    throw new KerfError('unsupported', 'there is no float operator with an integer kernel in this model');
  }
  await context.step(0.05, `calibrating ${wanted.length} values over ${calibrator.samples} samples`);
  const ranges = await observeRanges(calibrator, start, wanted, options.ranges, room);
  await context.step(0.8, 'writing quantized weights');
  const plan = planTflite(start, facts, options.rules, allowed, (id) => isUsable(ranges.get(id)));
  if (plan.nodes.size === 0) return resultOf(model, model, [], ['there is no layer to quantize']);
  const encodings = new Map<Group, Encoding>();
  const encodingOf = (group: Group): Encoding => {
    let encoding = encodings.get(group);
    if (encoding === undefined) {
      encoding = encodeGroup(group, ranges, codesOf(options.rules));
      encodings.set(group, encoding);
    }
    return encoding;
  };
  const graph = emitTflite(start, {
    plan,
    dtype: codesOf(options.rules),
    encodingOf,
    scales: rounded.scales,
    ...options,
  });
  const recurrent = await recurrentTflite(withMainGraph(start, graph), plan, options.rules, allowed, context);
  const notes = [
    ...ready.notes,
    ...rounded.notes,
    ...planNotes(start, plan, recurrent.hybrid, context.calibrator, codesOf(options.rules)),
    ...recurrent.notes,
  ];
  return resultOf(model, recurrent.model, changedNodes(model.graphs[0], recurrent.model.graphs[0]), notes);
}

function isUsable(range: ObservedRange | undefined): boolean {
  return range !== undefined && Number.isFinite(range.min) && Number.isFinite(range.max);
}

function encodeGroup(
  group: Group,
  ranges: ReadonlyMap<ValueId, ObservedRange>,
  dtype: 'int8' | 'int16',
): Encoding {
  const root = groupRoot(group);
  if (root.fixed !== undefined) return { ...root.fixed, dtype };
  let min = 0;
  let max = 0;
  for (const range of [...root.members.map((id) => ranges.get(id)), ...root.constants]) {
    min = Math.min(min, range?.min ?? 0);
    max = Math.max(max, range?.max ?? 0);
  }
  return dtype === 'int16' ? symmetricWide({ min, max }) : activationEncoding({ min, max }, 'int8');
}

function planNotes(
  model: TfliteModel,
  plan: TflitePlan,
  hybrid: ReadonlySet<string>,
  calibrator: Calibrator,
  dtype: string,
): string[] {
  const left = new Map<string, number>();
  for (const node of model.graphs[0].nodes) {
    if (!plan.nodes.has(node.id) && !hybrid.has(node.id)) left.set(node.op, (left.get(node.op) ?? 0) + 1);
  }
  const total = model.graphs[0].nodes.length;
  const notes = [
    `${plan.nodes.size} of ${total} operators run on ${dtype}, ranges from ${calibrator.source}`,
  ];
  if (left.size > 0) {
    const list = [...left].map(([op, count]) => `${count} ${op}`).join(', ');
    notes.push(`kept in float between DEQUANTIZE and QUANTIZE: ${list}`);
  }
  return notes;
}
