import type { Model, Node } from '../../ir/model.ts';
import { withMainGraph } from '../../ir/model.ts';
import { operatorOf } from '../../ops/registry.ts';
import type { OptionValues, Pass, PassContext, PassResult } from '../pass.ts';
import { factsOf } from '../support/facts.ts';
import { changedNodes, resultOf, withoutConstantInputs } from '../support/graph.ts';
import { readOptions } from '../support/options.ts';
import { computeHalves } from './compute.ts';
import { storeHalves } from './storage.ts';

/** Half precision: weights half as large. */
export const fp16: Pass = {
  id: 'fp16',
  title: 'Convert to float16',
  summary: 'Stores weights in float16, half as large; the model still takes and gives float32.',
  dialects: ['onnx', 'tflite'],
  exact: false,
  calibration: 'none',
  mayBeSlower: true,
  options: [
    {
      name: 'mode',
      title:
        'storage: weights only, as fast as before; compute: the whole ONNX graph, for processors with float16',
      type: 'choice',
      default: 'storage',
      choices: ['storage', 'compute'],
    },
  ],
  appliesTo: (node, model) => (operatorOf(model, node)?.weights?.(node, model) ?? []).length > 0,
  run: runFp16,
};

async function runFp16(model: Model, values: OptionValues, context: PassContext): Promise<PassResult> {
  const options = readOptions(fp16.options, values);
  await context.step(0, 'converting weights');
  const allowed = (node: Node) => context.layers === undefined || context.layers.has(node.id);
  const start: Model = model.dialect === 'onnx' ? withoutConstantInputs(model) : model;
  const notes: string[] = [];
  const clampedNote = (clamped: number) => {
    if (clamped > 0) notes.push(`${clamped} weights beyond ±65504 were clamped`);
  };
  if (options.choice('mode') === 'compute' && start.dialect === 'onnx') {
    const { graph, clamped, left } = computeHalves(start, factsOf(start), allowed);
    clampedNote(clamped);
    const list = [...left].map(([op, count]) => `${count} ${op}`).join(', ');
    if (list !== '') notes.push(`kept in float32: ${list}`);
    notes.push(
      'ONNX Runtime on CPU computes most of this in float32 between casts, which is slower than storage',
    );
    return finished(model, start, graph, notes);
  }
  if (options.choice('mode') === 'compute') {
    notes.push('TFLite kernels compute in float32 or let the delegate choose: stored as float16 instead');
  }
  const { graph, stored, clamped } = storeHalves(start, allowed);
  clampedNote(clamped);
  notes.push(stored === 0 ? 'no float32 weight is large enough' : `${stored} weights stored as float16`);
  return finished(model, start, graph, notes);
}

function finished(
  model: Model,
  start: Model,
  graph: Model['graphs'][0],
  notes: readonly string[],
): PassResult {
  if (graph === start.graphs[0]) return resultOf(model, model, [], notes);
  return resultOf(model, withMainGraph(start, graph), changedNodes(model.graphs[0], graph), notes);
}
