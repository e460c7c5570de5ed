import type { Graph, Model, Node, NodeId, ValueId } from '../../ir/model.ts';
import type { LayerTime } from '../runner.ts';

/**
 * Finds the layer behind an operator as a runtime names it. ONNX Runtime renames what it fuses: `fused <node>`,
 * `<node>/MatMulAddFusion`, `<node>_token_<number>` for what it makes of a quantized node, `<output value>_nchwc` of a
 * convolution with its activation, `<operator>_<index>` for nodes without a name. Fusions of many nodes (layer normalization, GELU) and inserted operators map to no layer.
 */
export function kernelLayers(model: Model): (name: string, time: LayerTime) => NodeId | undefined {
  const [graph] = model.graphs;
  const named = new Map<string, Node>();
  const producers = new Map<ValueId, Node>();
  for (const node of graph.nodes) {
    if (node.name !== '') named.set(node.name, node);
    for (const output of node.outputs) if (output !== null) producers.set(output, node);
  }
  // ONNX Runtime turns constant nodes into initializers before it counts.
  const counted = graph.nodes.filter((node) => node.op !== 'Constant');
  return (name, time) => {
    if (time.node !== undefined) return graph.nodes[time.node]?.id;
    const plain = name.replace(/^fused /, '').replace(/\/MatMulAddFusion$/, '');
    const direct = named.get(plain) ?? named.get(plain.replace(/_token_\d+$/, ''));
    if (direct !== undefined) return direct.id;
    const value = /^(.*)_nchwc$/.exec(name)?.[1];
    if (value !== undefined) {
      // A lone normalization or multiplication becomes a convolution with this mark.
      const alone = producers.get(value.replace(/_(?:bn|mul)$/, ''));
      const producer = producers.get(value);
      return (producer === undefined ? alone : upstream(producer, time.op, graph, producers))?.id;
    }
    const index = /^(.*)_(\d+)$/.exec(name);
    const unnamed = index?.[1] === time.op ? counted[Number(index[2])] : undefined;
    return unnamed?.name === '' && unnamed.op === time.op ? unnamed.id : undefined;
  };
}

/** What ONNX Runtime merges into the convolution before it. */
const followers = new Set([
  'BatchNormalization',
  'Add',
  'Sum',
  'Mul',
  'Relu',
  'LeakyRelu',
  'Clip',
  'Sigmoid',
  'HardSigmoid',
  'Tanh',
]);

/**
 * The nearest node before `node`, itself included, that is the operator, past what is merged into it. A batch
 * normalization without a convolution before it becomes a convolution of its own.
 */
function upstream(
  node: Node | undefined,
  op: string,
  graph: Graph,
  producers: ReadonlyMap<ValueId, Node>,
): Node | undefined {
  let current = node;
  let normalization: Node | undefined;
  while (current !== undefined && current.op !== op && followers.has(current.op)) {
    if (current.op === 'BatchNormalization') normalization = current;
    const fed = current.inputs.find((id) => id !== null && graph.values.get(id)?.constant === undefined);
    current = fed == null ? undefined : producers.get(fed);
  }
  return current?.op === op ? current : normalization;
}
