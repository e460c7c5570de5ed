import { GraphEditor } from '../ir/edit.ts';
import { fuseActivations } from '../passes/fuse/activations.ts';
import type { Rule } from './rule.ts';
import { count, onLayers } from './support.ts';

export const activationNotFused: Rule = {
  id: 'activation-not-fused',
  severity: 'warning',
  title: 'An activation that the operator before it could apply',
  manual: `RELU, RELU6 or RELU_N1_TO_1 follows an operator that can apply it itself, in the same kernel. As an operator of its own it
reads and writes the whole tensor once more and takes another buffer of the arena.

**Example.** \`CONV_2D → RELU6\` instead of CONV_2D with \`fused_activation_function = RELU6\`.

**Remedy.** Run \`fuse\`.`,
  check({ model }) {
    if (model.dialect !== 'tflite') return [];
    const graph = model.graphs[0];
    const editor = new GraphEditor(graph, model);
    fuseActivations(graph, editor, () => true);
    const kept = new Set(editor.finish().nodes.map((node) => node.id));
    const gone = graph.nodes.filter((node) => !kept.has(node.id)).map((node) => node.id);
    const title = `Fuse ${count(gone.length, 'activation')}: ${count(gone.length, 'layer')} less, same result`;
    return onLayers(
      activationNotFused,
      gone,
      (where) => `The operator before can apply this activation itself${where}.`,
      [{ pass: 'fuse', options: {}, title }],
    );
  },
};
