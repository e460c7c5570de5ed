import type { DType } from '../../../src/ir/dtype.ts';
import type { Graph, OnnxModel, Value, ValueId } from '../../../src/ir/model.ts';
import { feedsOf, withMainGraph } from '../../../src/ir/model.ts';
import { sizeOf } from '../../../src/ir/numbers.ts';
import type { Shape } from '../../../src/ir/types.ts';
import type { Observed } from '../ops/onnx/runtime.ts';
import { readsOf } from '../../../src/analysis/order.ts';
import { openSession } from '../ops/onnx/runtime.ts';

/** Constants above this size become inputs of their type, so that models without their weights can be loaded too. */
const largestKept = 64;

/**
 * The types ONNX Runtime infers for every value of the main graph: each node output is made a graph output without a
 * type and the session's metadata is read. Free input dimensions are replaced by the shapes given.
 */
export async function runtimeTypes(
  model: OnnxModel,
  shapes: ReadonlyMap<ValueId, Shape>,
): Promise<ReadonlyMap<ValueId, Observed>> {
  const session = await openSession(withMainGraph(model, exposed(model.graphs[0], shapes)));
  const types = new Map<ValueId, Observed>();
  for (const info of session.outputMetadata) {
    if (info.isTensor) types.set(info.name, { dtype: info.type, dims: info.shape });
  }
  await session.release();
  return types;
}

function exposed(graph: Graph, shapes: ReadonlyMap<ValueId, Shape>): Graph {
  const values = new Map<ValueId, Value>();
  const inputs: ValueId[] = feedsOf(graph).map((value) => value.id);
  const read = new Set(graph.nodes.flatMap((node) => [...readsOf(node)]));
  for (const [id, value] of graph.values) {
    const { constant } = value;
    // The runtime refuses a constant that nothing reads.
    if (constant !== undefined && !read.has(id)) continue;
    if (constant !== undefined && constant.dtype !== 'int64' && sizeOf(constant) > largestKept) {
      values.set(id, typed(id, constant.dtype, constant.dims));
      inputs.push(id);
    } else values.set(id, constant === undefined ? { id, name: value.name } : value);
  }
  for (const feed of feedsOf(graph)) {
    if (feed.type?.kind !== 'tensor') throw new Error(`${feed.id} is not a tensor`);
    values.set(feed.id, typed(feed.id, feed.type.dtype, shapes.get(feed.id) ?? feed.type.shape ?? []));
  }
  const outputs = new Set<ValueId>();
  for (const node of graph.nodes) for (const id of node.outputs) if (id) outputs.add(id);
  for (const id of outputs) values.set(id, { id, name: id });
  return { name: graph.name, inputs, outputs: [...outputs], nodes: graph.nodes, values };
}

function typed(id: ValueId, dtype: DType, shape: Shape): Value {
  return { id, name: id, type: { kind: 'tensor', dtype, shape } };
}
