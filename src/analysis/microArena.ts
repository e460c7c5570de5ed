import type { Model, Node } from '../ir/model.ts';
import { planLargestFirst } from './arena.ts';
import { layOut } from './lifetimes.ts';
import { problemOf } from './memory.ts';
import { offlineOffsets } from './offline.ts';
import { executionOrder } from './order.ts';
import type { MicroPlan } from './report.ts';
import type { Scope } from './scope.ts';

/** TensorFlow Lite Micro's kArenaAlignment, MicroArenaBufferAlignment(). */
const alignment = 16;

/**
 * Bytes of structures on a 32-bit core, in round numbers from tensorflow/lite/micro (TfLiteEvalTensor, NodeAndRegistration
 * with its builtin data, OpData of the usual kernels, MicroInterpreter and its allocators).
 */
const structures = { tensor: 12, node: 80, kernel: 64, channel: 8, interpreter: 1_500 } as const;

/** Kernels that keep a multiplier and a shift for each output channel, and the input that has those channels. */
const channelwise: ReadonlySet<string> = new Set([
  'CONV_2D',
  'DEPTHWISE_CONV_2D',
  'FULLY_CONNECTED',
  'TRANSPOSE_CONV',
]);

/** Largest graph that is planned: no microcontroller runs a larger one. */
const mostNodes = 5_000;

/** The arena TensorFlow Lite Micro would ask for; `undefined` for other dialects and unknown sizes. */
export function planMicro(scope: Scope, model: Model): MicroPlan | undefined {
  const { nodes, cyclic } = executionOrder(scope.graph);
  const foreign = model.dialect !== 'tflite' || offlineOffsets(model) !== undefined;
  if (foreign || cyclic.length > 0 || nodes.length > mostNodes) return undefined;
  const blocks = layOut(scope, model, nodes, { inner: false, sharing: false, bodyPeak: () => 0 });
  if (blocks === undefined) return undefined;
  const padded = blocks.map((block) => ({ ...block, bytes: roundUp(block.bytes) }));
  const plan = planLargestFirst(problemOf(padded, nodes.length));
  if (plan === undefined) return undefined;
  const persistentBytes =
    model.graphs.reduce((sum, graph) => sum + graph.values.size * structures.tensor, 0) +
    model.graphs.reduce(
      (sum, graph) => sum + graph.nodes.reduce((all, node) => all + nodeBytes(node, graph.values), 0),
      0,
    ) +
    structures.interpreter;
  return {
    tensorBytes: plan.peak,
    persistentBytes,
    arenaBytes: roundUp(plan.peak + persistentBytes),
    alignment,
  };
}

function nodeBytes(node: Node, values: Scope['graph']['values']): number {
  const weight = node.inputs[1];
  const scales = typeof weight === 'string' ? (values.get(weight)?.quantization?.scale.length ?? 0) : 0;
  const channels = channelwise.has(node.op) ? scales : 0;
  return structures.node + structures.kernel + channels * structures.channel;
}

function roundUp(bytes: number): number {
  return Math.ceil(bytes / alignment) * alignment;
}
