import type { Graph, Model, Node, OnnxModel, ValueId } from '../../ir/model.ts';
import { withMainGraph } from '../../ir/model.ts';
import { indexOf } from '../../ir/walk.ts';
import type { PassResult } from '../pass.ts';
import { isBuiltin } from './constants.ts';

/** The only reader of a value that is no graph output, or `undefined`. Reads by nested bodies do not count as one. */
export function soleReader(graph: Graph, id: ValueId | null | undefined): Node | undefined {
  if (id === null || id === undefined) return undefined;
  const { uses, isOutput } = indexOf(graph);
  const readers = uses.get(id);
  if (readers?.length !== 1 || isOutput.has(id)) return undefined;
  return readers[0]?.index === -1 ? undefined : readers[0]?.node;
}

/** How many times a value is read, graph outputs included. */
export function readCount(graph: Graph, id: ValueId): number {
  const { uses, isOutput } = indexOf(graph);
  return (uses.get(id)?.length ?? 0) + (isOutput.has(id) ? 1 : 0);
}

/** An ONNX operator of the default domain. */
export function isOnnxOp(node: Node, ...names: readonly string[]): boolean {
  return isBuiltin(node) && names.includes(node.op);
}

/** The imported version of the default ONNX domain. */
export function opsetOf(model: OnnxModel): number {
  return model.opsets.get('') ?? model.opsets.get('ai.onnx') ?? 1;
}

/** `changed` in graph order for a result, without duplicates. */
export function resultOf(
  before: Model,
  after: Model,
  changed: Iterable<string>,
  notes: readonly string[],
): PassResult {
  if (after === before) return { model: before, changed: [], notes };
  return { model: after, changed: [...new Set(changed)], notes };
}

/**
 * The ids of nodes that differ between two graphs: added, removed, or another value under the same id. Nodes that an
 * edit left alone are shared, so identity is enough.
 */
export function changedNodes(before: Graph, after: Graph): string[] {
  if (before === after) return [];
  const old = indexOf(before).node;
  const fresh = indexOf(after).node;
  const changed: string[] = [];
  for (const [id, node] of old) if (fresh.get(id) !== node) changed.push(id);
  for (const id of fresh.keys()) if (!old.has(id)) changed.push(id);
  return changed;
}

/**
 * Files of IR version 3 list every initializer among the inputs; from version 4 on a listed one may be overridden by
 * the caller and is therefore no constant for a runtime. Takes them off the list and raises the version to 4.
 */
export function withoutConstantInputs(model: OnnxModel): OnnxModel {
  const graph = model.graphs[0];
  const inputs = graph.inputs.filter((id) => graph.values.get(id)?.constant === undefined);
  const listed = inputs.length !== graph.inputs.length;
  if (!listed && model.irVersion >= 4) return model;
  const stripped = withMainGraph(model, listed ? { ...graph, inputs } : graph);
  return { ...stripped, irVersion: Math.max(4, model.irVersion) };
}
