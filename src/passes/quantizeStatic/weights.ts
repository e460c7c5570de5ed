import type { Model, Node, NodeId } from '../../ir/model.ts';
import { floatTensor, readFloats, sizeOf } from '../../ir/numbers.ts';
import type { WeightRole } from '../../ops/operator.ts';
import type { PassContext } from '../pass.ts';
import { roundedFast, surveyedLayers } from './fastRounding.ts';
import type { Rounding } from '../support/dataRounding.ts';
import { roundedByData } from '../support/dataRounding.ts';
import type { DenseLayer } from '../support/denseLayer.ts';
import { matrixOf, multiplyLayerOf } from '../support/denseLayer.ts';
import { withWeights } from '../support/refit.ts';
import type { Levels } from '../support/roundingRow.ts';
import type { WeightBits } from '../support/weightCodes.ts';
import { byChannel } from '../support/grouping.ts';
import { encodeWeight, int4Levels, int8Levels } from '../support/weightCodes.ts';

/** Bits of the weights, which are stored as int8 whatever they are, and how they are rounded. */
export interface WeightRounding {
  readonly bits: WeightBits;
  readonly rounding: Rounding;
  /** Whether biases make up for the mean error of rounding by the data. */
  readonly biasCorrection: boolean;
  /** Whether small layers get more bits. */
  readonly bySize: boolean;
}

/** From the options `scheme` (`w4a8`) and `rounding`. */
export function weightRounding(
  scheme: string,
  rounding: string,
): Omit<WeightRounding, 'biasCorrection' | 'bySize'> {
  const bits = Number(scheme.slice(1, scheme.indexOf('a'))) as WeightBits;
  return { bits, rounding: rounding as Rounding };
}

interface RoundedFor<M extends Model> {
  readonly model: M;
  /** Scales of which the weights are whole multiples now, by layer; other layers are not in it. */
  readonly scales: ReadonlyMap<NodeId, Float32Array>;
  readonly notes: readonly string[];
}

/**
 * Layers whose input moments the rounding will ask for after a calibration with so many samples; `undefined` when it will ask about weights that were changed
 * meanwhile.
 */
export function momentsFor(
  model: Model,
  plans: readonly { readonly node: Node; readonly weight?: WeightRole }[],
  { bits, rounding }: WeightRounding,
  samples: number,
): readonly NodeId[] | undefined {
  if (bits !== 8 || (rounding !== 'auto' && rounding !== 'nearest')) return undefined;
  if (rounding === 'nearest') return [];
  return surveyedLayers(
    model,
    plans.flatMap(({ node, weight }) => (weight === undefined ? [] : [node])),
    samples,
  );
}

/**
 * The model whose values give the ranges: with its rounded weights, which move values below 8 bits. Rounded to the nearest
 * it is the one before, so that ranges hang on no weight and layers can be tried one by one with the same ranges.
 */
export function observedIn<M extends Model>(before: M, rounded: M, { rounding }: WeightRounding): M {
  return rounding === 'nearest' ? before : rounded;
}

