import type { Analysis } from '../../analysis/report.ts';
import { targetRefusals } from '../../devices/targets/refusal.ts';
import type { TargetRules } from '../../devices/targets/target.ts';
import type { Graph, Node, NodeId, OnnxModel, ValueId } from '../../ir/model.ts';
import { readFloats, readIntegers } from '../../ir/numbers.ts';
import { indexOf } from '../../ir/walk.ts';
import { planOnnx } from '../../passes/quantizeStatic/onnxPlan.ts';
import { targetForm } from '../../passes/quantizeStatic/targetForm.ts';
import { stripped } from '../../passes/requantize/strip.ts';
import { factsOf } from '../../passes/support/facts.ts';
import type { Finding } from '../../rules/rule.ts';
import { groupedFindings } from './findings.ts';
import { kernelsOf } from './kernels.ts';

/** One layer of an audited model. */
export interface AuditRow {
  readonly id: NodeId;
  readonly op: string;
  /**
   * ONNX: the runtime's operator that does its work; `null` when it was folded away. TFLite: `XNNPACK` or `reference`;
   * `null` where the runtime does not tell.
   */
  readonly kernel: string | null;
  /** `hybrid`: integer weights against float activations, which the kernel quantizes as it runs. */
  readonly runsOn: 'integers' | 'hybrid' | 'floats' | null;
  /** Why it computes in float, or partly so, although the model is quantized. */
  readonly reason?: string;
}

/** A quantized model against the graph that the runtime made of it. */
export interface AuditReport {
  readonly runtime: string;
  /** Target whose rules name the reasons. */
  readonly target: string;
  readonly quantized: boolean;
  readonly integers: number;
  /** TFLite only. */
  readonly hybrid?: number;
  readonly floats: number;
  /** Conversions between codes and floats that are left in the runtime's graph. */
  readonly conversions: number;
  readonly rows: readonly AuditRow[];
  /** The float layers by reason, each with the pass that cures it where there is one. */
  readonly findings: readonly Finding[];
}

const converters = new Set(['QuantizeLinear', 'DequantizeLinear']);
/** Compares a model with what the runtime made of it. */
export function auditReport(
  model: OnnxModel,
  analysis: Analysis,
  optimized: OnnxModel,
  rules: TargetRules,
  runtime: string,
): AuditReport {
  const graph = model.graphs[0];
  const quantized = graph.nodes.some((node) => converters.has(node.op));
  const kernels = kernelsOf(graph, optimized.graphs[0]);
  const why = quantized ? reasonsOf(model, analysis, rules) : () => undefined;
  const rows: AuditRow[] = [];
  const types = analysis.types.get(graph);
  for (const node of graph.nodes) {
    const type = types?.get(node.outputs[0] ?? '');
    const isReal = type?.kind === 'tensor' && /^(b?float|u?int8)/.test(type.dtype);
    if (converters.has(node.op) || node.op === 'Constant' || !isReal) continue;
    const kernel = kernels.get(node.id);
    const runsOn = kernel?.runsOn ?? null;
    const reason = runsOn === 'floats' ? why(node) : undefined;
    const row = { id: node.id, op: node.op, kernel: kernel?.op ?? null, runsOn };
    rows.push(reason === undefined ? row : { ...row, reason });
  }
  return {
    runtime,
    target: rules.id,
    quantized,
    rows,
    integers: rows.filter((row) => row.runsOn === 'integers').length,
    floats: rows.filter((row) => row.runsOn === 'floats').length,
    conversions: optimized.graphs[0].nodes.filter((node) => converters.has(node.op)).length,
    findings: findingsOf(rows, rules, quantized ? curableLayers(model, rules) : new Set()),
  };
}

function findingsOf(
  rows: readonly AuditRow[],
  rules: TargetRules,
  curable: ReadonlySet<NodeId>,
): readonly Finding[] {
  const remarks = rows.flatMap(({ id, reason }) =>
    reason === undefined
      ? []
      : [{ layer: id, message: `Computes in float: ${reason}`, cured: curable.has(id) }],
  );
  return groupedFindings(remarks, {
    pass: 'requantize',
    options: { target: rules.id },
    title: `Quantize again in the form that ${rules.name} has kernels for`,
  });
}

