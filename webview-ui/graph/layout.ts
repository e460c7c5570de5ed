import { keepPlaces } from './keep.ts';
import type { Layout, LayoutInput } from './layoutTypes.ts';
import { orderRanks } from './order.ts';
import { placeVertices, toCorner } from './place.ts';
import { rankItems } from './rank.ts';
import { makeProper } from './ranks.ts';
import { routeEdges, stackRanks } from './route.ts';

/**
 * Layered layout (Sugiyama): ranks, order, places, routes. Deterministic and close to linear in items and edges; a pure
 * function, so the worker that runs it can be ended at any time.
 */
export function layoutGraph(input: LayoutInput): Layout {
  const ranking = rankItems(input.count, input.from, input.to);
  const graph = makeProper(input.count, ranking);
  const order = orderRanks(graph, input.hint);
  const placed = placeVertices(graph, order, input.width);
  const { keep, width: boxes } = input;
  const x =
    keep === undefined
      ? placed
      : toCorner(graph, keepPlaces(graph, order, placed, { keep, width: boxes }), boxes);
  const rows = stackRanks(graph, input.height);
  const { routeStart, route } = routeEdges(input, ranking, graph, rows, x);
  const y = new Float32Array(input.count);
  let width = 0;
  for (let v = 0; v < input.count; v++) {
    const r = graph.rank[v]!;
    y[v] = (rows.top[r]! + rows.bottom[r]!) / 2;
    width = Math.max(width, x[v]! + input.width[v]! / 2);
  }
  for (let v = input.count; v < graph.count; v++) width = Math.max(width, x[v]!);
  return {
    x: Float32Array.from(x.subarray(0, input.count)),
    y,
    rank: graph.rank.slice(0, input.count),
    width,
    height: rows.height,
    routeStart,
    route,
    stub: graph.stub,
    crossings: order.crossings,
  };
}
