import { originOf } from '../../analysis/match.ts';
import type { Graph, Model, Node, ValueId } from '../../ir/model.ts';
import { decodeNumbers, sizeOf } from '../../ir/numbers.ts';
import type { Tensor } from '../../ir/tensor.ts';
import { indexOf } from '../../ir/walk.ts';
import { operatorOf } from '../../ops/registry.ts';
import type { JobContext } from '../context.ts';
import { forEachRun } from './pages.ts';
import type { LayerSparsity } from './reports.ts';

/** Reads every weight once, in pieces; a quantized weight's zero is its zero point. */
export async function layerSparsity(model: Model, job: JobContext): Promise<LayerSparsity> {
  const graph = model.graphs[0];
  const weighted = graph.nodes.flatMap((node) => {
    const tensors = weightsOf(node, graph, model);
    return tensors.length === 0 ? [] : [{ id: node.id, tensors }];
  });
  const share = new Float64Array(weighted.length);
  for (const [i, { id, tensors }] of weighted.entries()) {
    await job.step(i / weighted.length, id);
    share[i] = zeroShare(tensors);
  }
  return { layers: weighted.map(({ id }) => id), share };
}

interface Stored {
  readonly tensor: Tensor;
  readonly zero: number;
}

function weightsOf(node: Node, graph: Graph, model: Model): readonly Stored[] {
  const roles = operatorOf(model, node)?.weights?.(node, model) ?? [];
  return roles.flatMap(({ input }) => {
    const id = node.inputs[input];
    if (id === undefined || id === null) return [];
    const { value } = originOf(id, graph, model);
    const stored = graph.values.get(value);
    if (stored?.constant === undefined) return [];
    const zero = stored.quantization?.zeroPoint[0] ?? zeroBehind(id, value, graph);
    return [{ tensor: stored.constant, zero }];
  });
}

/** The zero point of the node that dequantizes a constant, when it is a constant itself. */
function zeroBehind(id: ValueId, origin: ValueId, graph: Graph): number {
  if (id === origin) return 0;
  const point = indexOf(graph).producer.get(id)?.inputs[2];
  const tensor = point == null ? undefined : graph.values.get(point)?.constant;
  if (tensor === undefined || tensor.data.missing !== undefined || sizeOf(tensor) === 0) return 0;
  return decodeNumbers(tensor.dtype, tensor.data.read(), 1)[0] ?? 0;
}

function zeroShare(stored: readonly Stored[]): number {
  let zeros = 0;
  let elements = 0;
  for (const { tensor, zero } of stored) {
    if (tensor.data.missing !== undefined) return Number.NaN;
    const size = sizeOf(tensor);
    forEachRun(tensor, size, (numbers) => {
      for (const value of numbers) if (value === zero) zeros += 1;
    });
    elements += size;
  }
  return elements === 0 ? Number.NaN : zeros / elements;
}
