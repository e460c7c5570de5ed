import type { NodeId } from '../ir/model.ts';
import type { Rule } from './rule.ts';
import { onLayers } from './support.ts';

const consequence = 'Shapes and costs are unknown because those of an earlier layer are';

export const unresolvedOperator: Rule = {
  id: 'unresolved-operator',
  severity: 'information',
  title: 'The cost of an operator is unknown',
  manual: `The shapes or the arithmetic of these layers could not be worked out: the operator is custom, the shape depends on
data, or the file is damaged. Totals that would include them are shown as unknown instead of too small.

**Example.** A custom operator that a delegate registers at run time.

**Remedy.** Bind the free dimensions if there are any. Custom operators stay unknown; the rest of the model is not affected.`,
  check({ analysis }) {
    const byReason = new Map<string, Set<NodeId>>();
    for (const { layer, op, reason } of analysis.unresolved) {
      const key = reason.startsWith('follows from') ? consequence : `${op}: ${reason}`;
      const layers = byReason.get(key) ?? new Set<NodeId>();
      layers.add(layer);
      byReason.set(key, layers);
    }
    return [...byReason].flatMap(([key, layers]) =>
      onLayers(unresolvedOperator, [...layers], (where) => `${key}${where}.`),
    );
  },
};
