import type { Graph, Node, NodeId, ValueId } from '../../ir/model.ts';
import { indexOf } from '../../ir/walk.ts';

/** What became of a layer in the graph that a runtime made of a model. */
interface Kernel {
  /** Operator of the runtime's graph that does its work. */
  readonly op: string;
  readonly runsOn: 'integers' | 'floats';
}

const integerKernels =
  /^(QLinear|QGemm|QAttention|QEmbed|MatMulInteger|MatMulNBits|ConvInteger|DynamicQuantizeMatMul|DynamicQuantizeLSTM)/;
const converters = new Set(['QuantizeLinear', 'DequantizeLinear', 'DynamicQuantizeLinear']);

/**
 * The kernels of a model's layers after a runtime's optimizations. A runtime keeps the names of the values it still computes:
 * whatever lies in the model between the inputs and the outputs of a kernel is what that kernel does. Layers that are missing
 * in the result were folded away.
 */
export function kernelsOf(graph: Graph, optimized: Graph): ReadonlyMap<NodeId, Kernel> {
  const { producer } = indexOf(graph);
  const kernels = new Map<NodeId, Kernel>();
  for (const kernel of optimized.nodes) {
    const stop = new Set<ValueId | null>(kernel.inputs);
    const outputs = kernel.outputs.filter((id): id is ValueId => id !== null && producer.has(id));
    const runsOn = isInteger(graph, kernel, outputs) ? 'integers' : 'floats';
    const waiting = [...outputs];
    for (let id = waiting.pop(); id !== undefined; id = waiting.pop()) {
      const node = producer.get(id);
      if (node === undefined || kernels.get(node.id)?.op === kernel.op) continue;
      // What feeds several kernels is done before the first of them.
      if (!kernels.has(node.id)) kernels.set(node.id, { op: kernel.op, runsOn });
      for (const input of node.inputs) if (input !== null && !stop.has(input)) waiting.push(input);
    }
  }
  return kernels;
}

/** A kernel for codes by its name, or an operator that moves codes because what it gives are codes. */
function isInteger(graph: Graph, kernel: Node, outputs: readonly ValueId[]): boolean {
  if (integerKernels.test(kernel.op)) return true;
  if (converters.has(kernel.op)) return false;
  const { producer } = indexOf(graph);
  return outputs.some((id) => makesCodes(producer.get(id), graph));
}

/** A quantizer, or an operator on the codes of one, as far as codes are only moved. */
function makesCodes(node: Node | undefined, graph: Graph): boolean {
  const { producer } = indexOf(graph);
  let at = node;
  while (at !== undefined && !converters.has(at.op)) at = producer.get(at.inputs[0] ?? '');
  return at?.op === 'QuantizeLinear';
}
