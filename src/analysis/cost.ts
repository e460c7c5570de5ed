import { bodiesOf } from '../ir/attribute.ts';
import { byteSize } from '../ir/dtype.ts';
import type { Graph, Model, Node, ValueId } from '../ir/model.ts';
import type { ValueType } from '../ir/types.ts';
import { elementCount, formatShape } from '../ir/types.ts';
import type { OpCost } from '../ops/operator.ts';
import { operatorOf } from '../ops/registry.ts';
import type { Bound } from './bind.ts';
import { functionOf } from './functions.ts';
import { readsOf } from './order.ts';
import { costs } from './remembered.ts';
import type { LayerCost } from './report.ts';
import type { Scope } from './scope.ts';
import { bodiesIn, lookUp } from './scope.ts';
import { costContexts } from './types.ts';
import type { WeightLedger, WeightShare } from './weights.ts';
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
  readonly #contextOf: ReturnType<typeof costContexts>;
  readonly #bodies = new Map<Scope, OpCost>();

  constructor(model: Model, bound: Bound) {
    this.#model = model;
    this.#contextOf = costContexts(model, bound, (inner) => this.#bodyCost(inner));
  }

  /** Arithmetic of a node: its operator's rule, the sum of its function's body, or unknown. */
  costOf(node: Node, scope: Scope): OpCost {
    return this.priceOf(node, scope).cost;
  }

  /** The same, and whether the rule looked at nothing but the node and the types around it. */
  priceOf(node: Node, scope: Scope): { readonly cost: OpCost; readonly local: boolean } {
    if (functionOf(this.#model, node) !== undefined)
      return { cost: this.#functionCost(node, scope), local: false };
    const operator = operatorOf(this.#model, node);
    if (operator === undefined) {
      const formula = `unknown: ${node.op} is not described`;
      return { cost: { macs: undefined, otherOps: undefined, formula }, local: true };
    }
    if (operator.cost === undefined)
      return { cost: { macs: 0, otherOps: 0, formula: 'moves data only' }, local: true };
    const context = this.#contextOf(node, scope);
    const cost = operator.cost(context);
    return { cost, local: context.local };
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

/** The row of one node of a graph. */
export function layerCost(
  node: Node,
  scope: Scope,
  model: Model,
  tools: { readonly pricer: Pricer; readonly ledger: WeightLedger },
): LayerCost {
  const share = tools.ledger.shareOf(node, scope);
  const derived = constantValues(scope, model);
  const plain = bodiesIn(scope, node).length === 0 && bodiesOf(node).length === 0;
  const ground = {
    opsets: scope.opsets,
    inputs: node.inputs.map((id) => (id === null ? undefined : lookUp(scope, id))),
    outputs: node.outputs.map((id) => (id === null ? undefined : scope.known.get(id))),
    derived: [...node.inputs, ...node.outputs].map((id) => id !== null && derived.has(id)),
    params: share.params,
    weightBytes: share.bytes,
  };
  const former = plain ? costs.find(node, ground) : undefined;
  if (former !== undefined) return former;
  const { cost, local } = tools.pricer.priceOf(node, scope);
  const layer = rowOf(node, scope, { cost, share, derived, family: familyOf(node, model) });
  if (plain && local) costs.keep(node, ground, layer);
  return layer;
}

function familyOf(node: Node, model: Model): LayerCost['family'] {
  return operatorOf(model, node)?.family ?? 'other';
}

interface Priced {
  readonly cost: OpCost;
  readonly share: WeightShare;
  readonly derived: ReadonlySet<ValueId>;
  readonly family: LayerCost['family'];
}

function rowOf(node: Node, scope: Scope, { cost, share, derived, family }: Priced): LayerCost {
  const outputs = node.outputs.filter((id): id is ValueId => id !== null && id !== '');
  const types = outputs.map((id) => scope.known.get(id)?.type);
  return {
    id: node.id,
    name: node.name,
    op: node.op,
    family,
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
