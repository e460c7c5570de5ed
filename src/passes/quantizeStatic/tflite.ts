import type { TargetRules } from '../../devices/targets/target.ts';
import { GraphEditor } from '../../ir/edit.ts';
import type { DType } from '../../ir/dtype.ts';
import type { Node, TfliteModel, ValueId } from '../../ir/model.ts';
import { withMainGraph } from '../../ir/model.ts';
import { indexOf } from '../../ir/walk.ts';
import type { Calibrator, ObservedRange, PassContext, PassResult } from '../pass.ts';
import { withoutDeadCode } from '../simplify/deadCode.ts';
import { simplify } from '../simplify/simplify.ts';
import { factsOf } from '../support/facts.ts';
import { changedNodes, resultOf } from '../support/graph.ts';
import type { RangeChoice } from '../support/observe.ts';
import { observeRanges } from '../support/observe.ts';
import { prepared } from '../support/prepare.ts';
import type { Encoding } from '../support/quantization.ts';
import { activationEncoding, symmetricWide } from '../support/quantization.ts';
import { tfliteNothingFloat } from './alreadyQuantized.ts';
import { observeStates } from './cellRanges.ts';
import { equalizedFor } from './equalizedFor.ts';
import { fewSamples } from './fastRounding.ts';
import { readsFourBits, unpackedNotes } from './fourBits.ts';
import { recurrentTflite } from './recurrent.ts';
import { emitTflite } from './tfliteEmit.ts';
import type { Group, TflitePlan } from './tflitePlan.ts';
import { codesOf, groupRoot, planTflite } from './tflitePlan.ts';
import type { WeightRounding } from './weights.ts';
import { momentsFor, observedIn, roundedFor } from './weights.ts';

interface TfliteStaticOptions {
  readonly rules: TargetRules;
  readonly floatBorder: boolean;
  readonly perChannel: boolean;
  readonly perChannelDense: boolean;
  /** Codes of four bits or fewer are stored as int4. */
  readonly packed: boolean;
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
  if (first.groups.size === 0) throw tfliteNothingFloat(model.graphs[0]);
  const perChannel = (node: Node) =>
    node.op === 'FULLY_CONNECTED' ? options.perChannelDense : options.perChannel;
  await context.step(0.02, 'equalizing channels');
  const moments = momentsFor(
    ready.model,
    [...first.nodes.values()],
    options.weights,
    context.calibrator.samples,
  );
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
      packed: (node) => packs(options, node),
    },
  );
  const start = rounded.model;
  const facts = factsOf(start);
  const draft = planTflite(start, facts, options.rules, allowed, () => true);
  const wanted = [...draft.groups.keys()];
  if (wanted.length === 0) {
    throw tfliteNothingFloat(model.graphs[0]);
  }
  await context.step(0.05, `calibrating ${wanted.length} values over ${calibrator.samples} samples`);
  const seen = observedIn(form, start, options.weights);
  const ranges = await observeRanges(calibrator, seen, wanted, options.ranges, room);
  const cells = [...draft.nodes.values()].flatMap(({ node, reach }) => (reach === undefined ? [] : [node]));
  const states = await observeStates(calibrator, start, cells);
  await context.step(0.8, 'writing quantized weights');
  const usable = (id: ValueId) => isUsable(ranges.get(id));
  const plan = planTflite(start, facts, options.rules, allowed, usable, (node) => states.get(node.id));
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
    packed: (node) => rounded.scales.has(node.id) && options.weights.bits < 8 && packs(options, node),
  });
  const joined = await withoutPairs(start, withMainGraph(start, graph), context);
  const recurrent = await recurrentTflite(joined, plan, options.rules, allowed, context);
  const notes = [
    ...ready.notes,
    ...rounded.notes,
    ...(options.packed ? unpackedNotes(options.rules, options.weights.bits) : []),
    ...planNotes(start, plan, recurrent.hybrid, context.calibrator, codesOf(options.rules), allowed),
    ...recurrent.notes,
  ];
  return resultOf(model, recurrent.model, changedNodes(model.graphs[0], recurrent.model.graphs[0]), notes);
}

/** Whether a layer's kernel reads weights of four bits (LiteRT, TensorFlow Lite Micro). */
function packs({ packed, rules }: TfliteStaticOptions, node: Node): boolean {
  return packed && codesOf(rules) === 'int8' && readsFourBits(rules, node);
}

const converters = new Set(['QUANTIZE', 'DEQUANTIZE']);
const narrow: ReadonlySet<DType | undefined> = new Set(['int8', 'uint8', 'int16']);

/** Where parts of the model were quantized before, pairs of conversions between them and the new parts cancel out. */
async function withoutPairs(
  before: TfliteModel,
  after: TfliteModel,
  context: PassContext,
): Promise<TfliteModel> {
  if (!before.graphs[0].nodes.some((node) => converters.has(node.op))) return after;
  const ids = after.graphs[0].nodes.flatMap((node) => (converters.has(node.op) ? [node.id] : []));
  const only = { ...context, layers: new Set(ids), step: () => context.step(0.9, 'joining parts') };
  const { model } = await simplify.run(after, {}, only);
  return model.dialect === 'tflite' ? withoutDetours(model) : after;
}

/** Codes that would be dequantized only to be quantized otherwise change their encoding at once. */
function withoutDetours(model: TfliteModel): TfliteModel {
  const [graph] = model.graphs;
  const { producer } = indexOf(graph);
  const facts = factsOf(model);
  const editor = new GraphEditor(graph, model);
  for (const node of graph.nodes) {
    const maker = node.op === 'QUANTIZE' ? producer.get(node.inputs[0] ?? '') : undefined;
    if (maker?.op !== 'DEQUANTIZE' || !narrow.has(facts.dtypeOf(maker.inputs[0]))) continue;
    editor.replaceNode(node.id, [{ ...node, inputs: maker.inputs }]);
  }
  const direct = withMainGraph(model, editor.finish());
  const left = withoutDeadCode(direct, direct.graphs[0], (node) => node.op === 'DEQUANTIZE');
  return direct === model ? model : withMainGraph(direct, left);
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
  if (dtype === 'int16') return symmetricWide({ min, max });
  if (root.symmetric !== true) return activationEncoding({ min, max }, 'int8');
  const most = Math.max(-min, max);
  return { ...activationEncoding({ min: -most, max: most }, 'int8'), zeroPoint: 0 };
}

function planNotes(
  model: TfliteModel,
  plan: TflitePlan,
  hybrid: ReadonlySet<string>,
  calibrator: Calibrator,
  dtype: string,
  allowed: (node: Node) => boolean,
): string[] {
  const left = new Map<string, number>();
  const facts = factsOf(model);
  let already = 0;
  const chosen = model.graphs[0].nodes.filter((node) => plan.nodes.has(node.id) || allowed(node));
  for (const node of chosen) {
    if (plan.nodes.has(node.id) || hybrid.has(node.id)) continue;
    if (converters.has(node.op) || narrow.has(facts.dtypeOf(node.outputs[0]))) already += 1;
    else left.set(node.op, (left.get(node.op) ?? 0) + 1);
  }
  const total = chosen.length - already;
  const notes = [
    `${plan.nodes.size} of ${total} operators run on ${dtype}, ranges from ${calibrator.source}`,
  ];
  if (already > 0) notes.push(`${already} operators of the model were quantized before, or convert`);
  if (left.size > 0) {
    const list = [...left].map(([op, count]) => `${count} ${op}`).join(', ');
    notes.push(`kept in float between DEQUANTIZE and QUANTIZE: ${list}`);
  }
  return notes;
}
