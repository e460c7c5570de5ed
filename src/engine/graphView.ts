import type { Analysis } from '../analysis/report.ts';
import type { EstimateReport } from '../devices/estimate.ts';
import { workOf } from '../devices/work.ts';
import type { Graph, Model, Node, ValueId } from '../ir/model.ts';
import { feedsOf } from '../ir/model.ts';
import type { ValueType } from '../ir/types.ts';
import { describeType, formatShape } from '../ir/types.ts';
import { capturesOf, graphsOf, indexOf } from '../ir/walk.ts';
import { bodiesOf } from '../ir/attribute.ts';
import type { Finding, Severity } from '../rules/rule.ts';
import type { GraphView } from './view.ts';

const kinds = { operator: 0, input: 1, output: 2 } as const;
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

/** The columns the page draws for one graph of the model (0 is the main graph; bodies follow in walking order). */
export function graphView(
  model: Model,
  analysis: Analysis,
  findings: readonly Finding[],
  estimate: EstimateReport | undefined,
  graphNumber = 0,
): GraphView {
  const graph = [...graphsOf(model)][graphNumber] ?? model.graphs[0];
  const table = new StringTable();
  const types = analysis.types.get(graph);
  const rows = rowsOf(graph, types);
  const columns = emptyColumns(rows.length);
  const costs = costsById(analysis);
  const precisions = new Map(workOf(model, analysis).map((work) => [work.id, work.precision]));
  const times = new Map(estimate?.layers.map((layer) => [layer.id, layer.ms]));
  const marks = marksOf(findings);
  rows.forEach((row, i) => {
    columns.kind[i] = row.kind;
    columns.id[i] = table.of(row.id);
    columns.name[i] = table.of(row.name);
    columns.op[i] = table.of(row.op);
    columns.scope[i] = table.of(scopeOf(row.name));
    columns.shape[i] = table.of(row.shape);
    const cost = row.kind === kinds.operator ? costs.get(row.id) : undefined;
    columns.family[i] = table.of(cost?.family ?? 'other');
    columns.precision[i] = table.of(precisions.get(row.id) ?? '');
    columns.params[i] = cost?.params ?? Number.NaN;
    columns.macs[i] = cost?.macs ?? Number.NaN;
    columns.flops[i] = cost?.flops ?? Number.NaN;
    columns.weightBytes[i] = cost?.weightBytes ?? Number.NaN;
    columns.activationBytes[i] = cost?.activationBytes ?? Number.NaN;
    columns.estimateMs[i] = times.get(row.id) ?? Number.NaN;
    const mark = row.kind === kinds.operator ? marks.get(row.id) : undefined;
    columns.findings[i] = mark?.count ?? 0;
    columns.severity[i] = mark?.worst ?? 0;
  });
  const edges = edgesOf(graph, types, table);
  return { strings: table.strings, nodeCount: rows.length, ...columns, ...edges };
}

interface Row {
  readonly kind: number;
  readonly id: string;
  readonly name: string;
  readonly op: string;
  readonly shape: string;
}

type Types = ReadonlyMap<ValueId, ValueType> | undefined;

/** Inputs first, then operators in stored order, then outputs: the node numbering of the view. */
function rowsOf(graph: Graph, types: Types): Row[] {
  const shape = (id: ValueId | null | undefined) => (id == null ? '' : shapeText(types?.get(id)));
  const rows: Row[] = [];
  for (const value of feedsOf(graph)) {
    rows.push({
      kind: kinds.input,
      id: `input:${value.id}`,
      name: value.name,
      op: 'Input',
      shape: shape(value.id),
    });
  }
  for (const node of graph.nodes) {
    const name = node.name === '' ? node.id : node.name;
    rows.push({ kind: kinds.operator, id: node.id, name, op: node.op, shape: shape(node.outputs[0]) });
  }
  for (const id of graph.outputs) {
    rows.push({
      kind: kinds.output,
      id: `output:${id}`,
      name: graph.values.get(id)?.name ?? id,
      op: 'Output',
      shape: shape(id),
    });
  }
  return rows;
}

function shapeText(type: ValueType | undefined): string {
  if (type === undefined) return 'unknown';
  return type.kind === 'tensor' || type.kind === 'sparse' ? formatShape(type.shape) : type.kind;
}

/**
 * The name scope of a layer: what stands before the last `/` of an exporter's name. TFLite names list every fused
 * layer, separated by `;`, the first of which says where it belongs.
 */
export function scopeOf(name: string): string {
  const first = name.split(';')[0] ?? '';
  const parts = first.split('/').filter((part) => part !== '');
  return parts.slice(0, -1).join('/');
}

function emptyColumns(count: number) {
  const index = () => new Uint32Array(count);
  const number = () => new Float64Array(count);
  return {
    kind: new Uint8Array(count),
    id: index(),
    name: index(),
    op: index(),
    family: index(),
    shape: index(),
    precision: index(),
    scope: index(),
    params: number(),
    macs: number(),
    flops: number(),
    weightBytes: number(),
    activationBytes: number(),
    estimateMs: number(),
    findings: new Uint16Array(count),
    severity: new Uint8Array(count),
  };
}

function costsById(analysis: Analysis) {
  return new Map(analysis.layers.map((layer) => [layer.id, layer]));
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

function edgesOf(graph: Graph, types: Types, table: StringTable) {
  const feeds = feedsOf(graph);
  const source = new Map<ValueId, number>(feeds.map((value, i) => [value.id, i]));
  const position = new Map<Node, number>(graph.nodes.map((node, i) => [node, feeds.length + i]));
  for (const [id, node] of indexOf(graph).producer) source.set(id, position.get(node) as number);
  const from: number[] = [];
  const to: number[] = [];
  const label: number[] = [];
  const connect = (id: ValueId, target: number) => {
    const start = source.get(id);
    if (start === undefined) return;
    from.push(start);
    to.push(target);
    label.push(table.of(`${graph.values.get(id)?.name ?? id}: ${describeType(types?.get(id))}`));
  };
  graph.nodes.forEach((node, i) => {
    const target = feeds.length + i;
    for (const input of node.inputs) if (input !== null) connect(input, target);
    for (const body of bodiesOf(node)) for (const id of capturesOf(body)) connect(id, target);
  });
  graph.outputs.forEach((id, i) => connect(id, feeds.length + graph.nodes.length + i));
  return {
    edgeFrom: Uint32Array.from(from),
    edgeTo: Uint32Array.from(to),
    edgeLabel: Uint32Array.from(label),
  };
}
