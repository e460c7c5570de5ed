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
  /** Bytes of all constants. */
  readonly weightBytes: number;
  /** Arithmetic of one inference; 0 where it is unknown. */
  readonly flops: number;
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
  const { flops, costOf } = costs(model);
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
    weightBytes: weightBytesOf(model),
    flops,
    costOf,
    costOfLayer: (id) => layerCosts.get(id) ?? 1,
  };
}

/** Shares of the arithmetic; of the nodes where the arithmetic is unknown. */
function costs(model: Model): { flops: number; costOf(nodes: readonly Node[]): number } {
  const { layers } = analyse(model);
  const work = new Map(layers.map(({ id, flops }) => [id, flops]));
  const known = layers.every(({ flops }) => flops !== undefined);
  const of = (node: Node) => (known ? (work.get(node.id) ?? 0) : 1);
  const sum = (nodes: readonly Node[]) => nodes.reduce((total, node) => total + of(node), 0);
  const whole = sum(model.graphs[0].nodes);
  return { flops: known ? whole : 0, costOf: (nodes) => (whole === 0 ? 1 : sum(nodes) / whole) };
}

function weightBytesOf(model: Model): number {
  let sum = 0;
  for (const { constant } of model.graphs[0].values.values()) sum += constant?.data.length ?? 0;
  return sum;
}

/** Two parts of a list, in its order, whose weights come nearest to each other; one where nothing is left for the second. */
export function inTwo<T>(items: readonly T[], weightOf: (item: T) => number): readonly (readonly T[])[] {
  const weights = items.map(weightOf);
  const whole = weights.reduce((sum, weight) => sum + weight, 0);
  let best = { at: items.length, off: whole };
  let before = 0;
  for (const [index, weight] of weights.entries()) {
    before += weight;
    const off = Math.abs(whole - 2 * before);
    if (off < best.off) best = { at: index + 1, off };
  }
  const [front, back] = [items.slice(0, best.at), items.slice(best.at)];
  return back.length === 0 ? [front] : [front, back];
}

function bytesOf(model: Model): (values: readonly ValueId[]) => number {
  const facts = factsOf(model);
  return (values) =>
    values.reduce((sum, id) => {
      const dims = facts.typeOf(id)?.shape ?? [];
      return sum + 4 * dims.reduce<number>((size, dim) => size * (typeof dim === 'number' ? dim : 1), 1);
    }, 0);
}
