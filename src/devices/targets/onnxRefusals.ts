import { KerfError } from '../../ir/errors.ts';
import type { DType } from '../../ir/dtype.ts';
import type { Graph, Node, NodeId, ValueId } from '../../ir/model.ts';
import { readFloats, readIntegers } from '../../ir/numbers.ts';
import { indexOf } from '../../ir/walk.ts';
import { operatorOf } from '../../ops/registry.ts';
import type { Subject } from './subject.ts';
import type { IntegerType, OperatorRule } from './target.ts';
import { computesInFloat, operatorRule } from './target.ts';

/** Scale, zero point and type on one side of a node. */
interface Pair {
  readonly node: Node;
  readonly type: DType | undefined;
  readonly scales: readonly number[] | undefined;
  readonly zeroPoints: readonly number[] | undefined;
}

const quantizers = new Set(['QuantizeLinear', 'DequantizeLinear']);
/** What runtimes merge into the layer before. */
const transparent = new Set(['Relu', 'Clip']);

/** Checks the pairs of QuantizeLinear and DequantizeLinear of a model against the rules. */
export function onnxRefusals(subject: Subject): void {
  const { graph, rules } = subject;
  const isQuantized = graph.nodes.some((node) => node.op === 'QuantizeLinear');
  const fed = fedBy(graph);
  for (const node of graph.nodes) {
    if (quantizers.has(node.op)) continue;
    if (isQuantized) checkNode(subject, node);
    else if (
      rules.elsewhere === 'processor' &&
      fed.has(node.id) &&
      subject.dtypeOf(node.outputs[0]) === 'float32'
    )
      subject.refuse(node, 'processor', computesInFloat);
  }
}

/** Nodes that compute on inputs of the model; what hangs on constants alone is computed when the model is loaded. */
function fedBy(graph: Graph): ReadonlySet<NodeId> {
  const flowing = new Set<ValueId>(graph.inputs.filter((id) => graph.values.get(id)?.constant === undefined));
  const fed = new Set<NodeId>();
  for (const node of graph.nodes) {
    if (!node.inputs.some((id) => id !== null && flowing.has(id))) continue;
    fed.add(node.id);
    for (const id of node.outputs) if (id !== null) flowing.add(id);
  }
  return fed;
}

function checkNode(subject: Subject, node: Node): void {
  const { rules, refuse } = subject;
  if (subject.dtypeOf(node.outputs[0]) !== 'float32') return;
  const flowing = node.inputs.filter(
    (id): id is ValueId => id !== null && subject.dtypeOf(id) === 'float32' && !isFixed(subject, id),
  );
  const encoded = flowing.map((id) => dequantizer(subject, id));
  const sources = encoded.filter((pair) => pair !== undefined);
  const results = quantizersOf(subject, node);
  const first = sources[0]?.type as IntegerType | undefined;
  const type = first ?? rules.activations.types[0] ?? 'int8';
  const rule = node.domain === '' ? operatorRule(rules, node.op, type) : undefined;
  for (const pair of [...sources, ...results]) checkActivation(subject, node, pair);
  if (isMerged(subject, node, results)) return;
  const touched = sources.length > 0 || results.length > 0;
  if (rule === undefined) {
    if (rules.elsewhere === 'processor') refuse(node, 'processor', `${node.op} has no integer form`);
    else if (touched && rules.placement === 'kernels')
      refuse(node, 'float', `${node.op} has no integer kernel and runs in float between codes`);
    return;
  }
  const whole = flowing.length > 0 && encoded.every((pair) => pair !== undefined);
  if (rule.kind === 'weighted' && whole) checkWeight(subject, node);
  if (rule.kind === 'residual' || rules.placement === 'inputs') return;
  if (!whole || results.length === 0) {
    left(subject, node, rule, whole, touched);
    return;
  }
  if (rules.oneType && results.some((pair) => pair.type !== type))
    refuse(node, 'numbers', `its input is ${type} and its result is not`);
  checkScales(subject, node, rule, sources, results, type);
}

/** An operator that has an integer kernel but stands half in float. */
function left(subject: Subject, node: Node, rule: OperatorRule, whole: boolean, touched: boolean): void {
  const { rules, refuse } = subject;
  const kind = rules.elsewhere === 'processor' ? 'processor' : 'float';
  if (rule.kind === 'weighted' && whole) {
    if (rules.quantizedResult.includes(node.op))
      refuse(node, 'numbers', `the result of ${node.op} is not quantized at once, so that it has no kernel`);
    return;
  }
  if (rules.elsewhere === 'processor' || touched)
    refuse(node, kind, `${node.op} stays float: its ${whole ? 'result is' : 'inputs are'} not quantized`);
}

/** Relu and Clip disappear where their input comes from an integer layer and their result is quantized. */
function isMerged({ graph }: Subject, node: Node, results: readonly Pair[]): boolean {
  if (!transparent.has(node.op) || results.length === 0) return false;
  const maker = indexOf(graph).producer.get(node.inputs[0] ?? '');
  return maker !== undefined && !quantizers.has(maker.op);
}

function checkActivation({ rules, refuse }: Subject, node: Node, { type, zeroPoints }: Pair): void {
  const { types, symmetric } = rules.activations;
  if (type !== undefined && !types.some((each) => each === type))
    refuse(node, 'numbers', `its activations are ${type}; the kernels take ${types.join(' and ')}`);
  if (symmetric === true && zeroPoints?.some((zero) => zero !== 0) === true)
    refuse(node, 'numbers', 'its activations have a zero point; the kernels take symmetric ones');
}

