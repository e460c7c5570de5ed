import { surveyWeights } from '../../analysis/weightSurvey.ts';
import { writeParts } from '../../formats/io/writeParts.ts';
import { KerfError } from '../../ir/errors.ts';
import type { Tensor } from '../../ir/tensor.ts';
import { graphsOf } from '../../ir/walk.ts';
import type { EngineMethods } from './method.ts';
import type { Handle } from '../protocol.ts';
import type { ModelStore } from '../store.ts';
import { withLanes } from '../weights/countPool.ts';
import { npyParts } from '../weights/npy.ts';
import { channelMap, tensorPage } from '../weights/pages.ts';
import { layerSparsity } from '../weights/sparsity.ts';

type Weights = 'tensorPage' | 'channels' | 'exportTensor' | 'sparsity' | 'weights';

/** Constants looked at in pages, maps and files; none of them is ever answered whole. */
export function weightMethods(store: ModelStore): Pick<EngineMethods, Weights> {
  const constant = (at: { handle: Handle; graph?: number; value: string }): Tensor => constantOf(store, at);
  return {
    tensorPage: (at) => tensorPage(constant(at), at.offset, at.count),
    channels: (at) => channelMap(constant(at), at.axis),
    exportTensor: async (at) => ({ bytes: await writeParts(at.path, npyParts(constant(at))) }),
    sparsity: ({ handle }, job) => layerSparsity(store.get(handle).model, job),
    weights: async ({ handle }, job) => ({
      weights: await withLanes((lanes) =>
        surveyWeights(store.get(handle).model, {
          lanes,
          step: (fraction) => job.step(fraction, 'Reading weights'),
        }),
      ),
    }),
  };
}

/** A constant by the number of its graph and its value. Throws `KerfError('not-found')`. */
export function constantOf(
  store: ModelStore,
  { handle, graph = 0, value }: { handle: Handle; graph?: number; value: string },
): Tensor {
  const tensor = [...graphsOf(store.get(handle).model)][graph]?.values.get(value)?.constant;
  if (tensor === undefined) throw new KerfError('not-found', `'${value}' is not a constant of the model`);
  return tensor;
}
