import { targetFor, targetNames } from '../../devices/targets/registry.ts';
import type { TargetRules } from '../../devices/targets/target.ts';
import { KerfError } from '../../ir/errors.ts';
import type { Model, Node } from '../../ir/model.ts';
import { operatorOf } from '../../ops/registry.ts';
import type { OptionValues, Pass, PassContext, PassResult } from '../pass.ts';
import { roundings } from '../support/dataRounding.ts';
import { readOptions } from '../support/options.ts';
import type { RangeChoice, RangeMethod } from '../support/observe.ts';
import { rangeMethods } from '../support/observe.ts';
import { quantizeOnnx } from './onnx.ts';
import { quantizeTflite } from './tflite.ts';
import { weightRounding } from './weights.ts';

/** Post-training quantization of weights and activations with ranges observed on calibration data. */
export const quantizeStatic: Pass = {
  id: 'quantize-static',
  title: 'Quantize to 8 bits (static)',
  summary:
    'Weights and activations in 8 bits, with ranges observed on your data: four times smaller, and integer kernels.',
  dialects: ['onnx', 'tflite'],
  exact: false,
  calibration: 'required',
  mayBeSlower: true,
  options: [
    {
      name: 'scheme',
      title: 'Bits of weights and activations',
      type: 'choice',
      default: 'w8a8',
      choices: ['w8a8', 'w8a16', 'w4a16', 'w4a8', 'w3a8', 'w2a8', 'w1a8'],
    },
    {
      name: 'rounding',
      title:
        'How weights are rounded: by the sample data, layer after layer (auto: below 8 bits), or each to the nearest (auto: at 8 bits)',
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
      name: 'bySize',
      title: 'Below 8 bits, more bits for layers with few weights',
      type: 'boolean',
      default: false,
    },
    {
      name: 'target',
      title: 'What it will run on: types, scales and operators follow its rules',
      type: 'choice',
      default: 'x86',
      choices: targetNames,
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
    {
      name: 'momentum',
      title: 'Weight of what was before in a moving average over batches of samples',
      type: 'number',
      default: 0.99,
      min: 0,
      max: 0.9999,
    },
    {
      name: 'equalize',
      title: 'Scale channels against each other before, where that changes nothing else',
      type: 'boolean',
      default: true,
    },
    {
      name: 'kernelShapes',
      title:
        'Pad and fold layers to the shapes of the fastest kernels (ONNX; the same results, a slightly larger file)',
      type: 'boolean',
      default: true,
      dialects: ['onnx'],
    },
    { name: 'perChannel', title: 'One weight scale per output channel', type: 'boolean', default: true },
    {
      name: 'perChannelDense',
      dialects: ['tflite'],
      title: 'Per channel in FULLY_CONNECTED too (TFLite; not every NPU takes it)',
      type: 'boolean',
      default: false,
    },
    {
      name: 'packed',
      title: 'Store weights of 4 bits or fewer as int4 where the target reads that beside integers',
      type: 'boolean',
      default: false,
    },
    {
      name: 'io',
      dialects: ['tflite'],
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

/** The target's rules with activations in 16 bits. ONNX Runtime on a CPU computes those in float, so any of its targets does. */
function wideRules(rules: TargetRules, wide: boolean, type: 'int16' | 'uint16'): TargetRules {
  if (!wide) return rules;
  const { types } = rules.activations;
  const inFloat = rules.dialect === 'onnx' && rules.placement === 'kernels';
  if (!types.includes(type) && !inFloat)
    throw new KerfError('unsupported', `${rules.name} has no 16-bit activations`);
  // Forms for the sake of 8-bit kernels have no use, and copies of 16-bit codes no kernel.
  return { ...withoutLayout(rules), activations: { ...rules.activations, types: [type] } };
}

/** The rules without shapes that only make kernels faster. */
function withoutLayout(rules: TargetRules): TargetRules {
  const { layout: _, ...others } = rules;
  return others;
}

async function runStatic(model: Model, values: OptionValues, context: PassContext): Promise<PassResult> {
  const options = readOptions(quantizeStatic.options, values);
  const { calibrator } = context;
  if (calibrator === undefined) {
    throw new KerfError('bad-dataset', 'static quantization needs calibration data');
  }
  const perChannel = options.boolean('perChannel');
  const weights = {
    ...weightRounding(options.choice('scheme'), options.choice('rounding')),
    biasCorrection: options.boolean('biasCorrection'),
    bySize: options.boolean('bySize'),
  };
  const equalize = options.boolean('equalize');
  const packed = options.boolean('packed');
  const wide = options.choice('scheme').endsWith('a16');
  const ranges: RangeChoice = {
    // The options are checked against the list of methods.
    method: options.choice('ranges') as RangeMethod,
    percentile: options.number('percentile'),
    momentum: options.number('momentum'),
  };
  if (model.dialect === 'onnx') {
    const target = targetFor(options.choice('target'), 'onnx');
    const shaped = options.boolean('kernelShapes') ? target : withoutLayout(target);
    const rules = wideRules(shaped, wide, 'uint16');
    return quantizeOnnx(
      model,
      { rules, perChannel, ranges, weights, equalize, packed },
      { ...context, calibrator },
    );
  }
  const rules = wideRules(targetFor(options.choice('target'), 'tflite'), wide, 'int16');
  return quantizeTflite(
    model,
    {
      rules,
      floatBorder: options.choice('io') === 'float' && rules.border !== 'integer',
      perChannel,
      ranges,
      weights,
      equalize,
      packed,
      perChannelDense:
        options.boolean('perChannelDense') && rules.weights.perChannel.includes('FULLY_CONNECTED'),
    },
    { ...context, calibrator },
  );
}
