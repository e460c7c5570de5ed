import type { Model, Node, ValueId } from '../ir/model.ts';
import type { ValueType } from '../ir/types.ts';
import { indexOf } from '../ir/walk.ts';
import { operatorOf } from '../ops/registry.ts';
import { compiledFor } from '../ops/tflite/custom.ts';
import { functionOf } from './functions.ts';
import { executionOrder, readsOf } from './order.ts';
import type { Unresolved } from './report.ts';
import type { Scope } from './scope.ts';
import { lookUp, withNested } from './scope.ts';
import type { Inference } from './types.ts';

/** A symbolic dimension counts as resolved: it has a name that can be bound. */
function isResolved(type: ValueType | undefined): boolean {
  if (type === undefined) return false;
  if (type.kind !== 'tensor' && type.kind !== 'sparse') return true;
  return type.shape !== undefined && !type.shape.includes(null);
}

/** Values without a known shape, and operators nobody described, in execution order; nested bodies follow the graph they hang on. */
export function findUnresolved(
  inference: Inference,
  model: Model,
  free: ReadonlySet<string>,
): readonly Unresolved[] {
  const found = new Map<string, Unresolved>();
  for (const scope of withNested([inference.main, ...inference.others])) {
    const { nodes, cyclic } = executionOrder(scope.graph);
    const onCycle = new Set(cyclic);
    for (const node of [...nodes, ...cyclic]) {
      for (const each of unresolvedOf(node, scope, { model, free, cyclic: onCycle.has(node) })) {
        found.set(`${each.layer}\n${each.value}`, each);
      }
    }
  }
  return [...found.values()];
}

interface Situation {
  readonly model: Model;
  readonly free: ReadonlySet<string>;
  readonly cyclic: boolean;
}

function unresolvedOf(node: Node, scope: Scope, situation: Situation): readonly Unresolved[] {
  const { model } = situation;
  const described = operatorOf(model, node) !== undefined || functionOf(model, node) !== undefined;
  const outputs = node.outputs.filter((id): id is ValueId => id !== null && id !== '');
  return outputs.flatMap((value) => {
    if (described && isResolved(scope.known.get(value)?.type)) return [];
    return [{ layer: node.id, op: node.op, value, reason: reasonOf(node, scope, described, situation) }];
  });
}

function reasonOf(node: Node, scope: Scope, described: boolean, { free, cyclic }: Situation): string {
  if (!described) {
    const chip = node.domain === 'custom' ? compiledFor[node.op] : undefined;
    if (chip !== undefined) return `compiled for ${chip}: what it computes is not in the file`;
    return node.domain === ''
      ? `operator ${node.op} is not described`
      : `operator ${node.domain}.${node.op} is not described`;
  }
  if (cyclic) return 'the layer sits on a cycle, or behind one';
  const reads = readsOf(node).filter((id) => id !== '');
  const dangling = reads.find((id) => !isMentioned(scope, id));
  if (dangling !== undefined) return `reads "${dangling}", which nothing produces`;
  const source = reads.find((id) => !isResolved(lookUp(scope, id)?.type));
  if (source !== undefined) return `follows from "${source}"`;
  if (free.size > 0) return `the shape depends on data or on the free dimension ${[...free].join(', ')}`;
  return 'the shape depends on data';
}

function isMentioned(scope: Scope, id: ValueId): boolean {
  for (let at: Scope | undefined = scope; at !== undefined; at = at.outer) {
    if (at.known.has(id) || at.graph.inputs.includes(id) || indexOf(at.graph).producer.has(id)) return true;
  }
  return false;
}
