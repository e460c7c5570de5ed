import { targetFor, targets } from '../../devices/targets/registry.ts';
import { KerfError } from '../../ir/errors.ts';
import { GraphEditor } from '../../ir/edit.ts';
import type { Model, Node, OnnxModel, ValueId } from '../../ir/model.ts';
import { withMainGraph } from '../../ir/model.ts';
import type { Calibrator, ObservedRange, OptionValues, Pass, PassContext, PassResult } from '../pass.ts';
import { quantizeStatic } from '../quantizeStatic/quantizeStatic.ts';
import { changedNodes, resultOf } from '../support/graph.ts';
import { readOptions } from '../support/options.ts';
import type { Encoder } from './strip.ts';
import { stripped } from './strip.ts';

/** Brings a quantized model, whoever made it, into the form for which a runtime has integer kernels. */
export const requantize: Pass = {
  id: 'requantize',
  title: 'Quantize again for a target',
  summary:
    'Takes a quantized ONNX model apart and quantizes it in the form its runtime has kernels for: types, results, Clip ranges, activations.',
  dialects: ['onnx'],
  refusal: 'TFLite models keep no float values to go back to: quantize the float model.',
  exact: false,
  calibration: 'required',
  mayBeSlower: true,
  options: [
    {
      name: 'target',
      title: 'What it will run on',
      type: 'choice',
      default: 'x86',
      choices: [
        ...new Set(
          targets
            .filter((target) => target.dialect === 'onnx')
            .flatMap((target) => [...(target.aliases ?? []), target.id]),
        ),
      ],
    },
  ],
  run: runRequantize,
};

async function runRequantize(model: Model, values: OptionValues, context: PassContext): Promise<PassResult> {
  const options = readOptions(requantize.options, values);
  const { calibrator } = context;
  if (model.dialect !== 'onnx') throw new KerfError('unsupported', requantize.refusal as string);
  if (calibrator === undefined)
    throw new KerfError('bad-dataset', 'requantize needs data for missing ranges');
  const target = targetFor(options.choice('target'), 'onnx').id;
  const float = stripped(model);
  if (float.model === model || float.ranges.size === 0) {
    throw new KerfError('unsupported', 'the model has no quantized activations to take apart');
  }
  const missing = new Set<ValueId>();
  const known = withRanges(calibrator, float.ranges, missing);
  const { layers: _, ...whole } = context;
  // The ranges are those of the channels as they are, and the weights stand on a grid already.
  const plain = { target, equalize: false, rounding: 'nearest' };
  const result = await quantizeStatic.run(float.model, plain, { ...whole, calibrator: known });
  const coded = withCodedOutputs(result.model as OnnxModel, model, float.codedOutputs);
  const notes = [...result.notes, `${float.ranges.size} ranges taken over from the model`];
  if (missing.size > 0) notes.push(`${missing.size} ranges observed, as the model had none for them`);
  return resultOf(model, coded, changedNodes(model.graphs[0], coded.graphs[0]), notes);
}

/** The model with those of its outputs in codes again that had been, under their names. */
function withCodedOutputs(
  model: OnnxModel,
  original: OnnxModel,
  encoders: ReadonlyMap<number, Encoder>,
): OnnxModel {
  if (encoders.size === 0) return model;
  const [graph] = model.graphs;
  const editor = new GraphEditor(graph, model);
  const outputs = graph.outputs.map((id, at) => {
    const encoder = encoders.get(at);
    const output = original.graphs[0].outputs[at];
    const value = output === undefined ? undefined : original.graphs[0].values.get(output);
    if (encoder === undefined || value === undefined) return id;
    const { node, scale, zero } = encoder;
    const inputs = [id, editor.addConstant(`${value.id}_scale`, scale)];
    if (zero !== undefined) inputs.push(editor.addConstant(`${value.id}_zero`, zero));
    editor.setValue(value);
    const last = graph.nodes[graph.nodes.length - 1] as Node;
    editor.insertAfter(last.id, [{ ...node, id: editor.freshNode(node.id), inputs, outputs: [value.id] }]);
    return value.id;
  });
  editor.setOutputs(outputs);
  return withMainGraph(model, editor.finish());
}

/** The calibrator, which is only asked for ranges that the model did not have. */
function withRanges(
  calibrator: Calibrator,
  known: ReadonlyMap<ValueId, ObservedRange>,
  missing: Set<ValueId>,
): Calibrator {
  return {
    ...calibrator,
    async ranges(model, values, momentum) {
      const rest = values.filter((id) => !known.has(id));
      for (const id of rest) missing.add(id);
      const observed = rest.length === 0 ? new Map() : await calibrator.ranges(model, rest, momentum);
      return new Map([...observed, ...values.flatMap((id) => entry(known, id))]);
    },
  };
}

function entry(known: ReadonlyMap<ValueId, ObservedRange>, id: ValueId): [ValueId, ObservedRange][] {
  const range = known.get(id);
  return range === undefined ? [] : [[id, range]];
}
