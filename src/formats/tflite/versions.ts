import type { Graph, Node } from '../../ir/model.ts';

/** The version an operator is stored with. */
export function versionToWrite(node: Node, _graph: Graph): number {
  return node.version ?? 1;
}
