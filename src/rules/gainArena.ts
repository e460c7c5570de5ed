import { analyse } from '../analysis/analyse.ts';
import { arenaBytesOf } from '../devices/arena.ts';
import { targetFor } from '../devices/targets/registry.ts';
import type { TargetRules } from '../devices/targets/target.ts';
import { GraphEditor } from '../ir/edit.ts';
import type { Graph, Node, OnnxModel, Value, ValueId } from '../ir/model.ts';
import { withMainGraph } from '../ir/model.ts';
import { floatTensor, intTensor } from '../ir/numbers.ts';
import { indexOf } from '../ir/walk.ts';
import { affineChains } from '../passes/fuse/foldAffine.ts';
import { fuseGelu } from '../passes/fuse/gelu.ts';
import { fuseLayerNorm } from '../passes/fuse/layerNorm.ts';
import type { OnnxPlan } from '../passes/quantizeStatic/onnxPlan.ts';
import { activationType, planOnnx } from '../passes/quantizeStatic/onnxPlan.ts';
import { targetForm } from '../passes/quantizeStatic/targetForm.ts';
import { passedThrough } from '../passes/simplify/identities.ts';
import { factsOf } from '../passes/support/facts.ts';
import { opsetOf } from '../passes/support/graph.ts';
import { viewOf } from './places.ts';

/** Larger models get no promise: analysing what is not there yet would cost as much as analysing the model. */
const mostNodes = 4000;

const known = new WeakMap<OnnxModel, Map<string, number | undefined>>();

/**
 * The activation arena of a model once `quantize-static` has been at it, in bytes: the graph is put into the form that the
 * pass would give it, without any weights, and planned like any other.
 */
export function arenaOfQuantized(model: OnnxModel, target: string): number | undefined {
  if (model.graphs[0].nodes.length > mostNodes) return undefined;
  let arenas = known.get(model);
  if (arenas === undefined) known.set(model, (arenas = new Map()));
  if (!arenas.has(target)) arenas.set(target, planned(model, targetFor(target, 'onnx')));
  return arenas.get(target);
}

function planned(model: OnnxModel, target: TargetRules): number | undefined {
  // Padding channels for faster kernels would copy weights.
  const { layout: _layout, ...rules } = target;
  const folded = withoutFolded(model);
  const { model: form } = targetForm(withFunctions(folded), rules, () => true);
  const all = () => true;
  const plan = planOnnx(form, factsOf(form), rules, all, all);
  if (plan.nodes.size === 0) return undefined;
  const quantized = withMainGraph(form, emitted(form.graphs[0], plan, rules));
  return arenaBytesOf(quantized, analyse(quantized));
}

/** The graph without what simplifying and fusing take away. */
function withoutFolded(model: OnnxModel): OnnxModel {
  const view = viewOf(model);
  const { graph, facts } = view;
  const editor = new GraphEditor(graph, model);
  const { isOutput } = indexOf(graph);
  const bypass = (node: Node, input: number): void => {
    const [from, to] = [node.inputs[input], node.outputs[0]];
    if (from == null || to == null || isOutput.has(to)) return;
    editor.replaceUses(to, from);
    editor.removeNode(node.id);
  };
  for (const node of graph.nodes) {
    const input = passedThrough(view, node);
    if (input !== undefined) bypass(node, input);
  }
  for (const { nodes } of affineChains(model, graph, facts))
    for (const node of nodes) {
      const flowing = node.inputs.findIndex(
        (id) => id !== null && graph.values.get(id)?.constant === undefined,
      );
      if (flowing !== -1) bypass(node, flowing);
    }
  return withMainGraph(model, editor.finish());
}

/** As `fuse` does, where the opset has the operators. */
function withFunctions(model: OnnxModel): OnnxModel {
  const opset = opsetOf(model);
  if (opset < 17) return model;
  const [graph] = model.graphs;
  const editor = new GraphEditor(graph, model);
  fuseLayerNorm(graph, factsOf(model), editor, () => true);
  if (opset >= 20) fuseGelu(graph, editor, () => true);
  return withMainGraph(model, editor.finish());
}

/** The graph with a pair of QuantizeLinear and DequantizeLinear behind every value that the plan encodes. */
function emitted(graph: Graph, plan: OnnxPlan, rules: TargetRules): Graph {
  const values = new Map<ValueId, Value>(graph.values);
  const put = (id: ValueId, more: Omit<Value, 'id' | 'name'> = {}): ValueId => {
    values.set(id, { id, name: id, ...more });
    return id;
  };
  const scale = put('kerf gain scale', { constant: floatTensor([], Float32Array.of(1)) });
  const zero = put('kerf gain zero', { constant: intTensor(activationType(rules), [], [0]) });
  const decoded = new Map<ValueId, ValueId>();
  const pair = (from: ValueId, to: ValueId): readonly Node[] => {
    const codes = put(`${to} codes`);
    const node = (op: string, input: ValueId, output: ValueId): Node => ({
      id: `${output} ${op}`,
      name: '',
      op,
      domain: '',
      inputs: [input, scale, zero],
      outputs: [output],
      attributes: new Map(),
    });
    return [node('QuantizeLinear', from, codes), node('DequantizeLinear', codes, to)];
  };
  /** A result that is quantized at once keeps its name behind the pair; others are read as codes by integer layers only. */
  const encoded = (id: ValueId | null): readonly Node[] => {
    const value = id === null ? undefined : plan.values.get(id);
    if (id === null || value === undefined || graph.values.get(id)?.constant !== undefined) return [];
    const isMade = indexOf(graph).producer.has(id);
    if (value.required && isMade) return pair(put(`${id} raw`), id);
    decoded.set(id, put(`${id} decoded`));
    return pair(id, `${id} decoded`);
  };
  const nodes: Node[] = graph.inputs.flatMap(encoded);
  for (const node of graph.nodes) {
    const activations = plan.nodes.get(node.id)?.activations ?? [];
    const inputs = node.inputs.map((id, index) =>
      id !== null && activations.includes(index) ? (decoded.get(id) ?? id) : id,
    );
    const pairs = node.outputs.flatMap(encoded);
    const outputs = node.outputs.map((id) => (values.has(`${id} raw`) ? `${id} raw` : id));
    nodes.push({ ...node, inputs, outputs }, ...pairs);
  }
  return { ...graph, nodes, values };
}
