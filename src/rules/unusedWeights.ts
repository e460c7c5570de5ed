import { byteSize } from '../ir/dtype.ts';
import { bodiesOf } from '../ir/attribute.ts';
import type { Graph, NodeId, Value, ValueId } from '../ir/model.ts';
import { addScaleTensors, capturesOf, indexOf } from '../ir/walk.ts';
import type { Finding, Rule } from './rule.ts';
import { bytesText, count, onLayers, onModel } from './support.ts';

/** Bytes. */
const worthwhile = 1024;

export const unusedWeights: Rule = {
  id: 'unused-weights',
  severity: 'warning',
  title: 'Weights or layers that nothing depends on',
  manual: `No output of the model depends on these weights or layers: they take room and sometimes time, and change nothing.
They are left over from training, from a removed head, or from an export.

**Example.** The auxiliary classifiers of Inception in a file that only returns the main one.

**Remedy.** Run \`simplify\`.`,
  check({ model }) {
    const graph = model.graphs[0];
    return [...unusedConstants(graph), ...deadLayers(graph)];
  },
};

function unusedConstants(graph: Graph): readonly Finding[] {
  const { uses, isOutput } = indexOf(graph);
  const bytes = (value: Value) => {
    const { constant } = value;
    const count = constant?.dims.reduce((product, dim) => product * dim, 1) ?? 0;
    return constant === undefined ? 0 : (byteSize(constant.dtype, count) ?? 0);
  };
  const behind = new Set([...graph.values.keys()].filter((id) => uses.has(id) || isOutput.has(id)));
  addScaleTensors(graph.values, behind);
  const unused = [...graph.values.values()].filter(
    (value) => value.constant !== undefined && !behind.has(value.id),
  );
  if (unused.length === 0) return [];
  const fileBytes = unused.reduce((sum, value) => sum + bytes(value), 0);
  // What nobody would notice in the size of the file is untidy, not wasteful.
  const severity = fileBytes < worthwhile ? 'information' : unusedWeights.severity;
  const names = unused.length === 1 ? `“${unused[0]?.name}” is` : `${unused.length} constants are`;
  return onModel({ id: unusedWeights.id, severity }, `${names} never read (${bytesText(fileBytes)}).`, [
    { pass: 'simplify', options: {}, title: 'Remove what is unused', gain: { fileBytes } },
  ]);
}

function deadLayers(graph: Graph): readonly Finding[] {
  const dead = deadNodes(graph);
  return onLayers(unusedWeights, dead, (where) => `No output depends on this layer${where}.`, [
    { pass: 'simplify', options: {}, title: `Remove ${count(dead.length, 'layer')} that nothing depends on` },
  ]);
}

/** Nodes that no output of the graph depends on, in stored order. Nodes without outputs act by themselves. */
function deadNodes(graph: Graph): readonly NodeId[] {
  const { producer } = indexOf(graph);
  const live = new Set<NodeId>();
  const waiting: ValueId[] = [...graph.outputs];
  const wake = (node: Graph['nodes'][number]) => {
    if (live.has(node.id)) return;
    live.add(node.id);
    for (const input of node.inputs) if (input !== null) waiting.push(input);
    for (const body of bodiesOf(node)) waiting.push(...capturesOf(body));
  };
  for (const node of graph.nodes) if (node.outputs.length === 0 || hasEffect(node.op)) wake(node);
  for (let id = waiting.pop(); id !== undefined; id = waiting.pop()) {
    const node = producer.get(id);
    if (node !== undefined) wake(node);
  }
  return graph.nodes.filter((node) => !live.has(node.id)).map((node) => node.id);
}

/** TFLite operators that change state outside of their outputs. */
function hasEffect(op: string): boolean {
  return /^(ASSIGN_VARIABLE|CALL_ONCE|VAR_HANDLE|HASHTABLE_IMPORT|WHILE|IF)$/.test(op);
}
