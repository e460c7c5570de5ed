import type { Model } from '../../ir/model.ts';
import { graphsOf } from '../../ir/walk.ts';
import { operatorOf } from '../../ops/registry.ts';

/** Names the layers with weights inside of If, Loop and functions, which quantizing passes leave alone; empty without any. */
export function bodyNotes(model: Model): readonly string[] {
  const [, ...bodies] = graphsOf(model);
  const inside = new Map<string, number>();
  // A Gather mostly picks from shapes.
  for (const body of bodies)
    for (const node of body.nodes)
      if (node.op !== 'Gather' && operatorOf(model, node)?.weights !== undefined)
        inside.set(node.op, (inside.get(node.op) ?? 0) + 1);
  if (inside.size === 0) return [];
  const list = [...inside].map(([op, count]) => `${count} ${op}`).join(', ');
  return [`left in float inside of If, Loop or functions, which passes do not enter: ${list}`];
}