/** Rounds the weights of layers that are about to run on integers. */
export async function roundedFor<M extends Model>(
  model: M,
  plans: readonly { readonly node: Node; readonly weight?: WeightRole }[],
  { bits, rounding, biasCorrection, bySize }: WeightRounding,
  context: PassContext,
  target: {
    readonly bits: number;
    perChannel(node: Node): boolean;
    /** Whether codes of four bits or fewer are stored in four. */
    packed?(node: Node): boolean;
  },
): Promise<RoundedFor<M>> {
  const nodes = plans.flatMap(({ node, weight }) => (weight === undefined ? [] : [node]));
  if (bits === 8 && rounding === 'nearest') return { model, scales: new Map(), notes: [] };
  if (bits === 8 && rounding === 'auto' && context.calibrator !== undefined) {
    const top = 2 ** (target.bits - 1) - 1;
    const data = { step: context.step, calibrator: context.calibrator, biasCorrection };
    const done = await roundedFast(model, nodes, top, target.perChannel, data);
    return { ...done, notes: plainNotes(nodes.length - done.scales.size) };
  }
  const observed = nodes.filter((node) => multiplyLayerOf(model, node) !== undefined);
  const perTensor = (layer: DenseLayer) => !target.perChannel(layer.node);
  const wider = bySize ? widerBySize(model, observed) : (width: number) => width;
  const found = await roundedByData(
    model,
    observed,
    {
      bits,
      rounding,
      ends: true,
      biasCorrection,
      planOf: (layer, width) => {
        const oneScale = perTensor(layer);
        // One scale over all groups of a convolution would have to be found over all of their Gram matrices at once.
        if (oneScale && layer.groups > 1) return undefined;
        const bits = width === 8 ? 8 : wider(width, layer.weight.dims);
        return { levels: levelsFor(layer.node, bits, target), block: 0, oneScale };
      },
    },
    context,
  );
  const scales = new Map<NodeId, Float32Array>();
  for (const [id, layer] of found.rounded) scales.set(id, layer.scales);
  const others = nodes.filter((node) => !scales.has(node.id) && found.bitsOf(node.id) < 8);
  const changes = others.flatMap((node) => {
    const layer = multiplyLayerOf(found.model, node);
    return layer === undefined ? [] : [nearest(layer, found.bitsOf(node.id), perTensor(layer))];
  });
  for (const { layer, stored } of changes) scales.set(layer.node.id, stored);
  const stored = nodes.some((node) => target.packed?.(node) === true) ? 'int4 where they fit' : 'int8';
  const narrow = bits < 8 ? [`weights take ${2 ** bits} values per channel and are stored as ${stored}`] : [];
  const done = withWeights(found.model, changes);
  return { model: done, scales, notes: [...narrow, ...found.notes] };
}

/**
 * More bits for smaller layers: at high rates a bit less quadruples the error of a layer, whatever its size, and saves
 * what it has weights, so that at the least error for a sum of bits a quarter of the weights is worth a bit more.
 */
function widerBySize(model: Model, nodes: readonly Node[]) {
  const sizes = nodes.map((node) => multiplyLayerOf(model, node)?.weight.dims ?? [0]).map(elementsOf);
  const largest = Math.max(1, ...sizes);
  return (bits: number, dims: readonly number[]) =>
    Math.min(8, bits + Math.floor(Math.log2(largest / elementsOf(dims)) / 2));
}

function elementsOf(dims: readonly number[]): number {
  return dims.reduce((product, dim) => product * dim, 1);
}

function levelsFor(
  node: Node,
  bits: number,
  target: { readonly bits: number; packed?(node: Node): boolean },
): readonly Levels[] {
  const packed = bits <= 4 && target.packed?.(node) === true;
  return packed ? int4Levels(bits) : int8Levels(bits, target.bits);
}

function plainNotes(layers: number): string[] {
  if (layers === 0) return [];
  const which = `${layers} ${layers === 1 ? 'layer' : 'layers'}`;
  return [
    `${which} rounded to nearest, to keep calibration short; rounding=optimized rounds all by the data`,
  ];
}

/** Each weight as the nearest of so many values, without looking at data. */
function nearest(layer: DenseLayer, bits: WeightBits, perTensor: boolean) {
  const { weight, outputs, outputsFirst } = layer;
  const axis = outputsFirst ? 0 : weight.dims.length - 1;
  const flat = { ...weight, dims: [1, sizeOf(weight)] };
  const made = encodeWeight(
    perTensor ? flat : weight,
    byChannel(perTensor ? flat.dims : weight.dims, perTensor ? 0 : axis),
    bits,
  );
  const stored = readFloats(made.scales);
  const codes = readFloats(made.codes);
  const each = outputsFirst ? codes.length / outputs : 1;
  const floats = codes.map(
    (code, i) => code * (stored[perTensor ? 0 : Math.floor(i / each) % outputs] as number),
  );
  return { layer, matrix: matrixOf({ ...layer, weight: floatTensor(weight.dims, floats) }), stored };
}
