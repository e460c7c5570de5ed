import { analyse } from '../../analysis/analyse.ts';
import type { Model, Node, NodeId, ValueId } from '../../ir/model.ts';
import type { Cut } from '../../optimize/sensitivity/cuts.ts';
import { cutsOf } from '../../optimize/sensitivity/cuts.ts';
import { submodel } from '../../optimize/sensitivity/submodel.ts';
import { factsOf } from '../../passes/support/facts.ts';

/** Nodes between two cuts, and the layers among them that are measured. */
export interface Segment {
  readonly start: Cut;
  readonly end: Cut;
  readonly targets: readonly NodeId[];
}

export interface Plan {
  readonly cuts: readonly Cut[];
  readonly segments: readonly Segment[];
  /** Most bytes kept at once for one sample: inputs, and the values at both ends of a segment. */
  readonly bytesPerSample: number;
  /** Work of some nodes, 1 for the whole model. */
  costOf(nodes: readonly Node[]): number;
  /** Expected cost of measuring a layer once. */
  costOfLayer(id: NodeId): number;
}

/** How a model is cut into segments to measure these layers. */
export function planOf(model: Model, targets: ReadonlySet<NodeId>): Plan {
  const cuts = cutsOf(model, targets);
  const [graph] = model.graphs;
  const segments = cuts.slice(1).map((end, at) => {
    const start = cuts[at] as Cut;
    const nodes = graph.nodes.slice(start.index, end.index);
    return { start, end, targets: nodes.map(({ id }) => id).filter((id) => targets.has(id)) };
  });
  const costOf = costs(model);
  const layerCosts = new Map<NodeId, number>();
  for (const segment of segments) {
    const behind = submodel(model, new Set(segment.start.crossing), graph.outputs, false).nodes;
    for (const id of segment.targets) layerCosts.set(id, costOf(behind));
  }
  const bytes = bytesOf(model);
  const inputs = bytes(cuts[0]?.crossing ?? []);
  const most = Math.max(...segments.map(({ start, end }) => bytes(start.crossing) + 2 * bytes(end.crossing)));
  return {
    cuts,
    segments,
    bytesPerSample: Math.max(1, inputs + most),
    costOf,
    costOfLayer: (id) => layerCosts.get(id) ?? 1,
  };
}

/** Shares of the arithmetic; of the nodes where the arithmetic is unknown. */
function costs(model: Model): (nodes: readonly Node[]) => number {
  const { layers } = analyse(model);
  const work = new Map(layers.map(({ id, flops }) => [id, flops]));
  const known = layers.every(({ flops }) => flops !== undefined);
  const of = (node: Node) => (known ? (work.get(node.id) ?? 0) : 1);
  const sum = (nodes: readonly Node[]) => nodes.reduce((total, node) => total + of(node), 0);
  const whole = sum(model.graphs[0].nodes);
  return (nodes) => (whole === 0 ? 1 : sum(nodes) / whole);
}

function bytesOf(model: Model): (values: readonly ValueId[]) => number {
  const facts = factsOf(model);
  return (values) =>
    values.reduce((sum, id) => {
      const dims = facts.typeOf(id)?.shape ?? [];
      return sum + 4 * dims.reduce<number>((size, dim) => size * (typeof dim === 'number' ? dim : 1), 1);
    }, 0);
}
