import { KerfError } from '../../ir/errors.ts';
import type { Model, Node } from '../../ir/model.ts';
import { operatorOf } from '../../ops/registry.ts';
import type { OptionValues, Pass, PassContext, PassResult } from '../pass.ts';
import type { Rounding } from '../support/dataRounding.ts';
import { roundings } from '../support/dataRounding.ts';
import { readOptions } from '../support/options.ts';
import type { WeightBits } from '../support/weightCodes.ts';
import { quantizeWeightsOnnx } from './onnx.ts';
import type { WeightOptions, WeightType } from './options.ts';
import { weightTypes } from './options.ts';
import { quantizeWeightsTflite } from './tflite.ts';

/** Weights in 8 bits or fewer, activations in float; rounded for the inputs that calibration data put in. */
export const quantizeWeights: Pass = {
  id: 'quantize-weights',
  title: 'Quantize weights only (8 to 1 bits)',
  summary:
    'Weights in 8 bits or fewer and activations in float: four to seven times smaller; with sample data, far more accurate.',
  dialects: ['onnx', 'tflite'],
  exact: false,
  calibration: 'optional',
  mayBeSlower: true,
  options: [
    {
      name: 'bits',
      title: 'Bits of a weight',
      type: 'choice',
      default: '8',
      choices: ['8', '4', '3', '2', '1'],
    },
    {
      name: 'type',
      title: 'Integers, or float8e4m3fn where 8 bits are asked for (ONNX)',
      type: 'choice',
      default: 'integer',
      choices: weightTypes,
    },
    {
      name: 'rounding',
      title:
        'How weights are rounded: by the sample data, layer after layer (auto: below 8 bits), or each to the nearest',
      type: 'choice',
      default: 'auto',
      choices: roundings,
    },
    {
      name: 'biasCorrection',
      title: 'Where weights are rounded by the data, let biases make up for the mean error',
      type: 'boolean',
      default: true,
    },
    {
      name: 'block',
      title:
        'Weights along the input that share a scale (TFLite: FULLY_CONNECTED below 8 bits; 0: one scale per output channel)',
      type: 'choice',
      default: '0',
      choices: ['0', '32', '64', '128'],
    },
    {
      name: 'conv',
      title: 'Convolutions too, although slower (TFLite in 8 bits: always, and not slower)',
      type: 'boolean',
      default: false,
    },
    {
      name: 'ends',
      title: 'Below 8 bits, keep the first and the last layer at 8 bits where they are small',
      type: 'boolean',
      default: true,
    },
    {
      name: 'packed',
      title: 'Store weights of 2 bits or 1 in two bits instead of four (TFLite: FULLY_CONNECTED, slower)',
      type: 'boolean',
      default: false,
    },
    {
      name: 'smallest',
      title: 'Leave smaller weights in float',
      unit: 'elements',
      type: 'integer',
      default: 1024,
      min: 0,
      max: 1_000_000_000,
    },
  ],
  appliesTo: hasWeight,
  run: runWeights,
};

function hasWeight(node: Node, model: Model): boolean {
  const roles = operatorOf(model, node)?.weights?.(node, model) ?? [];
  return roles.some((role) => role.kind === 'matmul' || role.kind === 'conv');
}

async function runWeights(model: Model, values: OptionValues, context: PassContext): Promise<PassResult> {
  const read = readOptions(quantizeWeights.options, values);
  const options: WeightOptions = {
    // The options are checked against their choices.
    bits: Number(read.choice('bits')) as WeightBits,
    type: read.choice('type') as WeightType,
    rounding: read.choice('type') === 'float8' ? 'nearest' : (read.choice('rounding') as Rounding),
    ends: read.boolean('ends'),
    biasCorrection: read.boolean('biasCorrection'),
    block: Number(read.choice('block')),
    conv: read.boolean('conv'),
    packed: read.boolean('packed'),
    smallest: read.number('smallest'),
  };
  if (options.type === 'float8') refuseFloat8(model, options);
  if (model.dialect === 'onnx') return quantizeWeightsOnnx(model, options, context);
  return quantizeWeightsTflite(model, options, context);
}

function refuseFloat8({ dialect }: Model, { bits, block }: WeightOptions): void {
  if (dialect === 'tflite')
    throw new KerfError('unsupported', 'float8 weights: LiteRT has no kernels for them (type=integer)');
  if (bits !== 8 || block !== 0)
    throw new KerfError(
      'unsupported',
      'float8 has 8 bits and one scale per output channel (bits=8, block=0)',
    );
}
