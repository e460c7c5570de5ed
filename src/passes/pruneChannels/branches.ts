import { analyse } from '../../analysis/analyse.ts';
import { intAttribute } from '../../ir/attribute.ts';
import { isFloat } from '../../ir/dtype.ts';
import { GraphEditor } from '../../ir/edit.ts';
import type { Model, Node, NodeId, ValueId } from '../../ir/model.ts';
import { withMainGraph } from '../../ir/model.ts';
import { formatShape } from '../../ir/types.ts';
import { indexOf } from '../../ir/walk.ts';
import { withoutDeadCode } from '../simplify/deadCode.ts';
import { constantOf, isBuiltin } from '../support/constants.ts';
import { factsOf } from '../support/facts.ts';

/** One of the two sides of a residual sum: without it the sum is what the other side gives. */
export interface Branch {
  readonly sum: NodeId;
  readonly keeps: ValueId;
  /** Layers that are there for this side only. */
  readonly layers: ReadonlySet<NodeId>;
  readonly macs: number;
}

/** Most branches that are tried, those with most arithmetic first. */
const mostBranches = 32;

/** Sides of sums that could go: something is computed for them alone, and the other side has the sum's shape. */
export function branchesOf(model: Model): readonly Branch[] {
  const costs = new Map(analyse(model).layers.map(({ id, macs }) => [id, macs ?? 0]));
  return model.graphs[0].nodes
    .flatMap((node) => branchesAt(model, node, costs))
    .sort((a, b) => b.macs - a.macs)
    .slice(0, mostBranches);
}

function branchesAt(model: Model, node: Node, costs: ReadonlyMap<NodeId, number>): readonly Branch[] {
  const [graph] = model.graphs;
  const facts = factsOf(model);
  const [a, b] = node.inputs;
  const [y] = node.outputs;
  const sums = (node.op === 'Add' && isBuiltin(node)) || node.op === 'ADD';
  if (activationOf(node) === null) return [];
  if (!sums || a == null || b == null || y == null || a === b) return [];
  if (indexOf(graph).isOutput.has(y) || [a, b].some((id) => constantOf(graph, id) !== undefined)) return [];
  return [a, b].flatMap((keeps) => {
    const [kept, sum] = [facts.typeOf(keeps), facts.typeOf(y)];
    if (kept === undefined || !isFloat(kept.dtype) || kept.shape === undefined) return [];
    if (formatShape(kept.shape) !== formatShape(sum?.shape)) return [];
    const left = new Set(
      withoutBranches(model, [{ sum: node.id, keeps }]).graphs[0].nodes.map(({ id }) => id),
    );
    const layers = new Set(graph.nodes.flatMap(({ id }) => (left.has(id) || id === node.id ? [] : [id])));
    const macs = [...layers].reduce((total, id) => total + (costs.get(id) ?? 0), 0);
    return macs > 0 ? [{ sum: node.id, keeps, layers, macs }] : [];
  });
}

/** TFLite ActivationFunctionType: what may be left of a sum. */
const activations: readonly (string | undefined)[] = [undefined, 'RELU', 'RELU_N1_TO_1', 'RELU6'];

/** The operator that a sum applies to its result; `undefined` when none, null when there is no such operator. */
function activationOf(node: Node): string | undefined | null {
  const code = intAttribute(node, 'fused_activation_function', 0);
  return code < activations.length ? activations[code] : null;
}

/** The model without these branches and without what was computed for them alone. */
export function withoutBranches<M extends Model>(
  model: M,
  sides: readonly Pick<Branch, 'sum' | 'keeps'>[],
): M {
  const [graph] = model.graphs;
  const editor = new GraphEditor(graph, model);
  for (const { sum, keeps } of sides) {
    const node = indexOf(graph).node.get(sum) as Node;
    const activation = activationOf(node);
    if (activation != null)
      editor.replaceNode(sum, [{ ...node, op: activation, inputs: [keeps], attributes: new Map() }]);
    else {
      editor.removeNode(sum);
      editor.replaceUses(node.outputs[0] as ValueId, keeps);
    }
  }
  return withMainGraph(
    model,
    withoutDeadCode(model, editor.finish(), () => true),
  ) as M;
}
