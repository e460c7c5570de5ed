import type { Graph, Model, Node, Value, ValueId } from '../ir/model.ts';
import type { Shape, ValueType } from '../ir/types.ts';
import { indexOf } from '../ir/walk.ts';
import { knownConstant, shapeOf } from '../ops/known.ts';
import type { CostContext, Known, OpCost } from '../ops/operator.ts';
import { operatorOf, sameDomain } from '../ops/registry.ts';
import type { Bound } from './bind.ts';
import { functionOf, instantiate, storedBody } from './functions.ts';
import { executionOrder } from './order.ts';
import { type InferredOutputs, inferences } from './remembered.ts';
import type { Scope } from './scope.ts';
import { addBody, CallMemory, lookUp, newScope, withNested } from './scope.ts';
import { sane, settle } from './settle.ts';

const nothing: Known = {};
const noOpsets: ReadonlyMap<string, number> = new Map();

/** Bodies inside bodies, and functions calling functions, are followed this deep. */
const deepest = 48;
/**
 * Node inferences in bodies and functions of one analysis: hostile functions that call each other twice at every level
 * stop here. The main graph's own nodes do not count.
 */
const mostNestedSteps = 200_000;

/** State shared by all scopes of one analysis. */
interface Run {
  readonly model: Model;
  readonly bound: Bound;
  nestedSteps: number;
  readonly calls: CallMemory;
}

export interface Inference {
  readonly main: Scope;
  /** Called TFLite subgraphs and never-called ones alike, by graph. */
  readonly others: readonly Scope[];
}

const kept = new WeakMap<Model, Map<string, Inference>>();

/**
 * Infers element types and shapes of every value. Never throws on damaged graphs: what cannot be said is absent. Made
 * once per model and binding.
 */
export function inferTypes(model: Model, bound: Bound, resizes: ReadonlyMap<string, Shape>): Inference {
  const key = JSON.stringify([bound.key, [...bound.inputs], [...resizes]]);
  const known = kept.get(model) ?? new Map<string, Inference>();
  kept.set(model, known);
  const inference = known.get(key) ?? infer(model, bound, resizes);
  known.set(key, inference);
  return inference;
}

function infer(model: Model, bound: Bound, resizes: ReadonlyMap<string, Shape>): Inference {
  const run: Run = { model, bound, nestedSteps: 0, calls: new CallMemory() };
  const opsets = model.dialect === 'onnx' ? model.opsets : noOpsets;
  const main = newScope(model.graphs[0], opsets);
  for (const id of main.graph.inputs) {
    const shape = resizes.get(id) ?? bound.inputs.get(id);
    const declared = main.graph.values.get(id);
    if (declared?.constant !== undefined) continue;
    const type = declared?.type && bound.apply(declared.type);
    const fits = type?.kind === 'tensor' && shape !== undefined;
    if (type !== undefined) main.known.set(id, { type: fits ? { ...type, shape } : type });
  }
  inferScope(main, run);
  const reached = new Set<Graph>([...withNested([main])].map((scope) => scope.graph));
  const others: Scope[] = [];
  for (const graph of model.graphs.slice(1)) {
    if (reached.has(graph)) continue;
    const scope = newScope(graph, opsets);
    declareInputs(scope, [], run);
    inferScope(scope, run);
    for (const each of withNested([scope])) reached.add(each.graph);
    others.push(scope);
  }
  return { main, others };
}

function inferScope(scope: Scope, run: Run): void {
  for (const [id, value] of scope.graph.values) {
    if (value.constant !== undefined) scope.known.set(id, knownConstant(value.constant));
    else if (value.type !== undefined && existsBefore(value, scope.graph, run.model)) {
      scope.known.set(id, { type: run.bound.apply(value.type) });
    }
  }
  const { nodes, cyclic } = executionOrder(scope.graph);
  for (const node of nodes) inferNode(node, scope, run);
  for (const node of cyclic) inferNode(node, scope, run);
}

function inferNode(node: Node, scope: Scope, run: Run): void {
  if (scope.depth > 0) run.nestedSteps += 1;
  const context = new NodeContext(node, scope, run);
  const settled = exhausted(scope, run)
    ? settledOutputs(node, [], context, run)
    : rememberedOutputs(node, context, scope, run);
  for (let index = 0; index < settled.length; index += 1) {
    const known = settled[index];
    if (known !== undefined) scope.known.set(node.outputs[index] as ValueId, known);
  }
}

/** What a former analysis made of the node, when nothing that it looked at has changed; made now otherwise. */
function rememberedOutputs(node: Node, context: NodeContext, scope: Scope, run: Run): InferredOutputs {
  const ground = {
    opsets: scope.opsets,
    bound: run.bound.key,
    inputs: node.inputs.map((_, index) => context.input(index)),
    declared: node.outputs.map((_, index) => context.declared(index)),
  };
  // What a call of a function gives depends on the function, which is the model's.
  const calls = functionOf(run.model, node) !== undefined;
  const former = calls ? undefined : inferences.find(node, ground);
  if (former !== undefined) return former;
  const settled = settledOutputs(node, resultsOf(node, scope, run, context), context, run);
  if (!calls && context.local) inferences.keep(node, ground, settled);
  return settled;
}

function settledOutputs(
  node: Node,
  results: readonly Known[],
  context: NodeContext,
  run: Run,
): InferredOutputs {
  return node.outputs.map((id, index) => {
    if (id === null || id === '') return undefined;
    const settled = settle(sane(results[index] ?? nothing), context.declared(index), run.bound);
    return settled.type === undefined ? undefined : settled;
  });
}

