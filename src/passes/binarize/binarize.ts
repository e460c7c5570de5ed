import type { Model } from '../../ir/model.ts';
import type { OptionValues, Pass, PassContext, PassResult } from '../pass.ts';
import { quantizeWeights } from '../quantizeWeights/quantizeWeights.ts';
import { readOptions } from '../support/options.ts';

/**
 * Weights as plus or minus one scale per output channel (XNOR-Net, arXiv 1603.05279), without training: signs and scales
 * are found by the least squared error at the layer's output. The form is that of `quantize-weights` with one bit.
 */
export const binarize: Pass = {
  id: 'binarize',
  title: 'Binarize weights',
  summary:
    'Each weight becomes plus or minus one scale of its channel: about a bit per weight in a compressed file; costs accuracy, less with sample data.',
  dialects: ['onnx', 'tflite'],
  exact: false,
  calibration: 'optional',
  mayBeSlower: true,
  options: quantizeWeights.options.filter(({ name }) =>
    ['rounding', 'ends', 'conv', 'packed', 'smallest'].includes(name),
  ),
  ...(quantizeWeights.appliesTo && { appliesTo: quantizeWeights.appliesTo }),
  run: runBinarize,
};

async function runBinarize(model: Model, values: OptionValues, context: PassContext): Promise<PassResult> {
  readOptions(binarize.options, values);
  return quantizeWeights.run(model, { ...values, bits: '1' }, context);
}
