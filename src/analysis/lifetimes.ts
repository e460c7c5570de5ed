import { bodiesOf } from '../ir/attribute.ts';
import type { Graph, Model, Node, ValueId } from '../ir/model.ts';
import { feedsOf } from '../ir/model.ts';
import { capturesOf, indexOf } from '../ir/walk.ts';
import { operatorOf } from '../ops/registry.ts';
import { bytesOf } from './cost.ts';
import type { Scope } from './scope.ts';
import { bodiesIn } from './scope.ts';
import { constantValues } from './weights.ts';

/** Activations that share memory: a value, its views, and what overwrites it in place. */
export interface Block {
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
  readonly isOutput: ReadonlySet<ValueId>;
  readonly blockOf: Map<ValueId, Block>;
  readonly blocks: Block[];
  readonly options: LayoutOptions;
}

interface LayoutOptions {
  /** The graph is a body: its outputs live in the caller's blocks. */
  readonly inner: boolean;
  /** Whether views and in-place operators share their operand's block. */
  readonly sharing: boolean;
  /** Bytes that one run of a nested body needs besides its outputs; `undefined` when unknown. */
  bodyPeak(body: Scope): number | undefined;
}

/**
 * Blocks of all activations with their sizes and lifetimes; a body's own outputs are left out, because the caller's
 * outputs hold them. `undefined` when a size is unknown.
 */
export function layOut(
  scope: Scope,
  model: Model,
  order: readonly Node[],
  options: LayoutOptions,
): readonly Block[] | undefined {
  const layout: Layout = {
    options,
    scope,
    model,
    order,
    derived: constantValues(scope, model),
    lastRead: lastReads(scope.graph, order),
    isOutput: indexOf(scope.graph).isOutput,
    blockOf: new Map(),
    blocks: [],
  };
  const returned = new Set(options.inner ? scope.graph.outputs : []);
  for (const id of persistentValues(scope.graph, layout.derived)) {
    const variable = scope.graph.values.get(id)?.variable === true;
    if (!returned.has(id) && !addBlock(layout, id, 0, variable)) return undefined;
  }
  for (const [step, node] of order.entries()) {
    if (!addScratch(layout, node, step)) return undefined;
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
    for (const id of node.inputs) if (id !== null) last.set(id, step);
    for (const body of bodiesOf(node)) for (const id of capturesOf(body)) last.set(id, step);
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
    pinned: forever || layout.isOutput.has(id),
  };
  layout.blockOf.set(id, block);
  layout.blocks.push(block);
  return true;
}

/** TFLite operators may read working memory that nothing produces (an Ethos-U's arena): it lives while it is read. */
function addScratch(layout: Layout, node: Node, step: number): boolean {
  if (layout.model.dialect !== 'tflite') return true;
  const { producer } = indexOf(layout.scope.graph);
  return node.inputs.every((id) => {
    if (id === null || producer.has(id) || layout.derived.has(id) || layout.blockOf.has(id)) return true;
    if (!layout.scope.known.has(id) || layout.scope.graph.inputs.includes(id)) return true;
    return addBlock(layout, id, step);
  });
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
    host.pinned ||= layout.isOutput.has(id);
    layout.blockOf.set(id, host);
  }
  return true;
}

/** The block an output can live in: its source when it is a view, or an equally large operand that dies here. */
function hostOf(layout: Layout, node: Node, output: ValueId, step: number): Block | undefined {
  const operator = operatorOf(layout.model, node);
  if (operator === undefined || !layout.options.sharing) return undefined;
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
    const peak = layout.options.bodyPeak(body);
    if (peak === undefined) return false;
    bytes = Math.max(bytes, peak);
  }
  if (bytes > 0) {
    layout.blocks.push({ value: `${node.id} body`, bytes, first: step, last: step, pinned: true });
  }
  return true;
}
