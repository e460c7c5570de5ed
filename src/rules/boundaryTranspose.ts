import { intsAttribute } from '../ir/attribute.ts';
import type { Graph, Model, Node, NodeId } from '../ir/model.ts';
import { feedsOf } from '../ir/model.ts';
import { readIntegers } from '../ir/numbers.ts';
import { readableConstant } from '../passes/support/constants.ts';
import { soleReader } from '../passes/support/graph.ts';
import type { Rule } from './rule.ts';
import { onLayers } from './support.ts';

const layouts = new Set(['0,2,3,1', '0,3,1,2']);

export const boundaryTranspose: Rule = {
  id: 'boundary-transpose',
  severity: 'information',
  title: 'The input has another layout than the layers want',
  manual: `The first thing the model does with an image is to move its channels: the file takes one layout (NCHW or NHWC) and computes in
the other. Cameras and decoders give interleaved channels (NHWC); when the application converts them for the model and the model
converts them back, the work is done twice.

**Example.** A TFLite model made from PyTorch, with a NCHW input and \`TRANSPOSE\` as its first operator.

**Remedy.** Export with the layout that the layers use, and let the application fill that.`,
  check({ model }) {
    const graph = model.graphs[0];
    const layers: NodeId[] = [];
    for (const { id } of feedsOf(graph)) {
      const reader = soleReader(graph, id);
      if (reader !== undefined && movesChannels(reader, graph, model)) layers.push(reader.id);
    }
    return onLayers(
      boundaryTranspose,
      layers,
      (where) => `The input is converted to another layout first${where}.`,
    );
  },
};

function movesChannels(node: Node, graph: Graph, model: Model): boolean {
  if (node.op === 'Transpose') return layouts.has(intsAttribute(node, 'perm')?.join() ?? '');
  if (node.op !== 'TRANSPOSE' || model.dialect !== 'tflite') return false;
  const order = readableConstant(graph, node.inputs[1]);
  return order !== undefined && layouts.has(readIntegers(order).join());
}
