import { KerfError } from '../../ir/errors.ts';
import type { Model, Node } from '../../ir/model.ts';
import { operatorOf } from '../../ops/registry.ts';
import type { OptionValues, Pass, PassContext, PassResult } from '../pass.ts';
import { readOptions } from '../support/options.ts';
import type { RangeChoice, RangeMethod } from '../support/observe.ts';
import { rangeMethods } from '../support/observe.ts';
import { quantizeOnnx } from './onnx.ts';
import { quantizeTflite } from './tflite.ts';

/** Post-training quantization of weights and activations with ranges observed on calibration data. */
export const quantizeStatic: Pass = {
  id: 'quantize-static',
  title: 'Quantize to 8 bits (static)',
  summary:
    'Weights and activations in 8 bits, with ranges observed on your data: four times smaller, and integer kernels.',
  dialects: ['onnx', 'tflite'],
  exact: false,
  calibration: 'required',
  options: [
    {
      name: 'scheme',
      title: 'Bits of weights and activations',
      type: 'choice',
      default: 'w8a8',
      choices: ['w8a8'],
    },
    {
      name: 'target',
      title: 'Processor the activations are typed for (ONNX): uint8 on x86, int8 on ARM',
      type: 'choice',
      default: 'x86',
      choices: ['x86', 'arm'],
    },
    {
      name: 'ranges',
      title: 'How ranges are chosen',
      type: 'choice',
      default: 'minmax',
      choices: rangeMethods,
    },
    {
      name: 'percentile',
      title: 'Share of the values that a percentile range covers',
      unit: '%',
      type: 'number',
      default: 99.999,
      min: 90,
      max: 100,
    },
    { name: 'perChannel', title: 'One weight scale per output channel', type: 'boolean', default: true },
    {
      name: 'perChannelDense',
      title: 'Per channel in FULLY_CONNECTED too (TFLite; not every NPU takes it)',
      type: 'boolean',
      default: false,
    },
    {
      name: 'io',
      title: 'Type of the inputs and outputs (TFLite)',
      type: 'choice',
      default: 'int8',
      choices: ['int8', 'float'],
    },
  ],
  appliesTo: hasWeight,
  run: runStatic,
};

function hasWeight(node: Node, model: Model): boolean {
  const roles = operatorOf(model, node)?.weights?.(node, model) ?? [];
  return roles.some((role) => role.kind !== 'recurrent' && role.kind !== 'embedding');
}

async function runStatic(model: Model, values: OptionValues, context: PassContext): Promise<PassResult> {
  const options = readOptions(quantizeStatic.options, values);
  const { calibrator } = context;
  if (calibrator === undefined) {
    throw new KerfError('bad-dataset', 'static quantization needs calibration data');
  }
  const perChannel = options.boolean('perChannel');
  const ranges: RangeChoice = {
    // The options are checked against the list of methods.
    method: options.choice('ranges') as RangeMethod,
    percentile: options.number('percentile'),
  };
  if (model.dialect === 'onnx') {
    const activations = options.choice('target') === 'arm' ? 'int8' : 'uint8';
    return quantizeOnnx(model, { activations, perChannel, ranges }, { ...context, calibrator });
  }
  return quantizeTflite(
    model,
    {
      floatBorder: options.choice('io') === 'float',
      perChannel,
      ranges,
      perChannelDense: options.boolean('perChannelDense'),
    },
    { ...context, calibrator },
  );
}
