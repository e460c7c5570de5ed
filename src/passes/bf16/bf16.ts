import { KerfError } from '../../ir/errors.ts';
import type { Model, Node } from '../../ir/model.ts';
import { withMainGraph } from '../../ir/model.ts';
import { operatorOf } from '../../ops/registry.ts';
import { storeHalves } from '../fp16/storage.ts';
import type { OptionValues, Pass, PassContext, PassResult } from '../pass.ts';
import { changedNodes, opsetOf, resultOf, withoutConstantInputs } from '../support/graph.ts';
import { readOptions } from '../support/options.ts';
import { raisedOpset, raiseOpset } from '../support/opset.ts';

/** Weights in bfloat16: the range of float32, with 8 bits of precision. */
export const bf16: Pass = {
  id: 'bf16',
  title: 'Store weights in bfloat16',
  summary: 'Weights half as large with the range of float32, converted back while the model is loaded.',
  dialects: ['onnx'],
  refusal: 'LiteRT does not convert bfloat16 weights: use fp16',
  exact: false,
  calibration: 'none',
  options: [],
  appliesTo: (node, model) => (operatorOf(model, node)?.weights?.(node, model) ?? []).length > 0,
  run: runBf16,
};

async function runBf16(model: Model, values: OptionValues, context: PassContext): Promise<PassResult> {
  readOptions(bf16.options, values);
  if (model.dialect !== 'onnx') throw new KerfError('unsupported', bf16.refusal as string);
  await context.step(0, 'converting weights');
  const raised = raiseOpset(withoutConstantInputs(model));
  if ('refusal' in raised)
    throw new KerfError('unsupported', `opset ${raisedOpset} is needed: ${raised.refusal}`);
  const allowed = (node: Node) => context.layers === undefined || context.layers.has(node.id);
  const { graph, stored } = storeHalves(raised.model, allowed, 'bfloat16');
  if (stored === 0) return resultOf(model, model, [], ['no float32 weight is large enough']);
  const notes = [`${stored} weights stored as bfloat16`];
  if (opsetOf(model) < opsetOf(raised.model))
    notes.push(`opset ${opsetOf(model)} raised to ${opsetOf(raised.model)}`);
  return resultOf(model, withMainGraph(raised.model, graph), changedNodes(model.graphs[0], graph), notes);
}
