import { feedsOf } from '../ir/model.ts';
import type { Rule } from './rule.ts';
import { passFix } from './fixes.ts';
import { typeIn } from './places.ts';
import { onModel } from './support.ts';

/** Rank from which the first dimension is a batch: images and sequences of vectors. */
const imageRank = 4;

export const fixedBatch: Rule = {
  id: 'fixed-batch',
  severity: 'information',
  title: 'The batch is fixed to more than one',
  manual: `The model takes several images at once and no other number of them. On a device that sees one input at a time all but one
slot are wasted: time and activation memory are those of the whole batch, and accelerators often want a batch of 1.

**Example.** An input \`float32[32,3,224,224]\` exported with the batch of the training loop.

**Remedy.** Run \`set-shape\` with \`batch=1\`, or export with a batch of 1.`,
  check(context) {
    const graph = context.model.graphs[0];
    const feeds = feedsOf(graph).map((value) => typeIn(context, graph, value.id)?.shape ?? []);
    const images = feeds.filter((shape) => shape.length === imageRank);
    const [batch] = images[0] ?? [];
    if (typeof batch !== 'number' || batch <= 1 || !images.every((shape) => shape[0] === batch)) return [];
    const rule = context.device?.staticShapes === true ? 'warning' : fixedBatch.severity;
    const macs = context.analysis.totals.macs;
    const gain = macs === undefined ? {} : { gain: { macs: macs * (1 - 1 / batch) } };
    return onModel(
      { id: fixedBatch.id, severity: rule },
      `The model takes ${batch} inputs at once and no other number of them.`,
      passFix(context, 'set-shape', { title: 'Change the batch to 1', options: { batch: '1' }, ...gain }),
    );
  },
};
