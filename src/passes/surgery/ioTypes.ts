import { KerfError } from '../../ir/errors.ts';
import type { Model } from '../../ir/model.ts';
import type { OptionValues, Pass, PassResult } from '../pass.ts';
import { changedNodes, resultOf } from '../support/graph.ts';
import { readOptions } from '../support/options.ts';
import type { EndType } from './convertEnds.ts';
import { endType, withInputType, withOutputType } from './convertEnds.ts';
import { fedInputs } from './names.ts';

const choices = ['keep', 'float32', 'uint8', 'int8'] as const;

/** Changes the types in which a model is fed and read. */
export const ioTypes: Pass = {
  id: 'io-types',
  title: 'Change input and output types',
  summary: 'Feeds images as uint8, reads floats: conversions at the borders of the model, scales kept.',
  dialects: ['onnx', 'tflite'],
  exact: true,
  calibration: 'none',
  options: [
    { name: 'input', title: 'Type of the inputs', type: 'choice', default: 'keep', choices },
    { name: 'output', title: 'Type of the outputs', type: 'choice', default: 'keep', choices },
  ],
  run: runIoTypes,
};

async function runIoTypes(model: Model, given: OptionValues): Promise<PassResult> {
  const options = readOptions(ioTypes.options, given);
  const [input, output] = [options.choice('input'), options.choice('output')];
  const notes: string[] = [];
  const convertible = (current: Model, id: string) =>
    ['float32', 'uint8', 'int8'].includes(endType(current, id).dtype);
  const each = (ends: readonly string[], to: string, apply: typeof withInputType, side: string) => {
    if (to === 'keep') return;
    for (const id of ends) {
      const from = endType(current, id).dtype;
      if (!convertible(current, id)) notes.push(`${side} ${id} stays ${from}`);
      else if (from !== to) {
        current = apply(current, id, to as EndType);
        notes.push(`${side} ${id}: ${from} to ${to}`);
      }
    }
  };
  let current = model;
  each(fedInputs(model.graphs[0]), input, withInputType, 'input');
  each(model.graphs[0].outputs, output, withOutputType, 'output');
  if (input === 'keep' && output === 'keep') throw new KerfError('bad-option', 'io-types: nothing to change');
  return resultOf(model, current, changedNodes(model.graphs[0], current.graphs[0]), notes);
}
