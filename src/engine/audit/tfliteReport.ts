import type { Analysis } from '../../analysis/report.ts';
import { operatorRule } from '../../devices/targets/target.ts';
import type { TargetRules } from '../../devices/targets/target.ts';
import { targetRefusals } from '../../devices/targets/refusal.ts';
import type { DType } from '../../ir/dtype.ts';
import type { Graph, Node, NodeId, TfliteModel, ValueId } from '../../ir/model.ts';
import { indexOf } from '../../ir/walk.ts';
import { operatorOf } from '../../ops/registry.ts';
import { planTflite } from '../../passes/quantizeStatic/tflitePlan.ts';
import { cellRefusal } from '../../passes/quantizeStatic/cells.ts';
import { factsOf } from '../../passes/support/facts.ts';
import type { Finding } from '../../rules/rule.ts';
import { groupedFindings } from './findings.ts';
import type { AuditReport, AuditRow } from './report.ts';

const converters = new Set(['QUANTIZE', 'DEQUANTIZE']);
const codes: ReadonlySet<DType | undefined> = new Set(['int8', 'uint8', 'int16', 'int4', 'int2']);
const halves: ReadonlySet<DType | undefined> = new Set(['float16', 'bfloat16']);

/** Which kernels run an operator alone, by its place among the nodes; only LiteRT tells. */
type KernelFamilies = ReadonlyMap<NodeId, 'xnnpack' | 'reference'>;

/**
 * A quantized TFLite model, operator by operator: the types of its values say what computes on integers, the rules of
 * LiteRT why the others do not, and each operator, run alone, whether XNNPACK has a kernel for it.
 */
export function tfliteAuditReport(
  model: TfliteModel,
  analysis: Analysis,
  rules: TargetRules,
  runtime: string,
  families: KernelFamilies,
): AuditReport {
  const graph = model.graphs[0];
  const typeOf = typesOf(graph, analysis);
  const refusals = new Map(targetRefusals(model, analysis, rules).map((each) => [each.layer, each.reason]));
  const rows: AuditRow[] = [];
  const conversions: Node[] = [];
  for (const node of graph.nodes) {
    if (converters.has(node.op) && node.domain === '') {
      if (!isStorage(graph, node)) conversions.push(node);
      continue;
    }
    const runsOn = kindOf(model, node, typeOf);
    if (runsOn === undefined) continue;
    const family = families.get(node.id);
    const kernel = family === undefined ? null : family === 'xnnpack' ? 'XNNPACK' : 'reference';
    rows.push({
      id: node.id,
      op: node.op,
      kernel,
      runsOn,
      ...reasonOf(model, node, runsOn, rules, refusals),
    });
  }
  const quantized = rows.some(({ runsOn }) => runsOn !== 'floats') || conversions.length > 0;
  const count = (kind: AuditRow['runsOn']) => rows.filter(({ runsOn }) => runsOn === kind).length;
  return {
    runtime,
    target: rules.id,
    quantized,
    rows: quantized ? rows : rows.map(({ id, op, kernel, runsOn }) => ({ id, op, kernel, runsOn })),
    integers: count('integers'),
    hybrid: count('hybrid'),
    floats: count('floats'),
    conversions: conversions.length,
    findings: quantized ? findingsOf(model, rows, conversions, rules) : [],
  };
}

/** `undefined` for operators that compute no real numbers: shapes, indices. */
function kindOf(model: TfliteModel, node: Node, typeOf: TypeOf): AuditRow['runsOn'] | undefined {
  const output = typeOf(node.outputs[0]);
  if (codes.has(output)) return 'integers';
  if (output !== 'float32') return undefined;
  const flowing = node.inputs.some((id) => typeOf(id) === 'float32' && !isConstant(model.graphs[0], id));
  const [role] = operatorOf(model, node)?.weights?.(node, model) ?? [];
  if (role === undefined || !codes.has(typeOf(node.inputs[role.input])))
    return flowing ? 'floats' : undefined;
  return typeOf(node.inputs[role.activation]) === 'float32' ? 'hybrid' : 'integers';
}

function reasonOf(
  model: TfliteModel,
  node: Node,
  runsOn: AuditRow['runsOn'],
  rules: TargetRules,
  refusals: ReadonlyMap<NodeId, string>,
): { readonly reason?: string } {
  if (runsOn === 'integers') return {};
  if (runsOn === 'hybrid')
    return { reason: 'integer weights against float activations, which the kernel quantizes at every run' };
  if (node.domain !== '') return { reason: `custom operator ${node.op}` };
  if (rules.operators.given?.includes(node.op) === true)
    return {
      reason: `${node.op} has an integer kernel: ${cellRefusal(model, node) ?? 'it was left in float'}`,
    };
  const rule = operatorRule(rules, node.op, 'int8');
  if (rule?.kind === 'same') return { reason: `${node.op} takes over the type of its input, which is float` };
  if (rule === undefined) return { reason: `LiteRT has no integer kernel of ${node.op}` };
  const refusal = refusals.get(node.id);
  if (refusal !== undefined && refusal !== `${node.op} computes in float`) return { reason: refusal };
  return { reason: `${node.op} has an integer kernel, and was left in float` };
}

