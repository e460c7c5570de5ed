import type { Model } from '../../ir/model.ts';
import type { DenseLayer } from '../support/denseLayer.ts';
import { factsOf } from '../support/facts.ts';

/** Rounding by the data may cost this share of the calibration's inferences... */
const share = 0.25;
/** ...and this many multiply-accumulates in a runtime in any case: about a third of a second. */
const freely = 1e10;

/** What a step costs beside a multiply-accumulate in a runtime, as measured on CIFAR networks and ResNet-50. */
const costs = {
  /** To hand over and sum up an element of a matrix of second moments. */
  perElement: 1500,
  perFactorProduct: 6,
  perWeight: 1000,
  /** Vectors behind a matrix: a number, or so many per input. */
  fewestVectors: 512,
  vectorsPerInput: 2,
} as const;

/**
 * The layers whose rounding by the data the calibration pays for, in their order: those with the least work first, as every
 * layer adds its own noise. It is counted, not timed, so the same model and number of samples give the same layers.
 */
export function affordable(
  model: Model,
  layers: readonly DenseLayer[],
  samples: number,
): readonly DenseLayer[] {
  const inferences = samples * layers.reduce((sum, layer) => sum + macsOf(model, layer), 0);
  let room = Math.max(freely, share * inferences);
  const taken = new Set<DenseLayer>();
  const works = layers.map((layer) => ({ layer, work: workOf(layer) }));
  for (const { layer, work } of works.sort((a, b) => a.work - b.work)) {
    room -= work;
    if (room < 0) break;
    taken.add(layer);
  }
  return layers.filter((layer) => taken.has(layer));
}

/** Of observing the moments of a layer and rounding by them. */
function workOf({ inputs, outputs, groups }: DenseLayer): number {
  const vectors = Math.max(costs.fewestVectors, costs.vectorsPerInput * inputs);
  const observing = groups * inputs ** 2 * (vectors + costs.perElement);
  const products = (groups * inputs ** 3) / 6 + outputs * inputs ** 2;
  return observing + costs.perFactorProduct * products + costs.perWeight * outputs * inputs;
}

/** Of one sample; of one position where their number is not known. */
function macsOf(model: Model, { node, kind, outputs, inputs }: DenseLayer): number {
  const shape = factsOf(model).typeOf(node.outputs[0])?.shape ?? [];
  const channel = kind === 'linear' || model.dialect === 'tflite' ? shape.length - 1 : 1;
  const positions = shape.reduce<number>(
    (product, dim, axis) =>
      axis === 0 || axis === channel || typeof dim !== 'number' ? product : product * dim,
    1,
  );
  return positions * outputs * inputs;
}
