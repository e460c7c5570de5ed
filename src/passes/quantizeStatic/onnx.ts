import type { TargetRules } from '../../devices/targets/target.ts';
import { KerfError } from '../../ir/errors.ts';
import type { Graph, Model, Node, OnnxModel, ValueId } from '../../ir/model.ts';
import { withMainGraph } from '../../ir/model.ts';
import { operatorOf } from '../../ops/registry.ts';
import type { Calibrator, ObservedRange, PassContext, PassResult } from '../pass.ts';
import { readableConstant } from '../support/constants.ts';
import { factsOf } from '../support/facts.ts';
import { changedNodes, isOnnxOp, opsetOf, resultOf } from '../support/graph.ts';
import { blockedOpset, raisedOpset, raiseOpset } from '../support/opset.ts';
import type { RangeChoice } from '../support/observe.ts';
import { observeRanges } from '../support/observe.ts';
import { prepared } from '../support/prepare.ts';
import type { Encoding } from '../support/quantization.ts';
import { equalizedFor } from './equalizedFor.ts';
import { fewSamples } from './fastRounding.ts';
import { inFourBits, readsFourBits, unpackedNotes } from './fourBits.ts';
import { emitOnnx } from './onnxEmit.ts';
import type { OnnxPlan } from './onnxPlan.ts';
import { leftNotes } from './recurrent.ts';
import type { WeightRounding } from './weights.ts';
import { momentsFor, observedIn, roundedFor } from './weights.ts';
import { activationType, planOnnx } from './onnxPlan.ts';
import { targetEncoding } from './targetEncoding.ts';
import { targetForm } from './targetForm.ts';
import { onnxAlreadyQuantized } from './alreadyQuantized.ts';
import { inWideDomain } from './wideDomain.ts';

interface OnnxStaticOptions {
  readonly rules: TargetRules;
  readonly perChannel: boolean;
  readonly ranges: RangeChoice;
  readonly weights: WeightRounding;
  readonly equalize: boolean;
  /** Codes of four bits or fewer are stored as int4 where the target reads them. */
  readonly packed: boolean;
}

/** Quantizes weights and activations of an ONNX model to 8 bits in the QDQ form. */
export async function quantizeOnnx(
  model: OnnxModel,
  options: OnnxStaticOptions,
  context: PassContext & { readonly calibrator: Calibrator },
): Promise<PassResult> {
  const allowed = (node: Node) => context.layers === undefined || context.layers.has(node.id);
  // Named layers may follow others that have their own scheme already.
  const isQuantized = model.graphs[0].nodes.some((node) => isOnnxOp(node, 'QuantizeLinear'));
  if (isQuantized && context.layers === undefined) {
    throw onnxAlreadyQuantized();
  }
  const ready = await prepared(model, context);
  const { rules } = options;
  const packs = (node: Node) => options.packed && options.weights.bits < 8 && readsFourBits(rules, node);
  const needed = ready.model.graphs[0].nodes.some(packs) ? blockedOpset : raisedOpset;
  const raised = raiseOpset(ready.model, needed);
  if ('refusal' in raised) throw new KerfError('unsupported', `opset ${needed} is needed: ${raised.refusal}`);
  const { model: shaped, notes: forms } = targetForm(raised.model, rules, allowed);
  const first = planOnnx(shaped, factsOf(shaped), rules, allowed, () => true);
  const perChannel = (node: Node) => options.perChannel && rules.weights.perChannel.includes(node.op);
  await context.step(0.02, 'equalizing channels');
  const moments = momentsFor(shaped, [...first.nodes.values()], options.weights, context.calibrator.samples);
  const {
    model: form,
    room,
    calibrator,
  } = await equalizedFor(shaped, options.equalize, allowed, context.calibrator, {
    values: new Set(first.values.keys()),
    roots: rootsOf(first),
    nodes: first.nodes,
    perChannel,
    bits: options.weights.bits,
    activations: activationType(rules),
    few: fewSamples,
    ...(moments && { rounded: moments }),
  });
  const weighted = [...planOnnx(form, factsOf(form), rules, allowed, () => true).nodes.values()];
  const rounded = await roundedFor(
    form,
    weighted,
    options.weights,
    { ...context, calibrator },
    {
      bits: rules.weights.bits ?? 8,
      perChannel,
      packed: packs,
    },
  );
  const start = rounded.model;
  const facts = factsOf(start);
  const draft = planOnnx(start, facts, rules, allowed, () => true);
  const wanted = rootsOf(draft);
  await context.step(0.05, `calibrating ${wanted.length} values over ${calibrator.samples} samples`);
  const seen = observedIn(form, start, options.weights);
  const ranges = await observeRanges(calibrator, seen, wanted, options.ranges, room);
  await context.step(0.8, 'writing quantized weights');
  const usable = (id: ValueId) => isUsable(ranges.get(id));
  const plan = planOnnx(start, facts, rules, allowed, usable);
  if (plan.nodes.size === 0) return resultOf(model, model, [], [nothingToDo(start)]);
  const encodings = encodingsOf(plan, ranges, rules);
  const emitted = emitOnnx(start, plan, encodings, rules, options.perChannel, rounded.scales);
  const packed = [...plan.nodes.values()].flatMap(({ node }) =>
    packs(node) && rounded.scales.has(node.id) ? [node.id] : [],
  );
  const graph = packed.length === 0 ? emitted : inFourBits(start, emitted, new Set(packed));
  const result = inWideDomain(withMainGraph(start, graph));
  const notes = [...ready.notes, ...forms, ...rounded.notes];
  if (options.packed) notes.push(...unpackedNotes(rules, options.weights.bits));
  if (packed.length > 0)
    notes.push(
      'ONNX Runtime on a CPU has no kernels for 4-bit weights beside integers and computes in float',
    );
  if (opsetOf(model) < opsetOf(start)) notes.push(`opset ${opsetOf(model)} raised to ${opsetOf(start)}`);
  notes.push(...planNotes(start, plan, calibrator, allowed));
  notes.push(...leftNotes(start, plan));
  if (activationType(rules) === 'uint16')
    notes.push(
      'ONNX Runtime on a CPU has no kernels for 16-bit activations and computes in float: as accurate, but slower',
    );
  return resultOf(model, result, changedNodes(model.graphs[0], graph), notes);
}

