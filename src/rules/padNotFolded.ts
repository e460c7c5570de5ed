import { GraphEditor } from '../ir/edit.ts';
import { foldPads } from '../passes/fuse/pads.ts';
import type { Rule } from './rule.ts';
import { viewOf } from './places.ts';
import { foldFix, onLayers } from './support.ts';

export const padNotFolded: Rule = {
  id: 'pad-not-folded',
  severity: 'warning',
  title: 'Zero padding that the convolution could do itself',
  manual: `A Pad of zeros stands before a convolution and nobody else reads its result. The convolution has padding of its own; the Pad
copies the whole tensor, and quantized kernels do not fuse across it.

**Example.** \`Pad(1) → Conv 3×3\` as TensorFlow models with explicit padding are converted.

**Remedy.** Run \`fuse\`.`,
  check({ model }) {
    if (model.dialect !== 'onnx') return [];
    const { graph, facts } = viewOf(model);
    if (!graph.nodes.some((node) => node.op === 'Pad')) return [];
    const editor = new GraphEditor(graph, model);
    foldPads(graph, facts, editor, () => true);
    const kept = new Set(editor.finish().nodes.map((node) => node.id));
    const gone = graph.nodes.filter((node) => !kept.has(node.id)).map((node) => node.id);
    return onLayers(padNotFolded, gone, (where) => `The convolution behind can pad by itself${where}.`, [
      foldFix(gone, 'padding'),
    ]);
  },
};
