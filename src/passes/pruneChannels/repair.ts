import { KerfError } from '../../ir/errors.ts';
import type { Model, NodeId } from '../../ir/model.ts';
import { indexOf } from '../../ir/walk.ts';
import type { Calibrator, CrossMoments, InputMoments, PassContext } from '../pass.ts';
import { choleskyOf, damped, solveCholesky } from '../support/cholesky.ts';
import type { DenseLayer } from '../support/denseLayer.ts';
import { matrixOf, multiplyLayerOf } from '../support/denseLayer.ts';
import { factsOf } from '../support/facts.ts';
import type { LayerChange } from '../support/refit.ts';
import { takesShift, withWeights } from '../support/refit.ts';
import { offsetOf } from '../support/statistics.ts';
import type { Kept } from './cut.ts';
import type { Site } from './probes.ts';
import { withProbes } from './probes.ts';
import { ridge } from './readers.ts';

/** Moments held at once; more mean another run over the data. */
const bytesAtOnce = 256 * 2 ** 20;

interface Repaired<M extends Model> {
  readonly model: M;
  /** Layers with new weights. */
  readonly refitted: number;
  /** Layers behind a cut that could not be observed. */
  readonly unseen: number;
}

/**
 * Fits every layer that reads something changed to the outputs it had in the reference, in the order of the graph: each
 * sees what the layers before it have become (He et al., "Channel Pruning", arXiv 1707.06168, with the drift of the
 * whole network). Mean outputs are kept by the biases.
 */
export async function repaired<M extends Model>(
  reference: M,
  cut: M,
  kept: Kept,
  calibrator: Calibrator,
  context: Pick<PassContext, 'step'>,
  /** How far behind a change layers are refitted. */
  most = Number.POSITIVE_INFINITY,
): Promise<Repaired<M>> {
  const waves = wavesOf(cut, changedLayers(reference, cut)).slice(0, most);
  let model = cut;
  let refitted = 0;
  let unseen = 0;
  for (const [index, wave] of waves.entries()) {
    await context.step(index / waves.length, `refitting ${wave[0]} to what it reads now`);
    for (const part of partsOf(model, wave)) {
      const { model: seenWith, probes } = withProbes(
        reference,
        part.flatMap((id) => depthwiseSite(reference, model, id, kept)),
      );
      const pairs = part.map((id) => ({ reference: probes.get(id) ?? id, current: id }));
      const moments = await calibrator.crossMoments(seenWith, model, pairs);
      const changes: LayerChange[] = [];
      for (const id of part) {
        const seen = moments.get(id);
        if (seen?.gram.every(Number.isFinite) === true && seen.count > 1)
          changes.push(changeOf(reference, model, id, kept, seen));
        else unseen += 1;
      }
      refitted += changes.length;
      model = withWeights(model, changes);
    }
  }
  return { model, refitted, unseen };
}

/** Refits the layers that read what was cut as if nothing else had changed, from the moments of their whole inputs. */
export function patched<M extends Model>(
  reference: M,
  cut: M,
  kept: Kept,
  columns: ReadonlyMap<NodeId, readonly number[]>,
  moments: ReadonlyMap<NodeId, InputMoments>,
): M {
  const changes = [...moments].map(([id, seen]) => {
    const layer = layerIn(cut, id);
    return changeOf(reference, cut, id, kept, narrowed(seen, columns.get(id) ?? [], layer.inputs));
  });
  return withWeights(cut, changes);
}

/** The moments of some elements of a vector against those of all of it. */
function narrowed(
  { groups, size, count, mean, gram }: InputMoments,
  columns: readonly number[],
  d: number,
): CrossMoments {
  const now = new Float64Array(groups * d * d);
  const cross = new Float64Array(groups * size * d);
  const part = new Float64Array(groups * d);
  for (let g = 0; g < groups; g += 1) {
    columns.forEach((column, j) => {
      part[g * d + j] = mean[g * size + column] as number;
      for (let i = 0; i < size; i += 1)
        cross[(g * size + i) * d + j] = gram[(g * size + i) * size + column] as number;
      columns.forEach((row, i) => {
        now[(g * d + i) * d + j] = gram[(g * size + row) * size + column] as number;
      });
    });
  }
  return { groups, size: d, count, mean: part, gram: now, referenceSize: size, referenceMean: mean, cross };
}

/** Layers of both models that multiply, and read something that the cut has changed, however far behind it. */
function changedLayers(reference: Model, cut: Model): ReadonlySet<NodeId> {
  const before = indexOf(reference.graphs[0]).node;
  const changed = new Set<string>();
  const found = new Set<NodeId>();
  for (const node of cut.graphs[0].nodes) {
    const was = before.get(node.id)?.inputs;
    const rewired = was?.some((id, i) => id !== node.inputs[i]) === true;
    const reads = rewired || node.inputs.some((id) => id !== null && changed.has(id));
    const cutHere = node.inputs.some(
      (id) =>
        id !== null &&
        cut.graphs[0].values.get(id)?.constant !== reference.graphs[0].values.get(id)?.constant,
    );
    if (!reads && !cutHere) continue;
    for (const id of node.outputs) if (id !== null) changed.add(id);
    if (reads && before.has(node.id) && multiplyLayerOf(cut, node) !== undefined) found.add(node.id);
  }
  return found;
}

/** Layers that no other one stands between, one wave after another. */
function wavesOf(model: Model, layers: ReadonlySet<NodeId>): readonly (readonly NodeId[])[] {
  const depths = new Map<string, number>();
  const waves: NodeId[][] = [];
  for (const node of model.graphs[0].nodes) {
    let depth = Math.max(0, ...node.inputs.map((id) => depths.get(id ?? '') ?? 0));
    if (layers.has(node.id)) {
      (waves[depth] ??= []).push(node.id);
      depth += 1;
    }
    for (const id of node.outputs) if (id !== null) depths.set(id, depth);
  }
  return waves;
}

