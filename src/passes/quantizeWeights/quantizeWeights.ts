import { KerfError } from '../../ir/errors.ts';
import type { Model, Node } from '../../ir/model.ts';
import { operatorOf } from '../../ops/registry.ts';
import type { OptionValues, Pass, PassContext, PassResult } from '../pass.ts';
import { readOptions } from '../support/options.ts';
import type { WeightBits } from '../support/weightCodes.ts';
import { quantizeWeightsOnnx } from './onnx.ts';
import { quantizeWeightsTflite } from './tflite.ts';

/** Weights in 8 or 4 bits, activations in float: the smallest file that needs no data. */
export const quantizeWeights: Pass = {
  id: 'quantize-weights',
  title: 'Quantize weights only (8 or 4 bits)',
  summary: 'Weights in 8 or 4 bits and activations in float: four to seven times smaller, no data needed.',
  dialects: ['onnx', 'tflite'],
  exact: false,
  calibration: 'none',
  options: [
    { name: 'bits', title: 'Bits of a weight', type: 'choice', default: '8', choices: ['8', '4'] },
    {
      name: 'block',
      title: 'Weights along the input that share a scale (ONNX; 0: one scale per output channel)',
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

export interface WeightOptions {
  readonly bits: WeightBits;
  /** 0 for one scale per output channel. */
  readonly block: number;
  readonly conv: boolean;
  readonly smallest: number;
}

function hasWeight(node: Node, model: Model): boolean {
  const roles = operatorOf(model, node)?.weights?.(node, model) ?? [];
  return roles.some((role) => role.kind === 'matmul' || role.kind === 'conv');
}

async function runWeights(model: Model, values: OptionValues, context: PassContext): Promise<PassResult> {
  const read = readOptions(quantizeWeights.options, values);
  const options: WeightOptions = {
    bits: read.choice('bits') === '4' ? 4 : 8,
    block: Number(read.choice('block')),
    conv: read.boolean('conv'),
    smallest: read.number('smallest'),
  };
  if (model.dialect === 'onnx') return quantizeWeightsOnnx(model, options, context);
  if (options.block !== 0) {
    throw new KerfError(
      'unsupported',
      'blocks of weights: TFLite gets one scale per output channel (block=0)',
    );
  }
  return quantizeWeightsTflite(model, options, context);
}