/** TFLite variables, and working memory that operators read though nothing produces it, have their declared type. */
function existsBefore(value: Value, graph: Graph, model: Model): boolean {
  if (value.variable === true) return true;
  return (
    model.dialect === 'tflite' && !indexOf(graph).producer.has(value.id) && !graph.inputs.includes(value.id)
  );
}

function exhausted(scope: Scope, run: Run): boolean {
  return scope.depth > 0 && run.nestedSteps > mostNestedSteps;
}

function resultsOf(node: Node, scope: Scope, run: Run, context: NodeContext): readonly Known[] {
  const def = functionOf(run.model, node);
  if (def !== undefined) {
    const inputs = node.inputs.map((_, index) => context.input(index));
    return inferNested(node, instantiate(def, node), inputs, {
      scope,
      run,
      opsets: def.opsets,
      sealed: true,
    });
  }
  return operatorOf(run.model, node)?.infer(context) ?? [];
}

interface Call {
  readonly scope: Scope;
  readonly run: Run;
  readonly opsets: ReadonlyMap<string, number>;
  /** Functions and TFLite subgraphs do not see the caller's values. */
  readonly sealed: boolean;
}

function inferNested(node: Node, body: Graph, inputs: readonly Known[], call: Call): readonly Known[] {
  const { scope, run, sealed } = call;
  let inner = sealed ? run.calls.find(body, inputs) : undefined;
  if (inner === undefined) {
    if (scope.depth >= deepest || run.nestedSteps > mostNestedSteps) return [];
    inner = newScope(body, call.opsets, sealed ? undefined : scope, scope.depth + 1);
    declareInputs(inner, inputs, run);
    inferScope(inner, run);
    if (sealed) run.calls.add(inner, inputs);
  }
  addBody(scope, node, inner);
  const found = inner;
  return body.outputs.map((id) => lookUp(found, id) ?? nothing);
}

/** A body's inputs have the caller's types; its own declarations fill what the caller does not know. */
function declareInputs(scope: Scope, inputs: readonly Known[], run: Run): void {
  scope.graph.inputs.forEach((id, index) => {
    const given = inputs[index] ?? nothing;
    const settled = settle(given, scope.graph.values.get(id)?.type, run.bound);
    if (settled.type !== undefined) scope.known.set(id, settled);
  });
}

/** The view of one node that operator rules get. */
class NodeContext implements CostContext {
  readonly node: Node;
  readonly #scope: Scope;
  readonly #run: Run;
  readonly #bodyCost: ((scope: Scope) => OpCost) | undefined;
  #local = true;
  constructor(node: Node, scope: Scope, run: Run, bodyCost?: (scope: Scope) => OpCost) {
    this.node = node;
    this.#scope = scope;
    this.#run = run;
    this.#bodyCost = bodyCost;
  }
  /** Whether the rule looked at its node's surroundings only. */
  get local(): boolean {
    return this.#local;
  }
  get model(): Model {
    this.#local = false;
    return this.#run.model;
  }
  get version(): number {
    if (this.#run.model.dialect === 'tflite') return this.node.version ?? 1;
    const domain = sameDomain(this.node.domain);
    return this.#scope.opsets.get(domain) ?? (domain === '' ? (this.#scope.opsets.get('ai.onnx') ?? 1) : 1);
  }
  input(index: number): Known {
    const id = this.node.inputs[index];
    return id === undefined || id === null || id === '' ? nothing : (lookUp(this.#scope, id) ?? nothing);
  }
  declared(index: number): ValueType | undefined {
    const id = this.node.outputs[index];
    return id === undefined || id === null ? undefined : this.#scope.graph.values.get(id)?.type;
  }
  shape(index: number): Shape | undefined {
    return shapeOf(this.input(index));
  }
  output(index: number): Known {
    const id = this.node.outputs[index];
    return id === undefined || id === null ? nothing : (this.#scope.known.get(id) ?? nothing);
  }
  inferBody(body: Graph, inputs: readonly Known[]): readonly Known[] {
    this.#local = false;
    const sealed = this.#run.model.dialect === 'tflite';
    const call = { scope: this.#scope, run: this.#run, opsets: this.#scope.opsets, sealed };
    return inferNested(this.node, body, inputs, call);
  }
  bodyCost(body: Graph): OpCost {
    this.#local = false;
    const inner = this.#scope.bodies.get(this.node)?.get(body);
    const unknown = { macs: undefined, otherOps: undefined, formula: 'unknown: the body was not analysed' };
    return inner === undefined || this.#bodyCost === undefined ? unknown : this.#bodyCost(inner);
  }
}

/** Makes the contexts for cost rules, after inference. `bodyCost` prices one run of a nested scope. */
export function costContexts(
  model: Model,
  bound: Bound,
  bodyCost: (scope: Scope) => OpCost,
): (node: Node, scope: Scope) => CostContext & { readonly local: boolean } {
  const run: Run = { model, bound, nestedSteps: 0, calls: new CallMemory() };
  return (node, scope) => new NodeContext(node, scope, run, bodyCost);
}

/** Inferred types of every graph reached; of several runs of one body the first counts. */
export function typesByGraph(inference: Inference): Map<Graph, ReadonlyMap<ValueId, ValueType>> {
  const types = new Map<Graph, ReadonlyMap<ValueId, ValueType>>();
  for (const scope of withNested([inference.main, ...inference.others])) {
    const stored = storedBody(scope.graph);
    if (types.has(stored)) continue;
    const own = new Map<ValueId, ValueType>();
    for (const [id, value] of scope.known) if (value.type !== undefined) own.set(id, value.type);
    types.set(stored, own);
  }
  return types;
}
