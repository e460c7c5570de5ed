import { indexOf } from '../ir/walk.ts';
import type { Graph, Node } from '../ir/model.ts';
import type { Tensor } from '../ir/tensor.ts';
import type { Rule } from './rule.ts';
import { foldFix, onLayers } from './support.ts';

const foldable = new Set(['Conv', 'ConvTranspose', 'Gemm']);

export const batchNormNotFolded: Rule = {
  id: 'batch-norm-not-folded',
  severity: 'warning',
  title: 'Batch normalization after a convolution is not folded',
  manual: `A BatchNormalization with constant statistics follows a convolution or product whose result nobody else reads. It
can be folded into the weights and disappears, with the same result up to rounding. Quantizing without folding costs accuracy.

**Example.** \`Conv → BatchNormalization → Relu\` as PyTorch exports it in training mode.

**Remedy.** Run \`fuse\`.`,
  check({ model }) {
    const graph = model.graphs[0];
    const layers = graph.nodes.filter((node) => isFoldable(node, graph)).map((node) => node.id);
    return onLayers(
      batchNormNotFolded,
      layers,
      (where) => `Batch normalization can be folded into the layer before it${where}.`,
      [foldFix(layers, 'batch normalization')],
    );
  },
};

/** Weights in a file that is missing cannot be folded into. */
function isThere(constant: Tensor | undefined): boolean {
  return constant !== undefined && constant.data.missing === undefined;
}

function isFoldable(node: Node, graph: Graph): boolean {
  if (node.op !== 'BatchNormalization') return false;
  const { producer, uses, isOutput } = indexOf(graph);
  const [input, ...statistics] = node.inputs;
  if (input === null || input === undefined || isOutput.has(input) || uses.get(input)?.length !== 1)
    return false;
  const before = producer.get(input);
  const constant = (id: string | null | undefined) =>
    id !== null && id !== undefined && isThere(graph.values.get(id)?.constant);
  return (
    before !== undefined &&
    foldable.has(before.op) &&
    constant(before.inputs[1]) &&
    statistics.slice(0, 4).every(constant)
  );
}
