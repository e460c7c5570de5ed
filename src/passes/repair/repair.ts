import type { Repaired } from './repaired.ts';
import type { Model, NodeId } from '../../ir/model.ts';
import type { OptionValues, Pass, PassContext, PassResult } from '../pass.ts';
import { readOptions } from '../support/options.ts';
import { alignBuffers } from './align.ts';
import { fixBiasAxes } from './biasAxis.ts';
import { restamp } from './versions.ts';
import { centreWeights } from './zeroPoints.ts';

/** Mends what converters and writers get wrong, without touching a number that the model computes. */
export const repair: Pass = {
  id: 'repair',
  title: 'Repair the file',
  summary:
    'Mends what makes runtimes refuse or misread a file: axes of quantized biases, alignment of buffers, zero points of ' +
    'weights, versions above the runtime. Results stay the same.',
  dialects: ['onnx', 'tflite'],
  exact: true,
  calibration: 'none',
  options: [
    { name: 'bias-axis', title: 'Quantized biases along their only axis', type: 'boolean', default: true },
    { name: 'align', title: 'TFLite buffers at multiples of 16 bytes', type: 'boolean', default: true },
    { name: 'zero-points', title: 'Zero points of int8 weights at 0', type: 'boolean', default: true },
    {
      name: 'opset',
      title: 'Highest ONNX operator set the runtime reads',
      type: 'integer',
      default: 26,
      min: 7,
      max: 28,
    },
    {
      name: 'ir',
      title: 'Highest ONNX IR version the runtime reads',
      type: 'integer',
      default: 13,
      min: 3,
      max: 14,
    },
  ],
  run: runRepair,
};

async function runRepair(model: Model, values: OptionValues, context: PassContext): Promise<PassResult> {
  const options = readOptions(repair.options, values);
  const repairs: ((current: Model) => Repaired | undefined)[] = [];
  if (options.boolean('bias-axis')) repairs.push(fixBiasAxes);
  if (options.boolean('zero-points')) repairs.push(centreWeights);
  repairs.push((current) => restamp(current, options.number('opset'), options.number('ir')));
  // Last, because any other repair writes the file anew.
  if (options.boolean('align')) repairs.push((current) => alignBuffers(model, current));
  let current = model;
  const changed = new Set<NodeId>();
  const notes: string[] = [];
  for (const [index, step] of repairs.entries()) {
    await context.step(index / repairs.length, 'Repairing');
    const repaired = step(current);
    if (repaired === undefined) continue;
    current = repaired.model;
    for (const id of repaired.changed) changed.add(id);
    notes.push(...repaired.notes);
  }
  if (notes.length === 0) notes.push('nothing to repair');
  return { model: current, changed: [...changed], notes };
}
