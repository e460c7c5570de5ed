import type { Rule } from './rule.ts';
import { count, onModel } from './support.ts';
import { graphsOf } from '../ir/walk.ts';

export const missingWeights: Rule = {
  id: 'missing-weights',
  severity: 'error',
  title: 'Weights stand in a file that cannot be read',
  manual: `The model keeps some of its weights in another file (ONNX external data), and that file is missing, too short, or
outside of the model's folder. The graph can be looked at, but the model cannot run and its weights cannot be changed.

**Example.** \`model.onnx\` was copied without \`model.onnx.data\`.

**Remedy.** Put the file beside the model.`,
  check({ model }) {
    const byReason = new Map<string, number>();
    for (const graph of graphsOf(model)) {
      for (const { constant } of graph.values.values()) {
        const reason = constant?.data.missing;
        if (reason !== undefined) byReason.set(reason, (byReason.get(reason) ?? 0) + 1);
      }
    }
    return [...byReason].flatMap(([reason, weights]) =>
      onModel(missingWeights, `${count(weights, 'weight')} cannot be read: ${reason}.`),
    );
  },
};