function findingsOf(
  model: TfliteModel,
  rows: readonly AuditRow[],
  conversions: readonly Node[],
  rules: TargetRules,
): readonly Finding[] {
  const facts = factsOf(model);
  const curable = planTflite(
    model,
    facts,
    rules,
    () => true,
    () => true,
  ).nodes;
  const layers = groupedFindings(
    rows.flatMap((row) => {
      if (row.reason === undefined) return [];
      const message =
        row.runsOn === 'hybrid' ? `Computes on both: ${row.reason}` : `Computes in float: ${row.reason}`;
      return [{ layer: row.id, message, cured: curable.has(row.id) }];
    }),
    {
      pass: 'quantize-static',
      options: { target: rules.id },
      title: 'Quantize its activations as well, with ranges from sample data',
    },
  );
  const reference = groupedFindings(
    rows
      .filter((row) => row.kernel === 'reference' && row.runsOn !== 'floats')
      .map((row) => ({
        layer: row.id,
        message: `${row.runsOn === 'integers' ? 'Runs on integers, but' : 'Computes on both,'} on the kernel built into LiteRT: XNNPACK takes no ${row.op} of these types`,
        cured: false,
      })),
  );
  return [...layers, ...conversionFindings(model.graphs[0], rows, conversions), ...reference];
}

/** Why each conversion that is left stands there. */
function conversionFindings(
  graph: Graph,
  rows: readonly AuditRow[],
  conversions: readonly Node[],
): readonly Finding[] {
  const { producer, uses } = indexOf(graph);
  const outputs = new Set(graph.outputs);
  const byId = new Map(rows.map((row) => [row.id, row]));
  const messageOf = (node: Node): { readonly message: string; readonly cured: boolean } => {
    const [input = null] = node.inputs;
    const [output = null] = node.outputs;
    const maker = input === null ? undefined : producer.get(input);
    const readers = (output === null ? [] : (uses.get(output) ?? [])).map((use) => use.node);
    if (node.op === 'QUANTIZE' && maker?.op === 'DEQUANTIZE')
      return { message: 'Quantizes what was dequantized just before', cured: sameCodes(graph, maker, node) };
    if (node.op === 'QUANTIZE' && maker !== undefined && byId.get(maker.id)?.runsOn === 'integers')
      return { message: `Changes scale or type of codes behind ${maker.op}`, cured: false };
    if (node.op === 'QUANTIZE' && maker === undefined)
      return { message: 'Quantizes an input that the model takes in float', cured: false };
    if (node.op === 'QUANTIZE')
      return { message: `Quantizes what ${maker?.op} gives in float`, cured: false };
    if (output !== null && outputs.has(output) && readers.length === 0)
      return { message: 'Dequantizes an output that the model gives in float', cured: false };
    const ops = [...new Set(readers.map(({ op }) => op))].join(', ');
    return {
      message: `Dequantizes for ${ops || 'nobody'}`,
      cured: readers.some((reader) => reader.op === 'QUANTIZE' && sameCodes(graph, node, reader)),
    };
  };
  return groupedFindings(
    conversions.map((node) => ({ layer: node.id, ...messageOf(node) })),
    { pass: 'simplify', options: {}, title: 'Remove the pairs that give back the codes they came from' },
  );
}

/** Whether a pair of conversions gives back the codes it came from. */
function sameCodes({ values }: Graph, dequantize: Node, quantize: Node): boolean {
  const before = values.get(dequantize.inputs[0] ?? '')?.quantization;
  const after = values.get(quantize.outputs[0] ?? '')?.quantization;
  return before?.scale.join() === after?.scale.join() && before?.zeroPoint.join() === after?.zeroPoint.join();
}

type TypeOf = (id: ValueId | null | undefined) => DType | undefined;

function typesOf(graph: Graph, analysis: Analysis): TypeOf {
  const types = analysis.types.get(graph);
  return (id) => {
    const value = graph.values.get(id ?? '');
    const type = types?.get(id ?? '') ?? value?.type;
    return value?.constant?.dtype ?? (type?.kind === 'tensor' ? type.dtype : undefined);
  };
}

function isConstant(graph: Graph, id: ValueId | null): boolean {
  return graph.values.get(id ?? '')?.constant !== undefined;
}

/** Weights that are stored in fewer bits and unpacked while loading are no conversion. */
function isStorage(graph: Graph, { op, inputs: [input = null] }: Node): boolean {
  const constant = graph.values.get(input ?? '')?.constant;
  return op === 'DEQUANTIZE' && constant !== undefined && halves.has(constant.dtype);
}
