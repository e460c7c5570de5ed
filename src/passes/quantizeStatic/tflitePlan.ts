import type { OperatorRule, TargetRules } from '../../devices/targets/target.ts';
import { operatorRule } from '../../devices/targets/target.ts';
import type { Graph, Node, NodeId, TfliteModel, ValueId } from '../../ir/model.ts';
import { feedsOf } from '../../ir/model.ts';
import { indexOf } from '../../ir/walk.ts';
import type { WeightRole } from '../../ops/operator.ts';
import { operatorOf } from '../../ops/registry.ts';
import type { ObservedRange } from '../pass.ts';
import { readableConstant } from '../support/constants.ts';
import type { Facts } from '../support/facts.ts';
import { rangeOf } from '../support/quantization.ts';
import { cellKind, cellRefusal } from './cells.ts';
import type { Planning } from './planning.ts';
import { planning } from './planning.ts';

/** Values of one group share scale and zero point. */
export interface Group {
  members: ValueId[];
  /** Ranges of constants that take part. */
  constants: ObservedRange[];
  fixed?: { readonly scale: number; readonly zeroPoint: number };
  /** A member needs the zero point 0. */
  symmetric?: boolean;
  /** Set when the group was merged into another. */
  into?: Group;
}

export interface TfliteNodePlan {
  readonly node: Node;
  readonly weight?: WeightRole;
  /** For a recurrent layer: the largest magnitude in its state; 0 while nobody has looked. */
  readonly reach?: number;
  /** Float inputs that are read as codes: index to group; a member elsewhere is requantized on the way. */
  readonly inputs: ReadonlyMap<number, Group>;
}

export interface TflitePlan {
  readonly nodes: ReadonlyMap<NodeId, TfliteNodePlan>;
  /** The group of every value that exists as codes. */
  readonly groups: ReadonlyMap<ValueId, Group>;
  /** Values whose producer makes codes. */
  readonly made: ReadonlySet<ValueId>;
}

export function groupRoot(group: Group): Group {
  let root = group;
  while (root.into !== undefined) root = root.into;
  return root;
}

interface Planner extends Planning<TfliteModel> {
  readonly groups: Map<ValueId, Group>;
  readonly nodes: Map<NodeId, TfliteNodePlan>;
  readonly made: Set<ValueId>;
  readonly feeds: ReadonlySet<ValueId>;
  readonly reach: ((node: Node) => number | undefined) | undefined;
}

/**
 * Decides which operators run on int8 and which values share an encoding. With `reach`, recurrent layers whose state
 * nobody has seen stay as they are.
 */
export function planTflite(
  model: TfliteModel,
  facts: Facts,
  rules: TargetRules,
  allowed: (node: Node) => boolean,
  encodable: (id: ValueId) => boolean,
  reach?: (node: Node) => number | undefined,
): TflitePlan {
  const base = planning(model, facts, rules, encodable);
  const { graph } = base;
  const planner: Planner = {
    ...base,
    groups: new Map(),
    nodes: new Map(),
    made: new Set(),
    feeds: new Set(feedsOf(graph).map((value) => value.id)),
    reach,
  };
  for (const node of graph.nodes) if (node.domain === '' && allowed(node)) planNode(planner, node);
  return { nodes: planner.nodes, groups: planner.groups, made: planner.made };
}

/** Operators whose kernels in LiteRT do not take 16-bit activations. */
const narrowOnly = new Set(
  (
    'ARG_MAX ARG_MIN HARD_SWISH PRELU RELU_N1_TO_1 SPACE_TO_DEPTH DEPTH_TO_SPACE LOG_SOFTMAX L2_NORMALIZATION GELU ELU EXP ' +
    'SQUARED_DIFFERENCE TILE MIRROR_PAD GATHER_ND REVERSE_V2 SUM SELECT_V2 BROADCAST_TO'
  ).split(' '),
);

/** The type in which the quantizer writes activations. */
export function codesOf({ activations }: TargetRules): 'int8' | 'int16' {
  return activations.types[0] === 'int16' ? 'int16' : 'int8';
}

function ruleOf(rules: TargetRules, op: string): OperatorRule | undefined {
  const type = codesOf(rules);
  return type === 'int16' && narrowOnly.has(op) ? undefined : operatorRule(rules, op, type);
}

