import type { Graph, Model, Node } from '../ir/model.ts';
import { layerCost, type Pricer } from './cost.ts';
import type { BodyReport } from './report.ts';
import type { Scope } from './scope.ts';
import { bodiesIn } from './scope.ts';
import { storedBody } from './functions.ts';
import { WeightLedger } from './weights.ts';

/** Layers of all bodies together that are reported; deeper ones of a hostile file are left out. */
const mostLayers = 100_000;

/**
 * The layers of every body and called function, each stored graph once, with the types of its first run. Weights count at
 * their first reader within the body.
 */
export function bodyReports(main: Scope, model: Model, pricer: Pricer): readonly BodyReport[] {
  const reports: BodyReport[] = [];
  const seen = new Set<Graph>();
  let left = mostLayers;
  const open: { scope: Scope; node: Node }[] = nested(main);
  for (let next = open.shift(); next !== undefined && left > 0; next = open.shift()) {
    const { scope, node } = next;
    const graph = storedBody(scope.graph);
    if (seen.has(graph)) continue;
    seen.add(graph);
    left -= scope.graph.nodes.length;
    const tools = { pricer, ledger: new WeightLedger(model) };
    reports.push({
      layer: node.id,
      graph: graph.name,
      layers: scope.graph.nodes.map((each) => layerCost(each, scope, model, tools)),
    });
    open.push(...nested(scope));
  }
  return reports;
}

function nested(scope: Scope): { scope: Scope; node: Node }[] {
  return [...scope.bodies.keys()].flatMap((node) =>
    bodiesIn(scope, node).map((body) => ({ scope: body, node })),
  );
}
