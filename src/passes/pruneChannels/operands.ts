import type { Model, Node } from '../../ir/model.ts';
import type { Operands } from '../../ops/flow/flow.ts';
import { factsOf } from '../support/facts.ts';
import { opsetOf } from '../support/graph.ts';

/** What flow rules may ask of a node's operands. */
export function operandsOf(model: Model, node: Node): Operands {
  const facts = factsOf(model);
  return {
    node,
    model,
    version: model.dialect === 'onnx' ? opsetOf(model) : (node.version ?? 1),
    shape: (id) => facts.typeOf(id)?.shape,
    numbers: (id) => {
      const found = facts.contentOf(id);
      return found?.every((each) => typeof each === 'number') ? (found as readonly number[]) : undefined;
    },
  };
}
