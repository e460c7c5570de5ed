import type { Graph, Model, Node, ValueId } from '../ir/model.ts';
import { feedsOf } from '../ir/model.ts';
import { indexOf } from '../ir/walk.ts';
import { operatorOf } from '../ops/registry.ts';
import type { ArenaProblem } from './arena.ts';
import { liveBytes, planArena } from './arena.ts';
import { bytesOf } from './cost.ts';
import { executionOrder, readsOf } from './order.ts';
import type { MemoryPlan } from './report.ts';
import type { Scope } from './scope.ts';
import { bodiesIn } from './scope.ts';
import { constantValues } from './weights.ts';

/** Activations that share memory: a value, its views, and what overwrites it in place. */
interface Block {
  readonly value: ValueId;
  bytes: number;
  first: number;
  last: number;
  /** Outputs of the graph are read after the last step: nothing may overwrite them. */
  pinned: boolean;
}

/** What does not change while the blocks of one graph are laid out. */
interface Layout {
  readonly scope: Scope;
  readonly model: Model;
  readonly order: readonly Node[];
  readonly derived: ReadonlySet<ValueId>;
  /** Last step that reads each value. */
  readonly lastRead: ReadonlyMap<ValueId, number>;
  readonly blockOf: Map<ValueId, Block>;
  readonly blocks: Block[];
}

/**
 * The arena for the activations of the main graph in its execution order: inputs, outputs, intermediate values and the
 * working memory of nested bodies. Constants and what follows from them alone stay outside. Offsets are in bytes
 * without alignment. `undefined` when a size is unknown or the graph has a cycle.
 */
export function planMemory(scope: Scope, model: Model): MemoryPlan | undefined {
  return planScope(scope, model, false);
}

function planScope(scope: Scope, model: Model, inner: boolean): MemoryPlan | undefined {
  const { nodes, cyclic } = executionOrder(scope.graph);
  if (cyclic.length > 0) return undefined;
  const blocks = layOut(scope, model, nodes, inner);
  if (blocks === undefined) return undefined;
  const problem: ArenaProblem = {
    bytes: blocks.map((block) => block.bytes),
    first: blocks.map((block) => block.first),
    last: blocks.map((block) => block.last),
    steps: Math.max(1, nodes.length),
  };
  const live = liveBytes(problem);
  const lowerBoundBytes = live.reduce((most, bytes) => Math.max(most, bytes), 0);
  const { offsets, peak } = planArena(problem, lowerBoundBytes);
  return {
    peakBytes: peak,
    lowerBoundBytes,
    live,
    blocks: blocks.map(({ value, bytes, first, last }, index) => ({
      value,
      offset: offsets[index] as number,
      bytes,
      first,
      last,
    })),
  };
}

/** Blocks of all activations; a body's own outputs are left out, because the caller's outputs hold them. */
function layOut(
  scope: Scope,
  model: Model,
  order: readonly Node[],
  inner: boolean,
): readonly Block[] | undefined {
  const layout: Layout = {
    scope,
    model,
    order,
    derived: constantValues(scope, model),
    lastRead: lastReads(scope.graph, order),
    blockOf: new Map(),
    blocks: [],
  };
  const returned = new Set(inner ? scope.graph.outputs : []);
  for (const id of persistentValues(scope.graph, layout.derived)) {
    const variable = scope.graph.values.get(id)?.variable === true;
    if (!returned.has(id) && !addBlock(layout, id, 0, variable)) return undefined;
  }
  for (const [step, node] of order.entries()) {
    if (!addOutputs(layout, node, step, returned)) return undefined;
    if (!addBodies(layout, node, step)) return undefined;
  }
  return layout.blocks;
}

/** Fed inputs and variable tensors exist before the first step. */
function persistentValues(graph: Graph, derived: ReadonlySet<ValueId>): ReadonlySet<ValueId> {
  const ids = new Set<ValueId>(feedsOf(graph).map((value) => value.id));
  for (const [id, value] of graph.values) if (value.variable === true && !derived.has(id)) ids.add(id);
  return ids;
}

