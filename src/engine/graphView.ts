import { originOf } from '../analysis/match.ts';
import type { Analysis, LayerCost } from '../analysis/report.ts';
import type { EstimateReport } from '../devices/estimate.ts';
import { precisionsOf } from '../devices/work.ts';
import type { Model, NodeId } from '../ir/model.ts';
import type { ValueType } from '../ir/types.ts';
import { formatShape } from '../ir/types.ts';
import { graphsOf } from '../ir/walk.ts';
import { operatorOf } from '../ops/registry.ts';
import type { Finding, Severity } from '../rules/rule.ts';
import { edgesOf } from './graphEdges.ts';
import type { Row } from './graphRows.ts';
import { kinds, rowsOf } from './graphRows.ts';
import type { GraphView } from './view.ts';

const severityRank: Record<Severity, number> = { hint: 1, information: 2, warning: 3, error: 4 };

/** Strings by index, each once. */
class StringTable {
  readonly strings: string[] = [''];
  readonly #index = new Map<string, number>([['', 0]]);

  of(text: string): number {
    let index = this.#index.get(text);
    if (index === undefined) {
      index = this.strings.push(text) - 1;
      this.#index.set(text, index);
    }
    return index;
  }
}

/**
 * The columns the page draws for one graph of the model (0 is the main graph; bodies follow in walking order). Bodies of
 * control operators and functions follow the layer that runs them; their cost, of one run, is part of that layer's.
 */
export function graphView(
  model: Model,
  analysis: Analysis,
  findings: readonly Finding[],
  estimate: EstimateReport | undefined,
  graphNumber = 0,
): GraphView {
  const graph = [...graphsOf(model)][graphNumber] ?? model.graphs[0];
  const table = new StringTable();
  const rows = rowsOf(model, graph);
  const columns = emptyColumns(rows.length);
  const facts = factsById(model, analysis);
  const times = new Map(estimate?.layers.map((layer) => [layer.id, layer.ms]));
  const unsupported = new Set(estimate?.unsupported.map(({ layer }) => layer));
  const marks = marksOf(findings);
  rows.forEach((row, i) => {
    const main = row.kind === kinds.operator && row.body === undefined;
    const layer = row.kind === kinds.operator ? facts.get(row.layer) : undefined;
    const cost = layer?.cost;
    const type = row.value == null ? undefined : analysis.types.get(row.graph)?.get(row.value);
    columns.kind[i] = row.kind;
    columns.nested[i] = row.body === undefined ? 0 : 1;
    columns.id[i] = table.of(row.id);
    columns.layer[i] = table.of(row.layer);
    columns.name[i] = table.of(row.name);
    columns.op[i] = table.of(row.op);
    columns.scope[i] = table.of(scopeOfRow(row));
    columns.shape[i] = table.of(row.value == null ? '' : shapeText(type));
    columns.weight[i] = table.of(weightShape(model, row));
    columns.family[i] = table.of(cost?.family ?? familyOf(model, row));
    columns.precision[i] = table.of(layer?.precision ?? (row.body ? dtypeText(type) : ''));
    columns.params[i] = cost?.params ?? Number.NaN;
    columns.macs[i] = cost?.macs ?? Number.NaN;
    columns.flops[i] = cost?.flops ?? Number.NaN;
    columns.weightBytes[i] = cost?.weightBytes ?? Number.NaN;
    columns.activationBytes[i] = cost?.activationBytes ?? Number.NaN;
    columns.estimateMs[i] = main ? (times.get(row.layer) ?? Number.NaN) : Number.NaN;
    columns.unsupported[i] = main && unsupported.has(row.layer) ? 1 : 0;
    const mark = row.kind === kinds.operator ? marks.get(row.layer) : undefined;
    columns.findings[i] = mark?.count ?? 0;
    columns.severity[i] = mark?.worst ?? 0;
  });
  const edges = edgesOf(rows, analysis, (text) => table.of(text));
  return { strings: table.strings, nodeCount: rows.length, ...columns, ...edges };
}

/** The dimensions of the weight a layer computes with, behind what dequantizes it. */
function weightShape(model: Model, { node, graph }: Row): string {
  if (node === undefined || node.inputs.length < 2) return '';
  const input = operatorOf(model, node)?.weights?.(node, model)[0]?.input;
  const id = input === undefined ? undefined : node.inputs[input];
  if (id == null) return '';
  const stored = graph.values.get(originOf(id, graph, model).value)?.constant;
  return stored === undefined ? '' : stored.dims.join('×');
}

function familyOf(model: Model, { node }: Row): string {
  return (node === undefined ? undefined : operatorOf(model, node)?.family) ?? 'other';
}

/** A body makes a group, and the layer that runs it is in that group. */
function scopeOfRow({ name, body, runs }: Row): string {
  const own = runs[0];
  if (own === undefined) return body === undefined ? scopeOf(name) : body.path.join('/');
  return own.path.slice(0, runs.length > 1 ? -1 : undefined).join('/');
}

function shapeText(type: ValueType | undefined): string {
  if (type === undefined) return 'unknown';
  return type.kind === 'tensor' || type.kind === 'sparse' ? formatShape(type.shape) : type.kind;
}

function dtypeText(type: ValueType | undefined): string {
  return type?.kind === 'tensor' ? type.dtype : '';
}

/**
 * The name scope of a layer: what stands before the last `/` of an exporter's name. TFLite names list every fused
 * layer, separated by `;`, the first of which says where it belongs.
 */
export function scopeOf(name: string): string {
  const first = name.split(';', 1)[0] ?? '';
  if (!first.includes('/')) return '';
  const parts = first.split('/').filter((part) => part !== '');
  return parts.slice(0, -1).join('/');
}

function emptyColumns(count: number) {
  const index = () => new Uint32Array(count);
  const number = () => new Float64Array(count);
  return {
    kind: new Uint8Array(count),
    nested: new Uint8Array(count),
    id: index(),
    layer: index(),
    name: index(),
    op: index(),
    family: index(),
    shape: index(),
    weight: index(),
    precision: index(),
    scope: index(),
    params: number(),
    macs: number(),
    flops: number(),
    weightBytes: number(),
    activationBytes: number(),
    estimateMs: number(),
    unsupported: new Uint8Array(count),
    findings: new Uint16Array(count),
    severity: new Uint8Array(count),
  };
}

interface LayerFacts {
  readonly cost: LayerCost;
  readonly precision: string | undefined;
}

/** What the analysis says of each layer; of layers in bodies, for one run of theirs. */
function factsById(model: Model, analysis: Analysis): ReadonlyMap<NodeId, LayerFacts> {
  const precisions = precisionsOf(model, analysis);
  const facts = new Map<NodeId, LayerFacts>();
  for (const { layers } of analysis.bodies)
    for (const cost of layers) facts.set(cost.id, { cost, precision: undefined });
  analysis.layers.forEach((cost, i) => facts.set(cost.id, { cost, precision: precisions[i] }));
  return facts;
}

/** Findings per layer: how many and how bad. */
function marksOf(findings: readonly Finding[]): Map<string, { count: number; worst: number }> {
  const marks = new Map<string, { count: number; worst: number }>();
  for (const finding of findings) {
    const layers = finding.layers ?? (finding.layer === undefined ? [] : [finding.layer]);
    for (const layer of layers) {
      const mark = marks.get(layer) ?? { count: 0, worst: 0 };
      mark.count += 1;
      mark.worst = Math.max(mark.worst, severityRank[finding.severity]);
      marks.set(layer, mark);
    }
  }
  return marks;
}
