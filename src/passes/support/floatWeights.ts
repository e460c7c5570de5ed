import type { GraphEditor } from '../../ir/edit.ts';
import type { Graph, Model, Node, ValueId } from '../../ir/model.ts';
import type { Tensor } from '../../ir/tensor.ts';
import { indexOf } from '../../ir/walk.ts';
import type { WeightRole } from '../../ops/operator.ts';
import { operatorOf } from '../../ops/registry.ts';
import type { PassContext } from '../pass.ts';
import { simplify } from '../simplify/simplify.ts';
import { readableConstant } from './constants.ts';
import { isOnnxOp } from './graph.ts';
import { withConstantMakers } from './prepare.ts';

/** A stored float weight, embeddings excepted. */
export interface FloatWeight {
  readonly id: ValueId;
  readonly tensor: Tensor;
  readonly role: WeightRole;
  readonly readers: readonly Node[];
}

/** The model, simplified when its weights are hidden behind operators that only prepare constants. */
export async function withVisibleWeights(model: Model, context: PassContext): Promise<Model> {
  if (!hidesWeights(model)) return model;
  const { layers } = context;
  const wider = layers && withConstantMakers(model.graphs[0], layers);
  return (await simplify.run(model, {}, { ...context, ...(wider && { layers: wider }) })).model;
}

/** PyTorch exports linear layers with a Transpose between the weight and its MatMul. */
function hidesWeights(model: Model): boolean {
  const { producer } = indexOf(model.graphs[0]);
  return model.graphs[0].nodes.some((node) =>
    (operatorOf(model, node)?.weights?.(node, model) ?? []).some((role) => {
      const maker = producer.get(node.inputs[role.input] ?? '');
      const hides = maker !== undefined && isOnnxOp(maker, 'Transpose', 'Identity');
      return hides && readableConstant(model.graphs[0], maker.inputs[0]) !== undefined;
    }),
  );
}

/** The roles of a node's inputs that are float weights whose bytes are there. */
export function floatRoles(model: Model, graph: Graph, node: Node): readonly WeightRole[] {
  const roles = operatorOf(model, node)?.weights?.(node, model) ?? [];
  return roles.filter((role) => {
    const tensor = role.kind === 'embedding' ? undefined : readableConstant(graph, node.inputs[role.input]);
    return tensor?.dtype === 'float32' || tensor?.dtype === 'float16';
  });
}

/** Every weight once, with the chosen layers that read it. */
export function floatWeights(
  model: Model,
  graph: Graph,
  layers: ReadonlySet<string> | undefined,
): readonly FloatWeight[] {
  const found = new Map<ValueId, FloatWeight & { readers: Node[] }>();
  for (const node of graph.nodes) {
    if (layers !== undefined && !layers.has(node.id)) continue;
    for (const role of floatRoles(model, graph, node)) {
      const id = node.inputs[role.input] as ValueId;
      const known = found.get(id);
      if (known !== undefined) known.readers.push(node);
      else found.set(id, { id, role, tensor: readableConstant(graph, id) as Tensor, readers: [node] });
    }
  }
  return [...found.values()];
}

/** Changes the constant in place, or gives the chosen layers a copy when others read it as well. */
export function storeTensor(
  graph: Graph,
  editor: GraphEditor,
  weight: FloatWeight,
  tensor: Tensor,
  suffix: string,
): void {
  const value = graph.values.get(weight.id);
  const { uses, isOutput } = indexOf(graph);
  const chosen = new Set(weight.readers);
  const others = (uses.get(weight.id) ?? []).some((use) => !chosen.has(use.node));
  const alone = value?.constant !== undefined && !others && !isOutput.has(weight.id);
  if (alone) editor.setValue({ ...value, constant: tensor });
  const id = alone ? weight.id : editor.addConstant(`${weight.id}_${suffix}`, tensor, value?.quantization);
  for (const node of weight.readers) {
    const inputs = node.inputs.map((input) => (input === weight.id ? id : input));
    editor.replaceNode(node.id, [{ ...node, inputs }]);
  }
}
