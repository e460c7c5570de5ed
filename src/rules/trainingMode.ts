import { intAttribute } from '../ir/attribute.ts';
import type { Graph, Node } from '../ir/model.ts';
import { readFloats, readIntegers } from '../ir/numbers.ts';
import { readableConstant } from '../passes/support/constants.ts';
import type { Rule } from './rule.ts';
import { layersWhere } from './places.ts';
import { onLayers } from './support.ts';

export const trainingMode: Rule = {
  id: 'training-mode',
  severity: 'warning',
  title: 'A layer still works as in training',
  manual: `A batch normalization takes its statistics from the batch instead of those it learned, or a dropout still drops. Results
then depend on what else is in the batch, cannot be folded, and are worse than in evaluation.

**Example.** A PyTorch model exported without \`model.eval()\`.

**Remedy.** Export the model in evaluation mode.`,
  check({ model }) {
    if (model.dialect !== 'onnx') return [];
    const opset = model.opsets.get('') ?? 0;
    return onLayers(
      trainingMode,
      layersWhere(model, ({ node, graph }) => isTraining(node, graph, opset)),
      (where) => `The layer works in training mode${where}.`,
    );
  },
};

function isTraining(node: Node, graph: Graph, opset: number): boolean {
  if (node.domain !== '') return false;
  if (node.op === 'BatchNormalization') {
    const statistics = node.outputs.slice(1).some((id) => id !== null && id !== '');
    return intAttribute(node, 'training_mode', 0) === 1 || (opset < 14 && statistics);
  }
  if (node.op !== 'Dropout' || opset < 12) return false;
  const ratio = readableConstant(graph, node.inputs[1]);
  // Exporters leave the flag on where nothing is dropped anyway.
  if (ratio !== undefined && readFloats(ratio)[0] === 0) return false;
  const mode = readableConstant(graph, node.inputs[2]);
  return mode !== undefined && readIntegers(mode)[0] === 1;
}