/** Layers that would run on integers if the model were quantized again for the target. */
function curableLayers(model: OnnxModel, rules: TargetRules): ReadonlySet<NodeId> {
  const all = () => true;
  const { model: float } = targetForm(stripped(model).model, rules, all);
  const plan = planOnnx(float, factsOf(float), rules, all, all);
  const curable = new Set(plan.nodes.keys());
  const { uses } = indexOf(float.graphs[0]);
  // What follows alone is merged into the layer.
  for (const { node } of plan.nodes.values()) {
    const readers = uses.get(node.outputs[0] ?? '') ?? [];
    const [only] = readers;
    if (readers.length === 1 && only !== undefined && mergeable.has(only.node.op)) curable.add(only.node.id);
  }
  return curable;
}

const mergeable = new Set(['Relu', 'Clip']);

/** Names the reason for which a layer of a quantized model stayed float. */
function reasonsOf(
  model: OnnxModel,
  analysis: Analysis,
  rules: TargetRules,
): (node: Node) => string | undefined {
  const graph = model.graphs[0];
  const refusals = new Map<NodeId, string>();
  for (const { layer, reason } of targetRefusals(model, analysis, rules)) {
    const known = refusals.get(layer);
    refusals.set(layer, known === undefined ? reason : `${known}; ${reason}`);
  }
  return (node) =>
    clippedBelow(graph, node) ??
    refusals.get(node.id) ??
    (mixesSigns(graph, node) ? signs : undefined) ??
    (isAmongFloats(graph, node)
      ? 'its neighbours compute in float, so that codes would gain nothing'
      : undefined) ??
    `the runtime made no integer kernel of ${node.op}`;
}

const signs =
  'int8 activations that a residual addition shares: on x86 the runtime turns the convolution to uint8 and the sum not';

/** A Clip that the codes after it do not make superfluous keeps the layer before it in float. */
function clippedBelow(graph: Graph, node: Node): string | undefined {
  const { uses } = indexOf(graph);
  const clip = node.op === 'Clip' ? node : uses.get(node.outputs[0] ?? '')?.[0]?.node;
  if (clip?.op !== 'Clip') return undefined;
  const high = numbersOf(graph, clip.inputs[2])?.[0];
  const quantizer = uses.get(clip.outputs[0] ?? '')?.[0]?.node;
  if (high === undefined || quantizer?.op !== 'QuantizeLinear') return undefined;
  const scale = numbersOf(graph, quantizer.inputs[1])?.[0] ?? 0;
  const zero = graph.values.get(quantizer.inputs[2] ?? '')?.constant;
  const top = zero?.dtype === 'int8' ? 127 : 255;
  const reach = scale * (top - (zero === undefined ? 0 : (readIntegers(zero)[0] ?? 0)));
  if (!(reach > high)) return undefined;
  return `the codes reach ${Number(reach.toPrecision(4))}, beyond the Clip at ${high}, which therefore stays between the layer and its codes`;
}

function isAmongFloats(graph: Graph, node: Node): boolean {
  const { producer, uses } = indexOf(graph);
  const fromCodes = node.inputs.some((id) => producer.get(id ?? '')?.op === 'DequantizeLinear');
  const toCodes = node.outputs.some((id) =>
    (uses.get(id ?? '') ?? []).some((use) => use.node.op === 'QuantizeLinear'),
  );
  return !fromCodes && !toCodes;
}

function mixesSigns(graph: Graph, node: Node): boolean {
  const { producer, uses } = indexOf(graph);
  return node.inputs.some((id) => {
    const source = producer.get(id ?? '');
    if (source?.op !== 'DequantizeLinear') return false;
    const zero = graph.values.get(source.inputs[2] ?? '')?.constant;
    return zero?.dtype === 'int8' && (node.op === 'Add' || readByAdd(uses.get(id ?? '') ?? []));
  });
}

function readByAdd(uses: readonly { readonly node: Node }[]): boolean {
  return uses.length > 1 && uses.some((use) => use.node.op === 'Add');
}

function numbersOf(graph: Graph, id: ValueId | null | undefined): ArrayLike<number> | undefined {
  const constant = graph.values.get(id ?? '')?.constant;
  return constant?.dtype === 'float32' && constant.data.missing === undefined
    ? readFloats(constant)
    : undefined;
}