function checkWeight(subject: Subject, node: Node): void {
  const { model, graph, rules, refuse } = subject;
  const role = operatorOf(model, node)?.weights?.(node, model)[0];
  const id = role === undefined ? null : node.inputs[role.input];
  const pair = id == null ? undefined : dequantizer(subject, id);
  if (pair === undefined) {
    if (rules.placement !== 'inputs' || role !== undefined)
      refuse(node, rules.elsewhere === 'processor' ? 'processor' : 'float', 'its weights are not quantized');
    return;
  }
  const { weights } = rules;
  const { shift } = weights;
  const fits = (zero: number) =>
    zero === 0 || (zero === shift?.zeroPoint && shift.operators.includes(node.op));
  const codes = graph.values.get(pair.node.inputs[0] ?? '')?.constant;
  if (codes === undefined) return;
  if (!weights.types.some((each) => each === codes.dtype))
    refuse(
      node,
      'numbers',
      `its weights are ${codes.dtype}; the kernels take ${weights.types.join(' and ')}`,
    );
  if (weights.symmetric && codes.dtype.startsWith('int') && pair.zeroPoints?.some((zero) => !fits(zero)))
    refuse(node, 'numbers', 'its weights have a zero point; the kernels take symmetric ones');
  if ((pair.scales?.length ?? 1) > 1 && !weights.perChannel.includes(node.op))
    refuse(node, 'numbers', `${node.op} takes one scale for all its weights`);
  if (weights.bits !== undefined && exceeds(codes, weights.bits))
    refuse(
      node,
      'numbers',
      `its weights use more than ${weights.bits} bits, whose sums of products overflow`,
    );
}

function exceeds(codes: Parameters<typeof readIntegers>[0], bits: number): boolean {
  const largest = 2 ** (bits - 1);
  try {
    return readIntegers(codes).some((code) => Math.abs(code) > largest);
  } catch (error) {
    if (KerfError.is(error, 'missing-weights')) return false;
    throw error;
  }
}

function checkScales(
  { refuse }: Subject,
  node: Node,
  rule: OperatorRule,
  sources: readonly Pair[],
  results: readonly Pair[],
  type: IntegerType,
): void {
  for (const { scales, zeroPoints } of results) {
    const scale = scales?.[0];
    const zero = zeroPoints?.[0];
    if (rule.kind === 'same') {
      const source = sources[0];
      if (scale !== source?.scales?.[0] || zero !== source?.zeroPoints?.[0])
        refuse(node, 'numbers', 'its result must have the scale and zero point of its input');
    }
    if (rule.kind !== 'fixed' || scale === undefined) continue;
    if (Math.abs(scale / rule.scale - 1) > 1e-5 || zero !== rule.zeroPoint)
      refuse(
        node,
        'numbers',
        `its ${type} result must have scale ${rule.scale}, zero point ${rule.zeroPoint}`,
      );
  }
}

/** A constant, stored as it is or as codes. */
function isFixed({ graph }: Subject, id: ValueId): boolean {
  if (graph.values.get(id)?.constant !== undefined) return true;
  const maker = indexOf(graph).producer.get(id);
  return maker?.op === 'DequantizeLinear' && graph.values.get(maker.inputs[0] ?? '')?.constant !== undefined;
}

function dequantizer(subject: Subject, id: ValueId): Pair | undefined {
  const maker = indexOf(subject.graph).producer.get(id);
  return maker?.op === 'DequantizeLinear' ? pairOf(subject, maker, maker.inputs[0]) : undefined;
}

/** What quantizes the result of a node, after a Relu or Clip that follows alone; none when somebody reads floats. */
function quantizersOf(subject: Subject, node: Node): readonly Pair[] {
  const { uses, isOutput } = indexOf(subject.graph);
  const pairs: Pair[] = [];
  for (const output of node.outputs) {
    let id = output;
    for (let hops = 0; id !== null && hops < 2; hops += 1) {
      const readers: readonly Node[] = (uses.get(id) ?? []).map((use) => use.node);
      if (isOutput.has(id) || readers.length === 0) return [];
      if (readers.every((reader) => reader.op === 'QuantizeLinear')) {
        pairs.push(...readers.map((reader) => pairOf(subject, reader, reader.outputs[0])));
        break;
      }
      const [only] = readers;
      if (readers.length !== 1 || only === undefined || !transparent.has(only.op)) return [];
      id = only.outputs[0] ?? null;
    }
  }
  return pairs;
}

function pairOf({ graph, dtypeOf }: Subject, node: Node, codes: ValueId | null | undefined): Pair {
  const scale = graph.values.get(node.inputs[1] ?? '')?.constant;
  const zero = graph.values.get(node.inputs[2] ?? '')?.constant;
  const isPlain = node.inputs[2] == null;
  return {
    node,
    type: zero?.dtype ?? dtypeOf(codes),
    scales:
      scale === undefined || scale.data.missing !== undefined ? undefined : Array.from(readFloats(scale)),
    zeroPoints: zero === undefined ? (isPlain ? [0] : undefined) : readIntegers(zero),
  };
}
