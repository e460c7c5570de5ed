import { byteSize } from '../ir/dtype.ts';
import type { Graph, Model, Node, ValueId } from '../ir/model.ts';
import type { ValueType } from '../ir/types.ts';
import { elementCount, formatShape } from '../ir/types.ts';
import type { OpCost } from '../ops/operator.ts';
import { operatorOf } from '../ops/registry.ts';
import type { Bound } from './bind.ts';
import { functionOf } from './functions.ts';
import { readsOf } from './order.ts';
import type { LayerCost } from './report.ts';
import type { Scope } from './scope.ts';
import { bodiesIn, lookUp } from './scope.ts';
import { costContext } from './types.ts';
import type { WeightLedger } from './weights.ts';
import { constantValues } from './weights.ts';

/** Bytes of a value of this type, or `undefined` when its size is not known. */
export function bytesOf(type: ValueType | undefined): number | undefined {
  if (type?.kind !== 'tensor') return undefined;
  const count = elementCount(type.shape);
  return count === undefined || !(count >= 0) ? undefined : byteSize(type.dtype, count);
}

/** Prices nodes of one analysis, each run of a body once. */
export class Pricer {
  readonly #model: Model;
  readonly #bound: Bound;
  readonly #bodies = new Map<Scope, OpCost>();

  constructor(model: Model, bound: Bound) {
    this.#model = model;
    this.#bound = bound;
  }

  /** Arithmetic of a node: its operator's rule, the sum of its function's body, or unknown. */
  costOf(node: Node, scope: Scope): OpCost {
    if (functionOf(this.#model, node) !== undefined) return this.#functionCost(node, scope);
    const operator = operatorOf(this.#model, node);
    if (operator === undefined) {
      return { macs: undefined, otherOps: undefined, formula: `unknown: ${node.op} is not described` };
    }
    if (operator.cost === undefined) return { macs: 0, otherOps: 0, formula: 'moves data only' };
    return operator.cost(
      costContext(node, scope, this.#model, this.#bound, (inner) => this.#bodyCost(inner)),
    );
  }

  #functionCost(node: Node, scope: Scope): OpCost {
    const [body] = bodiesIn(scope, node);
    if (body === undefined) {
      return { macs: undefined, otherOps: undefined, formula: 'unknown: the function was not analysed' };
    }
    return { ...this.#bodyCost(body), formula: `body of function ${node.op}` };
  }

  #bodyCost(scope: Scope): OpCost {
    const former = this.#bodies.get(scope);
    if (former !== undefined) return former;
    const costs = scope.graph.nodes.map((node) => this.costOf(node, scope));
    const sum: OpCost = {
      macs: total(costs.map((cost) => cost.macs)),
      otherOps: total(costs.map((cost) => cost.otherOps)),
      formula: `sum of ${costs.length} layers`,
    };
    this.#bodies.set(scope, sum);
    return sum;
  }
}

/** The sum, or `undefined` as soon as one term is unknown. */
export function total(terms: readonly (number | undefined)[]): number | undefined {
  let sum = 0;
  for (const term of terms) {
    if (term === undefined) return undefined;
    sum += term;
  }
  return sum;
}

/** The row of one node of the main graph. */
export function layerCost(
  node: Node,
  scope: Scope,
  model: Model,
  tools: { readonly pricer: Pricer; readonly ledger: WeightLedger },
): LayerCost {
  const cost = tools.pricer.costOf(node, scope);
  const share = tools.ledger.shareOf(node, scope);
  const outputs = node.outputs.filter((id): id is ValueId => id !== null && id !== '');
  const types = outputs.map((id) => scope.known.get(id)?.type);
  const derived = constantValues(scope, model);
  return {
    id: node.id,
    name: node.name,
    op: node.op,
    family: operatorOf(model, node)?.family ?? 'other',
    params: share.params,
    weightBytes: share.bytes,
    macs: cost.macs,
    flops: cost.macs === undefined || cost.otherOps === undefined ? undefined : 2 * cost.macs + cost.otherOps,
    activationBytes: total(outputs.map((id, index) => (derived.has(id) ? 0 : bytesOf(types[index])))),
    inputBytes: total(
      activationsRead(node, scope.graph, derived).map((id) => bytesOf(lookUp(scope, id)?.type)),
    ),
    outputShapes: types.map(shapeText),
    outputTypes: types.map(typeText),
    formula: cost.formula,
  };
}

/** Values a node reads that are neither constants nor derived from them, each once. */
function activationsRead(node: Node, graph: Graph, derived: ReadonlySet<ValueId>): readonly ValueId[] {
  const reads = readsOf(node).filter((id) => id !== '' && !derived.has(id));
  return reads.length < 2
    ? reads
    : [...new Set(reads)].filter((id) => graph.values.get(id)?.constant === undefined);
}

function shapeText(type: ValueType | undefined): string {
  if (type === undefined) return 'unknown';
  if (type.kind === 'tensor' || type.kind === 'sparse') return formatShape(type.shape);
  return type.kind;
}

/** "float32", "sequence(float32)". */
export function typeText(type: ValueType | undefined): string {
  if (type === undefined) return 'unknown';
  switch (type.kind) {
    case 'tensor':
      return type.dtype;
    case 'sparse':
      return `sparse ${type.dtype}`;
    case 'sequence':
    case 'optional':
      return `${type.kind}(${typeText(type.element)})`;
    case 'map':
      return `map(${type.key}, ${typeText(type.value)})`;
    default:
      return `${type.domain}.${type.name}`;
  }
}
