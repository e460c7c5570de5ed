import { affineChains } from '../passes/fuse/foldAffine.ts';
import type { Rule } from './rule.ts';
import { viewOf } from './places.ts';
import { foldFix, onLayers } from './support.ts';

export const affineNotFolded: Rule = {
  id: 'affine-not-folded',
  severity: 'warning',
  title: 'A constant Mul or Add after a convolution is not folded',
  manual: `A multiplication or addition with constants per channel follows a convolution or product whose result nobody else reads. It
can be folded into weights and bias and disappears, with the same result up to rounding. Left alone it is another pass over the
tensor, and an operator that quantized kernels do not fuse.

**Example.** \`MatMul → Add(bias)\`; a normalization exported as \`Mul → Add\`.

**Remedy.** Run \`fuse\`.`,
  check({ model }) {
    const { graph, facts } = viewOf(model);
    const layers = affineChains(model, graph, facts)
      .flatMap(({ nodes }) => nodes)
      // Batch normalizations are reported by name.
      .filter((node) => node.op !== 'BatchNormalization')
      .map((node) => node.id);
    return onLayers(
      affineNotFolded,
      layers,
      (where) => `This arithmetic can be folded into the layer before it${where}.`,
      [foldFix(layers, 'constant operation')],
    );
  },
};
