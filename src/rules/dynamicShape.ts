import type { Rule } from './rule.ts';
import { onModel } from './support.ts';

export const dynamicShape: Rule = {
  id: 'dynamic-shape',
  severity: 'information',
  title: 'Dimensions are left open',
  manual: `Some dimensions of the inputs are not fixed. Costs are counted for size 1 unless another size is given. Most
microcontroller runtimes and NPUs compile for fixed shapes and refuse such a model, or run it slowly.

**Example.** An input \`[batch, 3, height, width]\`.

**Remedy.** Export the model with fixed shapes, or bind the dimensions when you inspect it (\`--bind batch=1\`).`,
  check({ analysis, device }) {
    if (analysis.freeDimensions.length === 0) return [];
    const names = analysis.freeDimensions.map((name) => `“${name}”`).join(', ');
    const rule =
      device?.staticShapes === true ? { id: dynamicShape.id, severity: 'warning' as const } : dynamicShape;
    const why = device?.staticShapes === true ? ` ${device.name} needs fixed shapes.` : '';
    return onModel(rule, `Dimensions are left open: ${names}.${why}`);
  },
};
