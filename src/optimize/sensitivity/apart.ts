import { GraphEditor } from '../../ir/edit.ts';
import type { Model, NodeId, TfliteModel, Value, ValueId } from '../../ir/model.ts';
import { withMainGraph } from '../../ir/model.ts';
import { floatTensor } from '../../ir/numbers.ts';
import { tensorType } from '../../ir/types.ts';
import { indexOf } from '../../ir/walk.ts';
import { operatorOf } from '../../ops/registry.ts';
import { plainNode } from '../../passes/support/tflite.ts';
import { effectiveWeight, weightRoleOf } from './effective.ts';

/** The original with nothing but the layer's weights as the change leaves them; undefined where there are none. */
export function weightsAlone(base: Model, changed: Model, id: NodeId): Model | undefined {
  const node = indexOf(base.graphs[0]).node.get(id);
  const other = indexOf(changed.graphs[0]).node.get(id);
  const now = other && effectiveWeight(changed, other, node && weightRoleOf(base, node)?.outputAxis);
  const was = node && effectiveWeight(base, node);
  if (node === undefined || now === undefined || was === undefined) return undefined;
  if (was.data.length !== now.data.length) return undefined;
  const input = weightInput(base, id);
  const editor = new GraphEditor(base.graphs[0], base);
  const constant = editor.addConstant(`${node.inputs[input]}_changed`, floatTensor(was.dims, now.data));
  const inputs = node.inputs.map((each, at) => (at === input ? constant : each));
  editor.replaceNode(id, [{ ...node, inputs }]);
  return withMainGraph(base, editor.finish());
}

/** The change with the layer's weights put back as they were: what its activations alone do. */
export function activationsAlone(base: Model, changed: Model, id: NodeId): Model | undefined {
  if (base.dialect === 'tflite' && changed.dialect === 'tflite') return throughCodes(base, changed, id);
  const node = indexOf(base.graphs[0]).node.get(id);
  const other = indexOf(changed.graphs[0]).node.get(id);
  const role = other && weightRoleOf(changed, other);
  const was = node && effectiveWeight(base, node, role?.outputAxis);
  const as = other && effectiveWeight(changed, other);
  // Where the pass widened the layer, its old weights fit in no more.
  if (other === undefined || was === undefined || as?.data.length !== was.data.length) return undefined;
  const input = role?.input ?? 1;
  const editor = new GraphEditor(changed.graphs[0], changed);
  const constant = editor.addConstant(`${other.inputs[input]}_kept`, floatTensor(was.dims, was.data));
  const inputs = other.inputs.map((each, at) => (at === input ? constant : each));
  editor.replaceNode(id, [{ ...other, inputs }]);
  return withMainGraph(changed, editor.finish());
}

function weightInput(model: Model, id: NodeId): number {
  const node = indexOf(model.graphs[0]).node.get(id);
  const [role] = (node && operatorOf(model, node)?.weights?.(node, model)) ?? [];
  return role?.input ?? 1;
}

/** TFLite has no float operator on codes: the float layer gets its input, and gives its output, through QUANTIZE and DEQUANTIZE. */
function throughCodes(base: TfliteModel, changed: TfliteModel, id: NodeId): Model | undefined {
  const [graph] = base.graphs;
  const node = indexOf(graph).node.get(id);
  const other = indexOf(changed.graphs[0]).node.get(id);
  const role = node && operatorOf(base, node)?.weights?.(node, base)?.[0];
  const from = node?.inputs[role?.activation ?? 0];
  const to = node?.outputs[0];
  if (node === undefined || other === undefined || from == null || to == null) return undefined;
  const codesIn = changed.graphs[0].values.get(other.inputs[role?.activation ?? 0] ?? '');
  const codesOut = changed.graphs[0].values.get(other.outputs[0] ?? '');
  if (codesIn?.quantization === undefined || codesOut?.quantization === undefined) return undefined;
  const editor = new GraphEditor(graph, base);
  const into = pairOf(editor, graph.values.get(from) as Value, codesIn, `${id}_in`);
  const outOf = pairOf(
    editor,
    { ...(graph.values.get(to) as Value), id: editor.freshValue(`${to}_plain`) },
    codesOut,
    `${id}_out`,
  );
  editor.setValue({ ...(graph.values.get(to) as Value), id: outOf.from, name: outOf.from });
  const inputs = node.inputs.map((each) => (each === from ? into.to : each));
  const last = outOf.nodes.at(-1);
  if (last === undefined) return undefined;
  editor.replaceNode(id, [
    ...into.nodes,
    { ...node, inputs, outputs: [outOf.from] },
    ...outOf.nodes.slice(0, -1),
    { ...last, outputs: [to] },
  ]);
  return withMainGraph(base, editor.finish());
}

function pairOf(editor: GraphEditor, value: Value, codes: Value, name: string) {
  const shape = value.type?.kind === 'tensor' ? value.type.shape : undefined;
  const dtype = codes.type?.kind === 'tensor' ? codes.type.dtype : 'int8';
  const quantization = codes.quantization;
  const coded: ValueId = editor.addValue(`${name}_codes`, {
    type: tensorType(dtype, shape),
    ...(quantization && { quantization }),
  });
  const real = editor.addValue(`${name}_real`, { type: tensorType('float32', shape) });
  const nodes = [
    plainNode(editor, 'QUANTIZE', [value.id], coded, `${name}_quantize`),
    plainNode(editor, 'DEQUANTIZE', [coded], real, `${name}_dequantize`),
  ];
  return { from: value.id, to: real, nodes };
}
