import type { OperatorRule, TargetRules } from '../../devices/targets/target.ts';
import { operatorRule } from '../../devices/targets/target.ts';
import { floatAttribute, intAttribute, stringAttribute } from '../../ir/attribute.ts';
import type { Graph, Node, NodeId, OnnxModel, ValueId } from '../../ir/model.ts';
import { indexOf } from '../../ir/walk.ts';
import type { WeightRole } from '../../ops/operator.ts';
import { operatorOf } from '../../ops/registry.ts';
import { isBuiltin, readableConstant } from '../support/constants.ts';
import type { Facts } from '../support/facts.ts';
import { isOnnxOp } from '../support/graph.ts';
import type { Carrier } from './carrier.ts';
import { carrierOf, upperBound } from './carrier.ts';
import type { Folding, OnCodes } from './kernelForms.ts';
import { foldedColumns, paddedInput, shiftedWeight, tiledInput } from './kernelForms.ts';
import type { Planning } from './planning.ts';
import { planning } from './planning.ts';

/** How a value is encoded. */
interface ValuePlan {
  /** The value whose observed range counts; others with the same root share its scale and zero point. */
  readonly root: ValueId;
  /**
   * True when the producer only becomes an integer kernel if its result is quantized at once: then every reader sees
   * the dequantized value. Otherwise only integer readers do.
   */
  readonly required: boolean;
  /** Upper bound from a Clip that the encoding makes superfluous. */
  readonly cap?: number;
  /** The scale of a result whose range is known without looking, from 0 up. */
  readonly fixed?: number;
}

export interface NodePlan {
  readonly node: Node;
  readonly weight?: WeightRole;
  /** Input indices that read an encoded value. */
  readonly activations: readonly number[];
  /** Input indices that hold a constant which takes part as an activation. */
  readonly constants: readonly number[];
  /** Values that are encoded because of this node's results. */
  readonly results: readonly ValueId[];
  /** What is done to the codes of one input on the way to this node alone, for the sake of a faster kernel. */
  readonly onCodes?: OnCodes;
  /** How columns of the codes are read, and made, together. */
  readonly folding?: Folding;
  /** The zero point of the weight's codes; without one, 0. */
  readonly weightZero?: number;
}

export interface OnnxPlan {
  readonly nodes: ReadonlyMap<NodeId, NodePlan>;
  readonly values: ReadonlyMap<ValueId, ValuePlan>;
}

interface Planner extends Planning<OnnxModel> {
  /** Nodes that the runtime merges into the layer before. */
  readonly absorbed: Set<NodeId>;
  readonly values: Map<ValueId, ValuePlan>;
  readonly nodes: Map<NodeId, NodePlan>;
}

/**
 * Decides what runs on integers, following the rules of the target: weighted layers always; other operators only between
 * encoded values, or wherever it is possible; everything else stays float.
 */
export function planOnnx(
  model: OnnxModel,
  facts: Facts,
  rules: TargetRules,
  allowed: (node: Node) => boolean,
  encodable: (id: ValueId) => boolean,
): OnnxPlan {
  const base = planning(model, facts, rules, encodable);
  const planner: Planner = { ...base, values: new Map(), nodes: new Map(), absorbed: new Set() };
  for (const node of base.graph.nodes) {
    if (!allowed(node) || !isBuiltin(node) || planner.absorbed.has(node.id)) continue;
    if (facts.dtypeOf(node.outputs[0]) === 'float32') planNode(planner, node);
  }
  if (rules.placement === 'kernels') dropUnread(planner);
  return { nodes: planner.nodes, values: planner.values };
}

function planNode(planner: Planner, node: Node): void {
  const rule = operatorRule(planner.rules, node.op, activationType(planner.rules));
  if (rule === undefined) return;
  const weight = rule.kind === 'weighted' ? weightedLayer(planner, node) : undefined;
  if (weight !== undefined) planWeighted(planner, node, weight);
  else if (rule.kind === 'same') planSameScale(planner, node);
  else if (rule.kind === 'residual') planResidual(planner, node);
  else if (rule.kind !== 'weighted' || node.op === 'MatMul') planSurrounded(planner, node, rule);
}