function planNode(planner: Planner, node: Node): void {
  if (node.intermediates !== undefined) return;
  if (cellKind(node) !== undefined) return planCell(planner, node);
  const rule = ruleOf(planner.rules, node.op);
  if (rule === undefined) return;
  const weight = rule.kind === 'weighted' ? weightRole(planner, node) : undefined;
  if (rule.kind === 'weighted' && weight === undefined) return;
  const floats = floatInputs(planner, node, weight);
  if (floats === undefined) return;
  const outputs = node.outputs.filter((id): id is ValueId => id !== null);
  const flowing = floats.filter((index) => constantAt(planner, node, index) === undefined);
  const lead = rule.kind === 'same' ? rule.from : flowing[0];
  if (flowing.length === 0 || lead === undefined || !floats.includes(lead)) return;
  const source = node.inputs[lead] as ValueId;
  // Moving data between float neighbours would only add conversions.
  if (rule.kind === 'same' || rule.kind === 'sink') {
    if (!planner.made.has(source) && !(planner.feeds.has(source) && rule.kind === 'same')) return;
  }
  if (rule.kind !== 'sink' && !outputs.every((id) => isPlainFloat(planner, id) && planner.encodable(id)))
    return;
  const inputs = new Map<number, Group>();
  for (const index of floats) inputs.set(index, groupOfInput(planner, node, index));
  if (rule.kind !== 'sink') planOutputs(planner, rule, outputs, inputs, lead);
  planner.nodes.set(node.id, { node, ...(weight && { weight }), inputs });
}

/** A recurrent layer: its input and its result are encoded freely, everything else is its own. */
function planCell(planner: Planner, node: Node): void {
  const { rules, model, facts } = planner;
  const [source = null] = node.inputs;
  const [output = null] = node.outputs;
  if (codesOf(rules) !== 'int8' || rules.operators.given?.includes(node.op) !== true) return;
  if (cellRefusal(model, node) !== undefined || source === null || output === null) return;
  const reach = planner.reach === undefined ? 0 : planner.reach(node);
  const usable = (id: ValueId) => isPlainFloat(planner, id) && planner.encodable(id);
  if (reach === undefined || facts.dtypeOf(source) !== 'float32' || !usable(output)) return;
  if (!planner.groups.has(source) && !usable(source)) return;
  const inputs = new Map([[0, groupOfInput(planner, node, 0)]]);
  // LiteRT's LSTM kernel takes the zero point of its result away where it should add it: only 0 is right everywhere.
  const symmetric = cellKind(node) === 'lstm';
  const given = encodingBehind(planner, output);
  const fixed = given !== undefined && !(symmetric && given.zeroPoint !== 0) ? { fixed: given } : {};
  planner.groups.set(output, { members: [output], constants: [], symmetric, ...fixed });
  planner.made.add(output);
  planner.nodes.set(node.id, { node, reach, inputs });
}

function planOutputs(
  planner: Planner,
  rule: OperatorRule,
  outputs: readonly ValueId[],
  inputs: Map<number, Group>,
  lead: number,
): void {
  for (const output of outputs) {
    planner.made.add(output);
    if (rule.kind === 'same') {
      const group = groupRoot(inputs.get(lead) as Group);
      group.members.push(output);
      planner.groups.set(output, group);
      continue;
    }
    const group: Group = { members: [output], constants: [] };
    const given = rule.kind === 'fixed' ? rule : encodingBehind(planner, output);
    if (given !== undefined) group.fixed = { scale: given.scale, zeroPoint: given.zeroPoint };
    planner.groups.set(output, group);
    if (rule.kind !== 'all') continue;
    for (const [index, input] of inputs) {
      const root = groupRoot(input);
      // A fixed encoding cannot be stretched: such an input is requantized on its way in.
      const apart = root.fixed !== undefined || (root.symmetric === true && group.fixed !== undefined);
      if (!apart) merge(root, groupRoot(group));
      inputs.set(index, group);
    }
  }
}

function merge(from: Group, to: Group): void {
  if (from === to) return;
  to.members.push(...from.members);
  to.constants.push(...from.constants);
  if (from.symmetric === true) to.symmetric = true;
  from.into = to;
}

