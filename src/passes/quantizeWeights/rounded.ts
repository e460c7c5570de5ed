import type { Model, Node } from '../../ir/model.ts';
import { sizeOf } from '../../ir/numbers.ts';
import { indexOf } from '../../ir/walk.ts';
import type { Calibrator, PassContext } from '../pass.ts';
import type { DenseLayer } from '../support/denseLayer.ts';
import { multiplyLayerOf } from '../support/denseLayer.ts';
import type { LayerPlan, RoundedLayer } from '../support/roundLayers.ts';
import { roundLayers } from '../support/roundLayers.ts';
import type { WeightBits } from '../support/weightCodes.ts';
import { levelsOf } from '../support/weightCodes.ts';
import type { WeightOptions } from './quantizeWeights.ts';

/** What the data say about the layers that are to be quantized. */
export interface DataAware<M extends Model> {
  readonly model: M;
  readonly rounded: ReadonlyMap<string, RoundedLayer>;
  /** Bits of a layer's weights; less than 8 may be too few at the ends of a model. */
  bitsOf(node: Node): WeightBits;
  readonly notes: readonly string[];
}

/** Rounds the chosen layers by the calibration data; without data, or told to round to nearest, does nothing. */
export async function roundedByData<M extends Model>(
  model: M,
  nodes: readonly Node[],
  options: WeightOptions,
  context: PassContext,
): Promise<DataAware<M>> {
  const { calibrator } = context;
  const wide = widerLayers(model, nodes, options);
  const bitsOf = (node: Node) => (wide.has(node.id) ? 8 : options.bits);
  const notes = wide.size === 0 ? [] : [`8 bits for the first and the last layer: ${[...wide].join(', ')}`];
  if (calibrator === undefined || options.rounding === 'nearest')
    return { model, rounded: new Map(), bitsOf, notes };
  const plans = nodes.flatMap((node): LayerPlan[] => {
    const layer = multiplyLayerOf(model, node);
    if (layer === undefined || isShared(model, layer)) return [];
    return [{ id: node.id, levels: levelsOf(bitsOf(node)), block: blockOf(layer, options) }];
  });
  const sequential = options.rounding === 'sequential';
  const result = await roundLayers(model, plans, calibrator, sequential, context);
  return { ...result, bitsOf, notes: [...notes, ...roundingNotes(result.rounded, nodes, calibrator)] };
}

/** Convolutions have one scale per output channel; a depthwise one would have little to share. */
function blockOf(layer: DenseLayer, { block }: WeightOptions): number {
  return layer.kind === 'conv' ? 0 : block;
}

/** Several layers that read one weight read one set of codes, whatever their inputs. */
function isShared(model: Model, { weightId, node }: DenseLayer): boolean {
  const { uses } = indexOf(model.graphs[0]);
  return (uses.get(weightId) ?? []).some((use) => use.node.id !== node.id);
}

/** Most of the weights that may stay in 8 bits at the ends. */
const smallShare = 0.05;

/** The first and the last layer, when they are small: what they lose cannot be made up for, and 8 bits cost little. */
function widerLayers(model: Model, nodes: readonly Node[], options: WeightOptions): ReadonlySet<string> {
  if (options.bits === 8 || !options.ends || nodes.length < 4) return new Set();
  const sizes = new Map(
    nodes.flatMap((node) => {
      const layer = multiplyLayerOf(model, node);
      return layer === undefined ? [] : [[node.id, sizeOf(layer.weight)] as const];
    }),
  );
  const all = [...sizes.values()].reduce((sum, size) => sum + size, 0);
  const ends = [nodes[0], nodes.at(-1)].flatMap((node) => (node === undefined ? [] : [node.id]));
  return new Set(ends.filter((id) => (sizes.get(id) ?? all) <= smallShare * all));
}

function roundingNotes(
  rounded: ReadonlyMap<string, RoundedLayer>,
  nodes: readonly Node[],
  { samples, source }: Calibrator,
): string[] {
  const notes: string[] = [];
  let worst: readonly [string, number] | undefined;
  for (const [id, { loss }] of rounded) if (worst === undefined || loss > worst[1]) worst = [id, loss];
  if (worst !== undefined)
    notes.push(
      `${rounded.size} layers rounded for what ${samples} samples of ${source} put in; ${worst[0]} loses most, ${(100 * worst[1]).toPrecision(2)} % of its output's variance`,
    );
  const left = nodes.length - rounded.size;
  if (left > 0)
    notes.push(
      `${left} layers rounded to nearest: their weights are shared, or their inputs cannot be observed`,
    );
  return notes;
}
