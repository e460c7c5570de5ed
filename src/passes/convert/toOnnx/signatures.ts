import { intAttribute } from '../../../ir/attribute.ts';
import { KerfError } from '../../../ir/errors.ts';
import type { Graph, TfliteModel } from '../../../ir/model.ts';

/**
 * The graph of a signature: of this one, or of the first, or the main graph of a file that states none. Throws
 * `KerfError('bad-option')` with the known ones.
 */
export function chosenGraph(
  { graphs, signatures }: TfliteModel,
  wanted: string | undefined,
): { readonly graph: Graph; readonly notes: readonly string[] } {
  const keys = signatures.map(({ key }) => key);
  const found = wanted === undefined ? signatures[0] : signatures.find(({ key }) => key === wanted);
  if (wanted !== undefined && found === undefined) {
    const known = keys.length === 0 ? 'it states none' : `it has ${keys.join(', ')}`;
    throw new KerfError('bad-option', `the model has no signature '${wanted}' (${known})`);
  }
  const graph = graphs[found?.graph ?? 0] ?? graphs[0];
  if (wanted !== undefined || found === undefined || keys.length < 2) return { graph, notes: [] };
  const others = keys.filter((key) => key !== found.key).join(', ');
  return { graph, notes: [`this is the signature ${found.key}; --signature takes another (${others})`] };
}

const bodies = ['then_subgraph_index', 'else_subgraph_index', 'cond_subgraph_index', 'body_subgraph_index'];

/** Subgraphs that the operators of a graph run, theirs included. */
export function subgraphsOf(model: TfliteModel, graph: Graph): ReadonlySet<Graph> {
  const found = new Set<Graph>();
  const visit = (each: Graph) => {
    for (const node of each.nodes)
      for (const option of bodies) {
        const inner = model.graphs[intAttribute(node, option, -1)];
        if (inner === undefined || found.has(inner)) continue;
        found.add(inner);
        visit(inner);
      }
  };
  visit(graph);
  return found;
}