/** Indices of the float32 inputs apart from weight and bias; `undefined` when one of them cannot be encoded. */
function floatInputs(planner: Planner, node: Node, weight: WeightRole | undefined): number[] | undefined {
  const found: number[] = [];
  for (const [index, id] of node.inputs.entries()) {
    if (id === null || index === weight?.input || index === weight?.bias) continue;
    if (planner.facts.dtypeOf(id) !== 'float32') continue;
    const known = planner.groups.has(id) || constantAt(planner, node, index) !== undefined;
    if (!known && !(isPlainFloat(planner, id) && planner.encodable(id))) return undefined;
    found.push(index);
  }
  return found;
}

function constantAt({ graph }: Planner, node: Node, index: number) {
  return readableConstant(graph, node.inputs[index]);
}

function isPlainFloat({ graph, facts }: Planner, id: ValueId): boolean {
  const value = graph.values.get(id);
  return facts.dtypeOf(id) === 'float32' && value?.type?.kind === 'tensor' && value.variable !== true;
}

function groupOfInput(planner: Planner, node: Node, index: number): Group {
  const id = node.inputs[index] as ValueId;
  const constant = constantAt(planner, node, index);
  // A constant is encoded for this reader alone: other readers may need another scale.
  if (constant !== undefined) return { members: [], constants: [rangeOf(constant)] };
  let group = planner.groups.get(id);
  if (group === undefined) {
    const given = encodingBefore(planner, id);
    group = { members: [id], constants: [], ...(given && { fixed: given }) };
    planner.groups.set(id, group);
  }
  return group;
}

/** The encoding of the codes that a value was dequantized from: with it, nothing is lost on the way back. */
function encodingBefore(planner: Planner, id: ValueId): Encoded | undefined {
  const maker = indexOf(planner.graph).producer.get(id);
  return maker?.op === 'DEQUANTIZE' ? encodedAs(planner, maker.inputs[0]) : undefined;
}

/** The encoding in which a value is read anyway, be it behind operators that only move it. */
function encodingBehind(planner: Planner, id: ValueId): Encoded | undefined {
  const { uses, isOutput } = indexOf(planner.graph);
  const [reader, ...others] = uses.get(id) ?? [];
  if (reader === undefined || others.length > 0 || isOutput.has(id)) return undefined;
  const [output = null, ...more] = reader.node.outputs;
  if (reader.node.op === 'QUANTIZE') return encodedAs(planner, output);
  const rule = ruleOf(planner.rules, reader.node.op);
  const moves = rule?.kind === 'same' && rule.from === reader.index && more.length === 0;
  return moves && output !== null ? encodingBehind(planner, output) : undefined;
}

type Encoded = NonNullable<Group['fixed']>;

function encodedAs({ graph, facts, rules }: Planner, id: ValueId | null | undefined): Encoded | undefined {
  const quantization = graph.values.get(id ?? '')?.quantization;
  if (quantization?.scale.length !== 1 || facts.dtypeOf(id) !== codesOf(rules)) return undefined;
  return { scale: quantization.scale[0] as number, zeroPoint: Number(quantization.zeroPoint[0] ?? 0) };
}

/** Weight of a layer whose weight and bias are readable constants, in float or already in symmetric int8. */
function weightRole({ model, graph, facts }: Planner, node: Node): WeightRole | undefined {
  const role = operatorOf(model, node)?.weights?.(node, model)[0];
  const weight = role && readableConstant(graph, node.inputs[role.input]);
  if (role === undefined || weight === undefined) return undefined;
  if (weight.dtype !== 'float32' && storedScales(graph, node, role) === undefined) return undefined;
  const bias = role.bias === undefined ? null : (node.inputs[role.bias] ?? null);
  if (bias !== null && readableConstant(graph, bias)?.dtype !== 'float32') return undefined;
  return facts.dtypeOf(node.inputs[role.activation]) === 'float32' ? role : undefined;
}

/** Scales of a weight that dynamic quantization stored as int8 before; usable as they are when symmetric. */
export function storedScales(graph: Graph, node: Node, role: WeightRole): Float32Array | undefined {
  const value = graph.values.get(node.inputs[role.input] ?? '');
  const quantization = value?.constant?.dtype === 'int8' ? value.quantization : undefined;
  if (quantization === undefined || quantization.details !== undefined) return undefined;
  const symmetric = quantization.zeroPoint.every((zero) => zero === 0);
  const perChannel = quantization.scale.length > 1;
  if (!symmetric || (perChannel && quantization.axis !== role.outputAxis)) return undefined;
  return quantization.scale.length === 0 ? undefined : quantization.scale;
}
