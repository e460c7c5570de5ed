import type { Model, NodeId } from '../../ir/model.ts';
import type { Calibrator, PassContext } from '../pass.ts';
import { multiplyLayerOf } from '../support/denseLayer.ts';
import { changeLayers } from '../support/layerStages.ts';
import { shiftOf, targetOf } from '../support/refit.ts';
import type { Factors } from './spectrum.ts';
import { factorsOf, productOf, spectrumOf } from './spectrum.ts';

interface FittedFactors {
  /** Whole layers still, with the weights that the factors make, and biases that keep the mean outputs. */
  readonly model: Model;
  /** Without a shift: the biases have it. */
  readonly factors: ReadonlyMap<NodeId, Factors>;
}

/**
 * Layer after layer: fits the weights by least squares to give the original's output on what the inputs have become,
 * and takes the rank that the layer is to have from the outputs of those. Layers that stay whole are fitted as well,
 * when something before them was split.
 */
export async function refitFactors(
  model: Model,
  ranks: ReadonlyMap<NodeId, number>,
  calibrator: Calibrator,
  context: PassContext,
): Promise<FittedFactors> {
  const factors = new Map<NodeId, Factors>();
  const ids = model.graphs[0].nodes.flatMap((node) =>
    multiplyLayerOf(model, node) !== undefined && (ranks.has(node.id) || context.layers === undefined)
      ? [node.id]
      : [],
  );
  let done = 0;
  const fitted = await changeLayers(model, ids, calibrator, true, async (layer, moments, centred) => {
    const { id } = layer.node;
    await context.step(done / ids.length, `fitting ${id}`);
    done += 1;
    const rank = ranks.get(id);
    // Nothing has changed before the first layers.
    if (rank === undefined && !('cross' in moments)) return undefined;
    const target = targetOf(layer, moments, centred);
    let matrix = target.weights;
    if (rank !== undefined) {
      const mean = centred ? moments.mean : new Float64Array(layer.inputs);
      const found = factorsOf(spectrumOf(layer, { mean, gram: moments.gram }, target.weights), rank);
      factors.set(id, { ...found, shift: new Float64Array(layer.outputs) });
      matrix = productOf(found.up, found.down, layer.outputs, rank, layer.inputs);
    }
    return { layer, matrix, ...(centred && { shift: shiftOf(layer, target, matrix) }) };
  });
  return { model: fitted, factors };
}
