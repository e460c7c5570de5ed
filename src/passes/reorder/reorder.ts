import { analyse } from '../../analysis/analyse.ts';
import { executionOrder } from '../../analysis/order.ts';
import { betterOrder } from '../../analysis/schedule.ts';
import type { Model, NodeId } from '../../ir/model.ts';
import { withMainGraph } from '../../ir/model.ts';
import type { OptionValues, Pass, PassContext, PassResult } from '../pass.ts';
import { readOptions } from '../support/options.ts';

/** Runs branches in the order that keeps the fewest activations alive. */
export const reorder: Pass = {
  id: 'reorder',
  title: 'Reorder for less memory',
  summary:
    'Runs branches one after another where that lowers the peak of activation memory; results stay the same to the bit. ' +
    'TensorFlow Lite and its Micro runtime follow the stored order; ONNX Runtime makes its own.',
  dialects: ['onnx', 'tflite'],
  exact: true,
  calibration: 'none',
  options: [
    {
      name: 'gain',
      title: 'Least gain that is worth a change',
      unit: '%',
      type: 'number',
      default: 1,
      min: 0,
      max: 100,
    },
  ],
  run: runReorder,
};

async function runReorder(model: Model, values: OptionValues, context: PassContext): Promise<PassResult> {
  const least = readOptions(reorder.options, values).number('gain');
  const same = (note: string): PassResult => ({ model, changed: [], notes: [note] });
  const refusal = reasonAgainst(model);
  if (refusal !== undefined) return same(refusal);
  const { memory, types } = analyse(model);
  if (memory === undefined) {
    return same('the size of some activation is not known; set the free dimensions first (set-shape)');
  }
  await context.step(0.1, 'Looking for an order');
  const graph = model.graphs[0];
  const order = betterOrder(model, executionOrder(graph).nodes, types.get(graph) ?? new Map());
  if (order === undefined) return same('no order needs less memory');
  await context.step(0.9, 'Planning the arena');
  const reordered = withMainGraph(model, { ...graph, nodes: order });
  const peak = analyse(reordered).memory?.peakBytes;
  const enough = memory.peakBytes * (1 - least / 100);
  if (peak === undefined || peak >= memory.peakBytes || peak > enough) {
    return same(`no order saves ${least} % of the ${memory.peakBytes} bytes at the peak`);
  }
  return {
    model: reordered,
    changed: movedNodes(graph.nodes, order),
    notes: [`peak of activations ${memory.peakBytes} to ${peak} bytes`],
  };
}

/** What pins the order of a model. */
function reasonAgainst(model: Model): string | undefined {
  if (executionOrder(model.graphs[0]).cyclic.length > 0) return 'the graph has a cycle';
  const planned =
    model.dialect === 'tflite' && model.metadata.some((each) => each.name === 'OfflineMemoryAllocation');
  return planned ? 'the file carries a memory plan for the order it has' : undefined;
}

function movedNodes(before: readonly { id: NodeId }[], after: readonly { id: NodeId }[]): NodeId[] {
  return after.filter((node, index) => before[index] !== node).map((node) => node.id);
}
