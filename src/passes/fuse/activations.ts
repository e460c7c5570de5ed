import type { Attribute, Graph, Node, ValueId } from '../../ir/model.ts';
import { intAttribute } from '../../ir/attribute.ts';
import type { GraphEditor } from '../../ir/edit.ts';
import { indexOf } from '../../ir/walk.ts';
import { soleReader } from '../support/graph.ts';

/** TFLite ActivationFunctionType of the operators that can be fused. */
const fusedCode: Readonly<Record<string, number>> = { RELU: 1, RELU_N1_TO_1: 2, RELU6: 3 };

/** Operators whose kernels apply a fused activation in float and in integer arithmetic. */
const acceptsActivation = new Set([
  'CONV_2D',
  'DEPTHWISE_CONV_2D',
  'FULLY_CONNECTED',
  'ADD',
  'SUB',
  'MUL',
  'DIV',
  'AVERAGE_POOL_2D',
  'MAX_POOL_2D',
]);

/** Moves RELU, RELU6 and RELU_N1_TO_1 into `fused_activation_function` of the operator before (TFLite). */
export function fuseActivations(graph: Graph, editor: GraphEditor, allowed: (node: Node) => boolean): number {
  const { producer } = indexOf(graph);
  let fused = 0;
  for (const node of graph.nodes) {
    const code = node.domain === '' ? fusedCode[node.op] : undefined;
    const [source] = node.inputs;
    const [output] = node.outputs;
    if (code === undefined || source == null || output == null || !allowed(node)) continue;
    const maker = producer.get(source);
    if (maker === undefined || maker.domain !== '' || !acceptsActivation.has(maker.op)) continue;
    if (!allowed(maker) || editor.changed.has(maker.id) || soleReader(graph, source) !== node) continue;
    if (intAttribute(maker, 'fused_activation_function', 0) !== 0) continue;
    if (!sameEncoding(graph, source, output)) continue;
    const activation: Attribute = { kind: 'enum', value: code, name: node.op };
    const attributes = new Map(maker.attributes).set('fused_activation_function', activation);
    editor.replaceNode(maker.id, [{ ...maker, outputs: [output], attributes }]);
    editor.removeNode(node.id);
    fused += 1;
  }
  return fused;
}

/** An integer result is clamped after rounding to its own scale, so both values must be encoded alike. */
function sameEncoding(graph: Graph, a: ValueId, b: ValueId): boolean {
  const first = graph.values.get(a)?.quantization;
  const second = graph.values.get(b)?.quantization;
  if (first === undefined || second === undefined) return first === second;
  return first.scale[0] === second.scale[0] && first.zeroPoint[0] === second.zeroPoint[0];
}
