import { feedsOf } from '../ir/model.ts';
import { passFix } from './fixes.ts';
import type { Fix, Rule, RuleContext } from './rule.ts';
import { onModel } from './support.ts';

/** The batch is what everyone binds to 1; other dimensions are the person's choice. */
function batchFix(context: RuleContext): readonly Fix[] {
  const { analysis, model } = context;
  const open = new Set(analysis.freeDimensions);
  const graph = model.graphs[0];
  const batches = feedsOf(graph).map(({ type }) => (type?.kind === 'tensor' ? type.shape?.[0] : undefined));
  const [batch] = batches;
  const bound = typeof batch === 'string' && open.has(batch) && batches.every((each) => each === batch);
  if (!bound || !/^(n|b|batch|batch_?size|unk__\d+)$/i.test(batch)) return [];
  return passFix(context, 'set-shape', { title: `Fix the batch “${batch}” to 1`, options: { batch: '1' } });
}

export const dynamicShape: Rule = {
  id: 'dynamic-shape',
  severity: 'information',
  title: 'Dimensions are left open',
  manual: `Some dimensions of the inputs are not fixed. Costs are counted for size 1 unless another size is given. Most
microcontroller runtimes and NPUs compile for fixed shapes and refuse such a model, or run it slowly.

**Example.** An input \`[batch, 3, height, width]\`.

**Remedy.** Run \`set-shape\`. Export the model with fixed shapes, or bind the dimensions when you inspect it (\`--bind batch=1\`).`,
  check(context) {
    const { analysis, device } = context;
    if (analysis.freeDimensions.length === 0) return [];
    const names = analysis.freeDimensions.map((name) => `“${name}”`).join(', ');
    const rule =
      device?.staticShapes === true ? { id: dynamicShape.id, severity: 'warning' as const } : dynamicShape;
    const why = device?.staticShapes === true ? ` ${device.name} needs fixed shapes.` : '';
    return onModel(rule, `Dimensions are left open: ${names}.${why}`, batchFix(context));
  },
};