/** The type in which the quantizer writes activations. */
export function activationType({ activations }: TargetRules): 'uint8' | 'int8' | 'uint16' {
  const [type] = activations.types;
  return type === 'int8' || type === 'uint16' ? type : 'uint8';
}

/** The weight of a layer that has an integer kernel here, when it is a readable float constant of a usable form. */
function weightedLayer(
  { model, graph }: { readonly model: OnnxModel; readonly graph: Graph },
  node: Node,
): WeightRole | undefined {
  if (!isOnnxOp(node, 'Conv', 'ConvTranspose', 'Gemm', 'MatMul')) return undefined;
  const role = operatorOf(model, node)
    ?.weights?.(node, model)
    .find((each) => each.input === 1);
  const tensor = role && readableConstant(graph, node.inputs[role.input]);
  if (role === undefined || tensor === undefined || tensor.dtype !== 'float32') return undefined;
  if (!node.op.startsWith('Conv') && tensor.dims.length !== 2) return undefined;
  if (node.op === 'ConvTranspose' && intAttribute(node, 'group', 1) !== 1) return undefined;
  if (node.op === 'MatMul') return role;
  const bias = node.inputs[2];
  if (bias != null) {
    const values = readableConstant(graph, bias);
    if (values === undefined || values.dims.length !== 1 || values.dtype !== 'float32') return undefined;
    if (values.dims[0] !== tensor.dims[role.outputAxis]) return undefined;
  }
  if (node.op === 'Gemm') {
    const plain = floatAttribute(node, 'alpha', 1) === 1 && floatAttribute(node, 'beta', 1) === 1;
    if (!plain || intAttribute(node, 'transA', 0) !== 0) return undefined;
  }
  return role;
}

function planWeighted(planner: Planner, node: Node, weight: WeightRole): void {
  const [input] = node.inputs;
  const [output] = node.outputs;
  if (input == null || output == null || readableConstant(planner.graph, input) !== undefined) return;
  const carrier = carrierOf(planner.graph, output);
  // On some runtimes a convolution without a quantized result falls back to float, while Gemm and MatMul may give floats.
  const required = planner.rules.quantizedResult.includes(node.op);
  if (required && !planner.values.has(carrier.value) && !planner.encodable(carrier.value)) return;
  if (!encodeInput(planner, input)) return;
  const results = required ? [carrier.value] : [];
  const folding = required ? foldedColumns(planner, node) : undefined;
  const few = folding === undefined ? paddedInput(planner, node) : { folding };
  const forms = { ...few, ...shiftedWeight(planner, node) };
  planner.nodes.set(node.id, { node, weight, activations: [0], constants: [], results, ...forms });
  if (!required) return;
  absorb(planner, carrier);
  encode(planner, carrier.value, { root: carrier.value, required: true, ...capOf(carrier) });
}

/** The sum of a layer's result and another value: the other one is encoded, the result goes on into the sum. */
function planResidual(planner: Planner, node: Node): void {
  const { graph, nodes } = planner;
  const { producer } = indexOf(graph);
  const flowing = [...node.inputs.keys()].filter((index) => {
    const id = node.inputs[index];
    return id != null && readableConstant(graph, id) === undefined;
  });
  const others = flowing.filter((index) => {
    const maker = producer.get(node.inputs[index] as ValueId);
    return maker === undefined || nodes.get(maker.id)?.weight === undefined;
  });
  const [only] = others;
  if (flowing.length !== 2 || others.length !== 1 || only === undefined) return;
  if (!encodeInput(planner, node.inputs[only] as ValueId)) return;
  nodes.set(node.id, { node, activations: [only], constants: [], results: [] });
}