function lastReads(graph: Graph, order: readonly Node[]): ReadonlyMap<ValueId, number> {
  const last = new Map<ValueId, number>();
  order.forEach((node, step) => {
    for (const id of readsOf(node)) last.set(id, step);
  });
  for (const id of graph.outputs) last.set(id, Math.max(0, order.length - 1));
  return last;
}

function addBlock(layout: Layout, id: ValueId, step: number, forever = false): boolean {
  const bytes = bytesOf(layout.scope.known.get(id)?.type);
  if (bytes === undefined) return false;
  const end = Math.max(0, layout.order.length - 1);
  const block: Block = {
    value: id,
    bytes,
    first: step,
    last: forever ? end : Math.max(step, layout.lastRead.get(id) ?? step),
    pinned: forever || indexOf(layout.scope.graph).isOutput.has(id),
  };
  layout.blockOf.set(id, block);
  layout.blocks.push(block);
  return true;
}

function addOutputs(layout: Layout, node: Node, step: number, returned: ReadonlySet<ValueId>): boolean {
  for (const [index, id] of node.outputs.entries()) {
    if (id === null || id === '' || layout.derived.has(id) || layout.blockOf.has(id)) continue;
    if (returned.has(id)) continue;
    const host = index === 0 ? hostOf(layout, node, id, step) : undefined;
    if (host === undefined) {
      if (!addBlock(layout, id, step)) return false;
      continue;
    }
    host.last = Math.max(host.last, layout.lastRead.get(id) ?? step);
    host.pinned ||= indexOf(layout.scope.graph).isOutput.has(id);
    layout.blockOf.set(id, host);
  }
  return true;
}

/** The block an output can live in: its source when it is a view, or an equally large operand that dies here. */
function hostOf(layout: Layout, node: Node, output: ValueId, step: number): Block | undefined {
  const operator = operatorOf(layout.model, node);
  if (operator === undefined) return undefined;
  const bytes = bytesOf(layout.scope.known.get(output)?.type);
  const first = node.inputs[0];
  if (operator.view) {
    const block = typeof first === 'string' ? layout.blockOf.get(first) : undefined;
    return block !== undefined && block.bytes === bytes ? block : undefined;
  }
  if (!operator.inPlace) return undefined;
  // Elementwise kernels read each operand at the position they write, so any operand of full size will do.
  const operands = operator.family === 'elementwise' ? node.inputs : node.inputs.slice(0, 1);
  // The oldest one is best: a residual stream then stays in one place while its branches come and go.
  let host: Block | undefined;
  for (const id of operands) {
    const block = typeof id === 'string' ? layout.blockOf.get(id) : undefined;
    if (block === undefined || block.pinned || block.last !== step || block.bytes !== bytes) continue;
    if (host === undefined || block.first < host.first) host = block;
  }
  return host;
}

/** While a body runs, its own activations live beside those of the outer graph. */
function addBodies(layout: Layout, node: Node, step: number): boolean {
  let bytes = 0;
  for (const body of bodiesIn(layout.scope, node)) {
    const peak = bodyPeak(body, layout.model);
    if (peak === undefined) return false;
    bytes = Math.max(bytes, peak);
  }
  if (bytes > 0) {
    layout.blocks.push({ value: `${node.id} body`, bytes, first: step, last: step, pinned: true });
  }
  return true;
}

const bodyPeaks = new WeakMap<Scope, { readonly peak: number | undefined }>();

/** Peak of one run of a body, planned once however many nodes share it. */
function bodyPeak(body: Scope, model: Model): number | undefined {
  let found = bodyPeaks.get(body);
  if (found === undefined) {
    found = { peak: planScope(body, model, true)?.peakBytes };
    bodyPeaks.set(body, found);
  }
  return found.peak;
}