/** Why no layer was found. */
function nothingToDo(model: OnnxModel): string {
  const [graph] = model.graphs;
  const computed = graph.nodes.filter((node) => {
    const [role] = operatorOf(model, node)?.weights?.(node, model) ?? [];
    return role !== undefined && readableConstant(graph, node.inputs[role.input]) === undefined;
  });
  return computed.length === 0
    ? 'there is no layer to quantize'
    : `there is no layer to quantize: the weights of ${computed.length} layers are computed by the graph, or missing`;
}

function isUsable(range: ObservedRange | undefined): boolean {
  return range !== undefined && Number.isFinite(range.min) && Number.isFinite(range.max);
}

function rootsOf(plan: OnnxPlan): ValueId[] {
  const roots = new Set<ValueId>();
  for (const value of plan.values.values()) if (value.fixed === undefined) roots.add(value.root);
  return [...roots];
}

function encodingsOf(
  plan: OnnxPlan,
  ranges: ReadonlyMap<ValueId, ObservedRange>,
  rules: TargetRules,
): ReadonlyMap<ValueId, Encoding> {
  const encodings = new Map<ValueId, Encoding>();
  const dtype = activationType(rules);
  for (const { root, cap, fixed } of plan.values.values()) {
    if (encodings.has(root)) continue;
    const lowest = dtype === 'int8' ? -128 : 0;
    // The scale of a known range is that of 8 bits.
    const known = fixed !== undefined && dtype === 'uint16' ? Math.fround((fixed * 255) / 65535) : fixed;
    if (known !== undefined) encodings.set(root, { scale: known, zeroPoint: lowest, dtype });
    else encodings.set(root, targetEncoding(ranges.get(root) as ObservedRange, rules, cap));
  }
  return encodings;
}

/** What stayed float of the chosen layers, by operator, and where the ranges come from. */
function planNotes(
  model: Model,
  plan: OnnxPlan,
  calibrator: Calibrator,
  allowed: (node: Node) => boolean,
): string[] {
  const graph: Graph = model.graphs[0];
  const left = new Map<string, number>();
  let weighted = 0;
  let quantized = 0;
  for (const node of graph.nodes.filter(allowed)) {
    const hasWeight = (operatorOf(model, node)?.weights?.(node, model) ?? []).some(
      (role) => graph.values.get(node.inputs[role.input] ?? '')?.constant !== undefined,
    );
    if (hasWeight) weighted += 1;
    if (hasWeight && plan.nodes.has(node.id)) quantized += 1;
    if (hasWeight && !plan.nodes.has(node.id)) left.set(node.op, (left.get(node.op) ?? 0) + 1);
  }
  const notes = [
    `${quantized} of ${weighted} weighted layers are quantized, ranges from ${calibrator.source}`,
  ];
  if (left.size > 0) {
    const list = [...left].map(([op, count]) => `${count} ${op}`).join(', ');
    notes.push(`kept in float, as the runtime has no integer kernel for them: ${list}`);
  }
  return notes;
}