function planSurrounded(planner: Planner, node: Node, rule: OperatorRule): void {
  const { graph, facts } = planner;
  const [output] = node.outputs;
  if (output == null) return;
  const activations: number[] = [];
  const constants: number[] = [];
  for (const [index, id] of node.inputs.entries()) {
    if (id === null || facts.dtypeOf(id) !== 'float32' || (node.op === 'Clip' && index > 0)) continue;
    if (readableConstant(graph, id) !== undefined) constants.push(index);
    else if (encodedInput(planner, id)) activations.push(index);
    else return;
  }
  if (activations.length === 0) return;
  const head = node.op === 'Softmax' || node.op === 'Sigmoid' || node.op === 'HardSigmoid';
  // A probability that leaves the model keeps its precision where the runtime gains nothing by codes.
  if (planner.rules.placement === 'kernels' && head && indexOf(graph).isOutput.has(output)) return;
  if (node.op === 'MatMul' && constants.length > 0) return;
  if (node.op === 'AveragePool' && intAttribute(node, 'ceil_mode', 0) !== 0) return;
  const carrier = head ? { value: output } : carrierOf(graph, output);
  const fixed = rule.kind === 'known' ? rule.scale : undefined;
  if (fixed === undefined && !planner.encodable(carrier.value)) return;
  if (planner.values.has(carrier.value)) return;
  absorb(planner, carrier);
  const onCodes = tiledInput(planner, node, activations);
  planner.nodes.set(node.id, { node, activations, constants, results: [carrier.value], ...onCodes });
  const known = fixed === undefined ? {} : { fixed };
  encode(planner, carrier.value, { root: carrier.value, required: true, ...capOf(carrier), ...known });
}

function planSameScale(planner: Planner, node: Node): void {
  const [input] = node.inputs;
  if (input != null && planner.rules.placement === 'whole' && !readableConstant(planner.graph, input)) {
    encodeInput(planner, input);
  }
  const plan = input == null ? undefined : planner.values.get(input);
  if (plan === undefined || node.outputs.some((id) => id !== null && planner.values.has(id))) return;
  if (node.op === 'Resize' && stringAttribute(node, 'mode', 'nearest') !== 'nearest') return;
  if (node.op === 'MaxPool' && node.outputs.length > 1) return;
  const results = node.outputs.filter((id): id is ValueId => id !== null);
  planner.nodes.set(node.id, { node, activations: [0], constants: [], results });
  for (const output of results) encode(planner, output, { ...plan, required: true });
}

/**
 * An operator without weights runs on integers only for the sake of integer readers: where its result ends in floats,
 * quantizing it would cost precision and gain nothing.
 */
function dropUnread({ graph, nodes, values }: Planner): void {
  const { uses } = indexOf(graph);
  for (const plan of [...nodes.values()].toReversed()) {
    if (plan.weight !== undefined) continue;
    const read = plan.results.some((id) =>
      (uses.get(id) ?? []).some((use) => nodes.get(use.node.id)?.activations.includes(use.index) ?? false),
    );
    if (read) continue;
    nodes.delete(plan.node.id);
    for (const id of plan.results) values.delete(id);
  }
}

/** Whether an input is there as codes; where the whole graph is quantized, it is made so. */
function encodedInput(planner: Planner, id: ValueId): boolean {
  return planner.values.has(id) || (planner.rules.placement === 'whole' && encodeInput(planner, id));
}

function encodeInput(planner: Planner, id: ValueId): boolean {
  if (planner.values.has(id)) return true;
  if (planner.facts.dtypeOf(id) !== 'float32' || !planner.encodable(id)) return false;
  const maker = indexOf(planner.graph).producer.get(id);
  const cap = maker === undefined ? undefined : upperBound(planner.graph, maker);
  encode(planner, id, { root: id, required: false, ...(cap !== undefined && { cap }) });
  return true;
}

function encode(planner: Planner, id: ValueId, plan: ValuePlan): void {
  planner.values.set(id, plan);
}

function absorb({ absorbed }: Planner, { merged }: Carrier): void {
  if (merged !== undefined) absorbed.add(merged.id);
}

function capOf({ cap }: Carrier): { readonly cap?: number } {
  return cap === undefined ? {} : { cap };
}
