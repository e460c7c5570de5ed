import { attr } from '../../ir/attribute.ts';
import { KerfError } from '../../ir/errors.ts';
import type { Model, OnnxModel, TfliteModel, Value } from '../../ir/model.ts';
import { intTensor } from '../../ir/numbers.ts';
import type { Dim } from '../../ir/types.ts';
import { tensorType } from '../../ir/types.ts';
import type { OptionValues, Pass, PassResult } from '../pass.ts';
import { changedNodes, opsetOf, resultOf } from '../support/graph.ts';
import { readOptions } from '../support/options.ts';
import { endType } from './convertEnds.ts';
import { openOutput, withChain } from './ends.ts';
import { endOf } from './names.ts';

/** Puts what is done to scores after inference into the model. */
export const postprocess: Pass = {
  id: 'postprocess',
  title: 'Put postprocessing into the model',
  summary: 'Appends softmax, sigmoid or argmax to an output, over its last axis or its channels.',
  dialects: ['onnx', 'tflite'],
  exact: false,
  calibration: 'none',
  options: [
    {
      name: 'output',
      title: 'Output; may be empty when there is one',
      type: 'text',
      default: '',
      example: 'logits',
    },
    {
      name: 'apply',
      title: 'What to append',
      type: 'choice',
      default: 'softmax',
      choices: ['softmax', 'sigmoid', 'argmax'],
    },
  ],
  run: runPostprocess,
};

async function runPostprocess(model: Model, given: OptionValues): Promise<PassResult> {
  const options = readOptions(postprocess.options, given);
  const id = endOf(model, 'outputs', 'output', options.text('output'));
  const { dtype, shape } = endType(model, id);
  if (dtype !== 'float32')
    throw new KerfError('unsupported', `it gives ${dtype}: postprocessing needs floats (io-types first)`, {
      place: `output '${id}'`,
    });
  if (shape === undefined || shape.length === 0)
    throw new KerfError('unsupported', 'its shape is unknown', { place: `output '${id}'` });
  const kind = options.choice('apply');
  const after =
    model.dialect === 'onnx' ? appendedOnnx(model, id, shape, kind) : appendedTflite(model, id, shape, kind);
  return resultOf(model, after, changedNodes(model.graphs[0], after.graphs[0]), [`${id}: ${kind} appended`]);
}

/** Channels of an image are axis 1 in ONNX. */
function appendedOnnx(model: OnnxModel, id: string, shape: readonly Dim[], kind: string): OnnxModel {
  const axis = shape.length === 4 ? 1 : shape.length - 1;
  const opened = openOutput(model, id);
  const value = model.graphs[0].values.get(id) as Value;
  return withChain(opened.model, 'last', (chain, editor) => {
    if (kind === 'sigmoid') chain.add('Sigmoid', [opened.inner], { id });
    else if (kind === 'softmax') {
      // Before opset 13, Softmax flattens all axes from this one on.
      if (opsetOf(model) < 13 && axis !== shape.length - 1)
        throw new KerfError(
          'unsupported',
          `softmax over axis ${axis} needs opset 13; the model has ${opsetOf(model)}`,
        );
      chain.add('Softmax', [opened.inner], { id }, { axis: attr.int(axis) });
    } else {
      editor.setValue({ ...value, type: tensorType('int64', without(shape, axis)) });
      chain.add('ArgMax', [opened.inner], { id }, { axis: attr.int(axis), keepdims: attr.int(0) });
    }
  });
}

function appendedTflite(model: TfliteModel, id: string, shape: readonly Dim[], kind: string): TfliteModel {
  const axis = shape.length - 1;
  const opened = openOutput(model, id);
  const value = model.graphs[0].values.get(id) as Value;
  return withChain(opened.model, 'last', (chain, editor) => {
    if (kind === 'sigmoid') chain.add('LOGISTIC', [opened.inner], { id });
    else if (kind === 'softmax') chain.add('SOFTMAX', [opened.inner], { id }, { beta: attr.float(1) });
    else {
      editor.setValue({ ...value, type: tensorType('int32', without(shape, axis)) });
      const over = chain.constant('argmax_axis', intTensor('int32', [], [axis]));
      chain.add(
        'ARG_MAX',
        [opened.inner, over],
        { id },
        {
          output_type: { kind: 'enum', value: 2, name: 'INT32' },
        },
      );
    }
  });
}

function without(shape: readonly Dim[], axis: number): readonly Dim[] {
  return shape.filter((_, i) => i !== axis);
}
