import type { Analysis } from '../analysis/report.ts';
import { bodiesOf } from '../ir/attribute.ts';
import type { Graph, Node, ValueId } from '../ir/model.ts';
import { feedsOf } from '../ir/model.ts';
import { describeType } from '../ir/types.ts';
import { capturesOf } from '../ir/walk.ts';
import type { Body, Row } from './graphRows.ts';
import { kinds } from './graphRows.ts';

/** Edge `e` goes from row `from[e]` to row `to[e]`; `label` puts a text into the view's string table. */
interface Edges {
  readonly edgeFrom: Uint32Array;
  readonly edgeTo: Uint32Array;
  readonly edgeLabel: Uint32Array;
}

/** Where a value of one graph comes from: the row that makes it and the graph that names it. */
interface Source {
  readonly row: number;
  readonly graph: Graph;
  readonly value: ValueId;
  /** Its text, once an edge has asked for it. */
  label?: number;
}

type Sources = Map<ValueId, Source>;

/**
 * Who feeds whom. A body shown in place reads what its owner reads and what it captures, and its outputs go to the
 * owner; the owner stands for what comes out.
 */
export function edgesOf(rows: readonly Row[], analysis: Analysis, intern: (text: string) => number): Edges {
  const main = rows.find((row) => row.body === undefined)?.graph;
  const from: number[] = [];
  const to: number[] = [];
  const label: number[] = [];
  const connect = (source: Source | undefined, target: number) => {
    if (source === undefined || source.row === target) return;
    from.push(source.row);
    to.push(target);
    label.push((source.label ??= intern(labelOf(source, analysis))));
  };
  const byBody = new Map<Body, number[]>();
  const own: number[] = [];
  rows.forEach((row, i) => {
    const known = row.body === undefined ? own : byBody.get(row.body);
    if (known !== undefined) known.push(i);
    else if (row.body !== undefined) byBody.set(row.body, [i]);
  });

  const visit = (graph: Graph, members: readonly number[], sources: Sources, owner: number | undefined) => {
    for (const i of members)
      for (const value of rows[i]!.node?.outputs ?? [])
        if (value !== null) sources.set(value, { row: i, graph, value });
    for (const i of members) {
      const { node, runs } = rows[i]!;
      if (node === undefined) continue;
      for (const input of node.inputs) if (input !== null) connect(sources.get(input), i);
      for (const body of bodiesOf(node))
        if (!runs.some((run) => run.graph === body))
          for (const id of capturesOf(body)) connect(sources.get(id), i);
      for (const body of runs) visit(body.graph, byBody.get(body) ?? [], inside(body, node, sources), i);
    }
    for (const id of graph.outputs) if (owner !== undefined) connect(sources.get(id), owner);
  };
  if (main !== undefined) {
    const sources: Sources = new Map();
    feedsOf(main).forEach(({ id }, i) => sources.set(id, { row: i, graph: main, value: id }));
    visit(main, own, sources, undefined);
    for (const i of own)
      if (rows[i]!.kind === kinds.output) connect(sources.get(rows[i]!.value as ValueId), i);
  }
  return {
    edgeFrom: Uint32Array.from(from),
    edgeTo: Uint32Array.from(to),
    edgeLabel: Uint32Array.from(label),
  };
}

function labelOf({ graph, value }: Source, analysis: Analysis): string {
  return `${graph.values.get(value)?.name ?? value}: ${describeType(analysis.types.get(graph)?.get(value))}`;
}

/** What a body sees: its inputs are what its owner is given, other names are those around it. */
function inside(body: Body, owner: Node, around: Sources): Sources {
  const sources: Sources = new Map(around);
  body.graph.inputs.forEach((id, i) => {
    const operand = body.firstInput === undefined ? undefined : owner.inputs[body.firstInput + i];
    const source = operand == null ? undefined : around.get(operand);
    if (source === undefined) sources.delete(id);
    else sources.set(id, source);
  });
  return sources;
}
