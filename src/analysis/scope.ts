import type { Graph, Node, ValueId } from '../ir/model.ts';
import type { Tensor } from '../ir/tensor.ts';
import type { Known } from '../ops/operator.ts';

/** What inference found in one graph, or in one call of a function or body. */
export interface Scope {
  readonly graph: Graph;
  readonly known: Map<ValueId, Known>;
  /** The enclosing scope, whose values the graph may read; functions and TFLite subgraphs have none. */
  readonly outer: Scope | undefined;
  readonly opsets: ReadonlyMap<string, number>;
  /** Scopes of the bodies and functions that each node of this graph runs. Equal calls share a scope. */
  readonly bodies: Map<Node, Map<Graph, Scope>>;
  readonly depth: number;
}

export function newScope(
  graph: Graph,
  opsets: ReadonlyMap<string, number>,
  outer?: Scope,
  depth = outer === undefined ? 0 : outer.depth + 1,
): Scope {
  return { graph, known: new Map(), outer, opsets, bodies: new Map(), depth };
}

/** What is known of a value, in this scope or an enclosing one. */
export function lookUp(scope: Scope, id: ValueId): Known | undefined {
  for (let at: Scope | undefined = scope; at !== undefined; at = at.outer) {
    const found = at.known.get(id);
    if (found !== undefined) return found;
  }
  return undefined;
}

export function addBody(scope: Scope, node: Node, body: Scope): void {
  const bodies = scope.bodies.get(node) ?? new Map<Graph, Scope>();
  bodies.set(body.graph, body);
  scope.bodies.set(node, bodies);
}

/** Scopes of what a node runs; none for ordinary operators. */
export function bodiesIn(scope: Scope, node: Node): readonly Scope[] {
  const bodies = scope.bodies.get(node);
  return bodies === undefined ? [] : [...bodies.values()];
}

/** These scopes and all that hang on them, outer before inner, each once however often it is called. */
export function* withNested(roots: readonly Scope[]): Generator<Scope> {
  const seen = new Set<Scope>(roots);
  const open = [...roots].reverse();
  for (let scope = open.pop(); scope !== undefined; scope = open.pop()) {
    yield scope;
    const inner = [...scope.bodies.values()].flatMap((bodies) => [...bodies.values()]);
    for (const body of inner.reverse()) {
      if (seen.has(body)) continue;
      seen.add(body);
      open.push(body);
    }
  }
}

/**
 * Calls of functions and subgraphs that were inferred already. A transformer's layer function runs once for all its
 * calls, and functions that call each other twice at every level do not take exponential time.
 */
export class CallMemory {
  readonly #calls = new Map<Graph, Map<string, Scope>>();
  readonly #tensors = new WeakMap<Tensor, number>();
  #count = 0;

  find(body: Graph, inputs: readonly Known[]): Scope | undefined {
    return this.#calls.get(body)?.get(this.#keyOf(inputs));
  }

  add(scope: Scope, inputs: readonly Known[]): void {
    const calls = this.#calls.get(scope.graph) ?? new Map<string, Scope>();
    calls.set(this.#keyOf(inputs), scope);
    this.#calls.set(scope.graph, calls);
  }

  #keyOf(inputs: readonly Known[]): string {
    return JSON.stringify(
      inputs.map((input) => [
        input.type,
        input.constant === undefined ? input.content : this.#idOf(input.constant),
        input.elements?.map((element) => element.type),
      ]),
    );
  }

  #idOf(tensor: Tensor): string {
    const id = this.#tensors.get(tensor) ?? (this.#count += 1);
    this.#tensors.set(tensor, id);
    return `constant ${id}`;
  }
}
