import type { Model, Node } from '../../ir/model.ts';
import { operatorOf } from '../../ops/registry.ts';
import type { OptionValues, Pass, PassContext, PassResult } from '../pass.ts';
import { readOptions } from '../support/options.ts';
import { quantizeDynamicOnnx } from './onnx.ts';
import { quantizeDynamicTflite } from './tflite.ts';

/** Int8 weights; activations are quantized while the model runs, so no data is needed. */
export const quantizeDynamic: Pass = {
  id: 'quantize-dynamic',
  title: 'Quantize weights to 8 bits (dynamic)',
  summary: 'Int8 weights with ranges of activations found while running: no calibration data needed.',
  dialects: ['onnx', 'tflite'],
  exact: false,
  calibration: 'none',
  mayBeSlower: true,
  options: [
    {
      name: 'conv',
      title: 'Convolutions too (ONNX: slower on ONNX Runtime; TFLite always does them)',
      type: 'boolean',
      default: false,
    },
    {
      name: 'perChannelDense',
      dialects: ['tflite'],
      title: 'Per channel in FULLY_CONNECTED too (TFLite; runtimes before 2025 compute it wrongly)',
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
  appliesTo: hasMatrix,
  run: runDynamic,
};

function hasMatrix(node: Node, model: Model): boolean {
  const roles = operatorOf(model, node)?.weights?.(node, model) ?? [];
  return roles.some(
    (role) =>
      role.kind === 'matmul' || (model.dialect === 'onnx' ? node.op === 'LSTM' : role.kind !== 'embedding'),
  );
}

async function runDynamic(model: Model, values: OptionValues, context: PassContext): Promise<PassResult> {
  const options = readOptions(quantizeDynamic.options, values);
  const smallest = options.number('smallest');
  if (model.dialect === 'onnx') {
    return quantizeDynamicOnnx(model, { conv: options.boolean('conv'), smallest }, context);
  }
  const perChannelDense = options.boolean('perChannelDense');
  return quantizeDynamicTflite(model, { perChannelDense, smallest }, context);
}
