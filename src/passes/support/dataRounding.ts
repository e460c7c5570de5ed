import type { Model, Node, NodeId } from '../../ir/model.ts';
import { sizeOf } from '../../ir/numbers.ts';
import { indexOf } from '../../ir/walk.ts';
import type { Calibrator, PassContext } from '../pass.ts';
import type { DenseLayer } from './denseLayer.ts';
import { multiplyLayerOf } from './denseLayer.ts';
import type { LayerPlan, RoundedLayer } from './roundLayers.ts';
import { roundLayers } from './roundLayers.ts';
import type { WeightBits } from './weightCodes.ts';

export const roundings = ['auto', 'optimized', 'sequential', 'nearest'] as const;
export type Rounding = (typeof roundings)[number];

export interface DataRounding {
  readonly bits: WeightBits;
  /** `auto`: sequential below 8 bits. Sequentially, each layer is fitted to what the layers before it have become. */
  readonly rounding: Rounding;
  /** Whether the first and the last layer keep 8 bits below 8, where they are small. */
  readonly ends: boolean;
  /** Whether biases make up for the mean error; without it the mean counts as a part of what rounding costs. */
  readonly biasCorrection: boolean;
  /** How a layer's codes of so many bits are stored; `undefined` leaves it to the nearest codes. */
  planOf(layer: DenseLayer, bits: WeightBits): Omit<LayerPlan, 'id' | 'biasCorrection'> | undefined;
}

/** What the data say about the layers that are to be quantized. */
export interface DataAware<M extends Model> {
  readonly model: M;
  readonly rounded: ReadonlyMap<NodeId, RoundedLayer>;
  /** Bits of a layer's weights. */
  bitsOf(id: NodeId): WeightBits;
  readonly notes: readonly string[];
}

/** Rounds the chosen layers by the calibration data; without data, or told to round to nearest, only says how wide. */
export async function roundedByData<M extends Model>(
  model: M,
  nodes: readonly Node[],
  choice: DataRounding,
  context: PassContext,
): Promise<DataAware<M>> {
  const { calibrator } = context;
  const wide = choice.ends ? smallEnds(model, nodes, choice.bits) : new Set<NodeId>();
  const bitsOf = (id: NodeId) => (wide.has(id) ? 8 : choice.bits);
  const notes =
    wide.size === 0 ? [] : [`8 bits at the ends, where they cost little: ${[...wide].join(', ')}`];
  if (calibrator === undefined || choice.rounding === 'nearest')
    return { model, rounded: new Map(), bitsOf, notes };
  const plans = nodes.flatMap((node): LayerPlan[] => {
    const layer = multiplyLayerOf(model, node);
    if (layer === undefined || isShared(model, layer)) return [];
    const plan = choice.planOf(layer, bitsOf(node.id));
    return plan === undefined ? [] : [{ id: node.id, biasCorrection: choice.biasCorrection, ...plan }];
  });
  const sequential = choice.rounding === 'sequential' || (choice.rounding === 'auto' && choice.bits < 8);
  const result = await roundLayers(model, plans, calibrator, sequential, context);
  return { ...result, bitsOf, notes: [...notes, ...notesOf(result.rounded, nodes, calibrator)] };
}

/** Several layers that read one weight read one set of codes, whatever their inputs. */
function isShared(model: Model, { weightId, node }: DenseLayer): boolean {
  const { uses } = indexOf(model.graphs[0]);
  return (uses.get(weightId) ?? []).some((use) => use.node.id !== node.id);
}

/** Most of the weights that one end may hold and still keep 8 bits. */
const smallShare = 0.05;

/** The first and the last layer: nothing behind the last one makes up for its errors, and all see those of the first. */
function smallEnds(model: Model, nodes: readonly Node[], bits: WeightBits): ReadonlySet<NodeId> {
  if (bits === 8 || nodes.length < 4) return new Set();
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

function notesOf(
  rounded: ReadonlyMap<NodeId, RoundedLayer>,
  nodes: readonly Node[],
  { samples, source }: Calibrator,
): string[] {
  const notes: string[] = [];
  let worst: readonly [string, number] | undefined;
  for (const [id, { loss }] of rounded) if (worst === undefined || loss > worst[1]) worst = [id, loss];
  if (worst !== undefined) {
    const percent = (100 * worst[1]).toPrecision(2);
    notes.push(
      `${rounded.size} layers rounded for what ${samples} samples of ${source} put in; ${worst[0]} loses most, ${percent} % of its output's variance`,
    );
  }
  const left = nodes.length - rounded.size;
  if (left > 0)
    notes.push(
      `${left} layers rounded to nearest: their weights are shared, or their inputs cannot be observed`,
    );
  return notes;
}