function partsOf(model: Model, ids: readonly NodeId[]): readonly (readonly NodeId[])[] {
  const parts: NodeId[][] = [];
  let room = 0;
  for (const id of ids) {
    const { groups, inputs } = layerIn(model, id);
    const bytes = 16 * groups * inputs ** 2;
    if (bytes > room || parts.length === 0) {
      parts.push([]);
      room = bytesAtOnce;
    }
    parts.at(-1)?.push(id);
    room -= bytes;
  }
  return parts;
}

function layerIn(model: Model, id: NodeId): DenseLayer {
  const node = indexOf(model.graphs[0]).node.get(id);
  const layer = node && multiplyLayerOf(model, node);
  if (layer === undefined) throw new KerfError('internal', `${id} is no layer that multiplies`);
  return layer;
}

/** A depthwise layer with fewer channels meets those of the reference in a layer made for it. */
function depthwiseSite(reference: Model, model: Model, id: NodeId, kept: Kept): readonly Site[] {
  const before = layerIn(reference, id);
  const now = layerIn(model, id);
  if (before.groups === now.groups || before.groups !== before.outputs) return [];
  const rank = factsOf(reference).typeOf(before.activation)?.shape?.length ?? 0;
  const channels = kept({ id: before.activation, axis: model.dialect === 'onnx' ? 1 : rank - 1 });
  return channels === undefined ? [] : [{ layer: before, channels }];
}

function changeOf(reference: Model, model: Model, id: NodeId, kept: Kept, seen: CrossMoments): LayerChange {
  const before = layerIn(reference, id);
  const layer = layerIn(model, id);
  const rows = keptRows(reference, before, kept);
  const centred = takesShift(model.graphs[0], layer);
  const { matrix, shift } = fitted(matrixOf(before), matrixOf(layer), rows, layer, seen, centred);
  if (!centred) return { layer, matrix };
  const old = offsetOf(reference.graphs[0], before);
  const now = offsetOf(model.graphs[0], layer);
  return {
    layer,
    matrix,
    shift: shift.map((value, o) => value + (old[rows[o] as number] as number) - (now[o] as number)),
  };
}

/** The layer's outputs that are left: its rows in the reference. */
export function keptRows(model: Model, { node, kind, outputs }: DenseLayer, kept: Kept): readonly number[] {
  const [id] = node.outputs;
  const rank = factsOf(model).typeOf(id)?.shape?.length ?? 0;
  const axis = kind === 'conv' && model.dialect === 'onnx' ? 1 : rank - 1;
  const left = id == null ? undefined : kept({ id, axis });
  return left ?? Array.from({ length: outputs }, (_, i) => i);
}

/**
 * W + (W_ref C_ref,now - W C_now) (C_now + ridge)^-1: the least squares of the reference's outputs on the present
 * inputs, drawn towards the weights as they are. The error is never above that of leaving them.
 */
export function fitted(
  reference: Float64Array,
  present: Float64Array,
  rows: readonly number[],
  { inputs: d, groups }: Pick<DenseLayer, 'inputs' | 'groups'>,
  moments: CrossMoments,
  centred: boolean,
): { matrix: Float64Array; shift: Float64Array } {
  const e = moments.referenceSize;
  const matrix = present.slice();
  const shift = new Float64Array(rows.length);
  const perGroup = rows.length / groups;
  for (let g = 0; g < groups; g += 1) {
    const mean = moments.mean.subarray(g * d, (g + 1) * d);
    const referenceMean = moments.referenceMean.subarray(g * e, (g + 1) * e);
    const now = moments.gram.slice(g * d * d, (g + 1) * d * d);
    const cross = moments.cross.slice(g * e * d, (g + 1) * e * d);
    if (centred) {
      subtractOuter(now, mean, mean);
      subtractOuter(cross, referenceMean, mean);
    }
    const factor = choleskyOf(damped(now, d, ridge), d);
    const wanted = new Float64Array(d);
    for (let r = g * perGroup; r < (g + 1) * perGroup; r += 1) {
      const from = reference.subarray((rows[r] as number) * e, ((rows[r] as number) + 1) * e);
      const row = matrix.subarray(r * d, (r + 1) * d);
      wanted.fill(0);
      addProduct(wanted, from, cross, 1);
      addProduct(wanted, row, now, -1);
      solveCholesky(factor, d, wanted);
      for (let i = 0; i < d; i += 1) row[i] = (row[i] as number) + (wanted[i] as number);
      shift[r] = dot(from, referenceMean) - dot(row, mean);
    }
  }
  return { matrix, shift };
}

function subtractOuter(into: Float64Array, left: Float64Array, right: Float64Array): void {
  const d = right.length;
  left.forEach((a, i) => {
    for (let j = 0; j < d; j += 1) into[i * d + j] = (into[i * d + j] as number) - a * (right[j] as number);
  });
}

/** into += sign * vector times matrix. */
function addProduct(into: Float64Array, vector: Float64Array, matrix: Float64Array, sign: number): void {
  const d = into.length;
  for (let i = 0; i < vector.length; i += 1) {
    const factor = sign * (vector[i] as number);
    if (factor === 0) continue;
    const from = i * d;
    for (let j = 0; j < d; j += 1) into[j] = (into[j] as number) + factor * (matrix[from + j] as number);
  }
}

function dot(a: Float64Array, b: Float64Array): number {
  let sum = 0;
  for (let i = 0; i < a.length; i += 1) sum += (a[i] as number) * (b[i] as number);
  return sum;
}
