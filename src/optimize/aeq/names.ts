import type { Graph, Node } from '../../ir/model.ts';

/** Where the tool's name of an operator is not that of the schema. */
const renamed: Readonly<Record<string, string>> = {
  TRANSPOSE_CONV: 'CONV_2D_TRANSPOSE',
};

/** The operator as AI Edge Quantizer calls it. */
export function operationOf(op: string): string {
  return renamed[op] ?? op;
}

/** What a rule's expression is searched in: the names of the outputs, each followed by a semicolon. */
export function scopeOf(graph: Graph, node: Node): string {
  return node.outputs.map((id) => (id === null ? '' : `${graph.values.get(id)?.name ?? id};`)).join('');
}
