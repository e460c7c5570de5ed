import type { Model, NodeId } from '../../ir/model.ts';
import { withMainGraph } from '../../ir/model.ts';
import { indexOf } from '../../ir/walk.ts';
import type { Calibrator, CrossMoments, InputMoments } from '../pass.ts';
import type { DenseLayer } from './denseLayer.ts';
import { multiplyLayerOf } from './denseLayer.ts';
import type { LayerChange } from './refit.ts';
import { takesShift, withWeights } from './refit.ts';

/** Moments held at once; more mean another run over the data. */
const bytesAtOnce = 256 * 2 ** 20;

/** What becomes of a layer as it is now; `centred` when its bias can take up a shift. `undefined` leaves it. */
export type Change = (
  layer: DenseLayer,
  moments: InputMoments | CrossMoments,
  centred: boolean,
) => Promise<LayerChange | undefined>;

/**
 * Changes the weights of layers by what the calibration data say of their inputs. Sequentially, a layer sees what the
 * layers before it have become, and what the original has in its place: one run over the data per depth. Layers that
 * cannot be observed stay.
 */
export async function changeLayers<M extends Model>(
  model: M,
  ids: readonly NodeId[],
  calibrator: Calibrator,
  sequential: boolean,
  change: Change,
): Promise<M> {
  let current = model;
  for (const wave of sequential ? wavesOf(model, ids) : [ids]) {
    for (const group of groupsOf(model, wave)) {
      const seen = await observe(model, current, group, calibrator, sequential);
      const changes: LayerChange[] = [];
      for (const id of group) {
        const moments = seen.get(id);
        const layer = layerIn(current, id);
        if (moments === undefined || layer === undefined || !isFinite(moments)) continue;
        const made = await change(layer, moments, takesShift(current.graphs[0], layer));
        if (made !== undefined) changes.push(made);
      }
      current = withWeights(current, changes);
    }
  }
  return current;
}

function layerIn(model: Model, id: NodeId): DenseLayer | undefined {
  const node = indexOf(model.graphs[0]).node.get(id);
  return node && multiplyLayerOf(model, node);
}

function isFinite({ gram }: InputMoments): boolean {
  return gram.every(Number.isFinite);
}

function observe(
  model: Model,
  current: Model,
  ids: readonly NodeId[],
  calibrator: Calibrator,
  sequential: boolean,
): Promise<ReadonlyMap<NodeId, InputMoments | CrossMoments>> {
  if (!sequential || current === model) return calibrator.moments(upTo(model, ids), ids);
  return calibrator.crossMoments(
    upTo(model, ids),
    upTo(current, ids),
    ids.map((id) => ({ reference: id, current: id })),
  );
}

/** The model without what comes after these layers: nobody has to compute it. */
export function upTo<M extends Model>(model: M, ids: readonly NodeId[]): M {
  const graph = model.graphs[0];
  const wanted = new Set(ids);
  const last = graph.nodes.findLastIndex((node) => wanted.has(node.id));
  return withMainGraph(model, { ...graph, nodes: graph.nodes.slice(0, last + 1) });
}

/** Layers in as many steps as the longest chain of them has. */
function wavesOf(model: Model, ids: readonly NodeId[]): readonly (readonly NodeId[])[] {
  const chosen = new Set(ids);
  const depths = new Map<string, number>();
  const waves: NodeId[][] = [];
  for (const node of model.graphs[0].nodes) {
    let depth = 0;
    for (const input of node.inputs) depth = Math.max(depth, depths.get(input ?? '') ?? 0);
    if (chosen.has(node.id)) {
      (waves[depth] ??= []).push(node.id);
      depth += 1;
    }
    for (const output of node.outputs) if (output !== null) depths.set(output, depth);
  }
  return waves;
}

/** Layers whose moments fit into memory together. */
export function groupsOf(model: Model, ids: readonly NodeId[]): readonly (readonly NodeId[])[] {
  const groups: NodeId[][] = [];
  let room = 0;
  for (const id of ids) {
    const layer = layerIn(model, id);
    const bytes = layer === undefined ? 0 : 8 * layer.groups * layer.inputs ** 2;
    if (bytes > room || groups.length === 0) {
      groups.push([]);
      room = bytesAtOnce;
    }
    groups.at(-1)?.push(id);
    room -= bytes;
  }
  return groups;
}
