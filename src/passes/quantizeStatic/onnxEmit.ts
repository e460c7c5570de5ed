import type { TargetRules } from '../../devices/targets/target.ts';
import { operatorRule } from '../../devices/targets/target.ts';
import type { Graph, Node, NodeId, OnnxModel, ValueId } from '../../ir/model.ts';
import { GraphEditor } from '../../ir/edit.ts';
import type { Tensor } from '../../ir/tensor.ts';
import { indexOf } from '../../ir/walk.ts';
import { readableConstant } from '../support/constants.ts';
import type { Encoding } from '../support/quantization.ts';
import { quantizeConstant, rangeOf } from '../support/quantization.ts';
import { changedCodes, foldedCodes, hardSigmoid } from './codesEmit.ts';
import type { Emitter } from './emitter.ts';
import { qdq, storeEncoding, update } from './emitter.ts';
import { foldedAttributes, unfolded } from './foldEmit.ts';
import type { NodePlan, OnnxPlan } from './onnxPlan.ts';
import { activationType } from './onnxPlan.ts';
import { targetEncoding } from './targetEncoding.ts';
import { weightNodes } from './weightEmit.ts';

/** Writes the plan as QuantizeLinear / DequantizeLinear pairs. `encodings` has an entry per root of the plan. */
export function emitOnnx(
  model: OnnxModel,
  plan: OnnxPlan,
  encodings: ReadonlyMap<ValueId, Encoding>,
  rules: TargetRules,
  perChannel: boolean,
  scales: ReadonlyMap<NodeId, Float32Array>,
): Graph {
  const graph = model.graphs[0];
  const emitter: Emitter = {
    graph,
    editor: new GraphEditor(graph, model),
    plan,
    encodings,
    rules,
    perChannel,
    foldings: new Map(
      [...plan.nodes.values()].flatMap(({ folding, results }) =>
        results.flatMap((id) => (folding === undefined ? [] : [[id, folding] as const])),
      ),
    ),
    scales,
    codes: new Map(),
    current: new Map(),
    parameters: new Map(),
    weights: new Map(),
  };
  const dequantized = new Map<ValueId, ValueId>();
  let number = 0;
  for (const id of plan.values.keys()) {
    number += 1;
    dequantized.set(id, insertPair(emitter, id, number));
  }
  for (const nodePlan of plan.nodes.values()) rewire(emitter, nodePlan, dequantized);
  return withoutIdlePairs(model, emitter.editor.finish());
}

/** Drops the dequantizations that nobody reads because every reader takes the codes another way. */
function withoutIdlePairs(model: OnnxModel, graph: Graph): Graph {
  const { uses, isOutput } = indexOf(graph);
  const editor = new GraphEditor(graph, model);
  for (const node of graph.nodes) {
    const [output] = node.outputs;
    if (node.op !== 'DequantizeLinear' || output == null || isOutput.has(output)) continue;
    if ((uses.get(output) ?? []).length === 0) editor.removeNode(node.id);
  }
  return editor.finish();
}

/** Puts the pair behind a value; gives the value that integer readers read. */
function insertPair(emitter: Emitter, id: ValueId, number: number): ValueId {
  const { editor, graph, plan, current } = emitter;
  const valuePlan = plan.values.get(id);
  const maker = indexOf(graph).producer.get(id);
  const folding = emitter.foldings.get(id);
  const [scale, zeroPoint] = parametersOf(emitter, valuePlan?.root ?? id, number);
  // Exporters make long names, and each of these is stored several times, so new ones are numbered.
  const base = `q${number}`;
  const codes = editor.freshValue(base);
  emitter.codes.set(id, codes);
  let source = id;
  let result = id;
  if (valuePlan?.required === true && maker !== undefined) {
    source = editor.freshValue(`${base}_float`);
    const made = current.get(maker.id) ?? maker;
    const type = folding === undefined ? graph.values.get(id)?.type : undefined;
    editor.setValue({ id: source, name: source, ...(type && { type }) });
    const outputs = made.outputs.map((output) => (output === id ? source : output));
    update(emitter, { ...made, outputs });
  } else {
    result = editor.freshValue(`${base}_dq`);
  }
  const written = folding === undefined ? codes : editor.freshValue(`${base}_folded`);
  const pair = [
    qdq(editor, 'QuantizeLinear', [source, scale, zeroPoint], written, base),
    ...(folding === undefined ? [] : unfolded(editor, folding, written, codes)),
    qdq(editor, 'DequantizeLinear', [codes, scale, zeroPoint], result, base),
  ];
  if (maker === undefined) editor.insertFirst(pair);
  else editor.insertAfter(maker.id, pair);
  return result;
}

/** Scale and zero point of a root, stored once. */
function parametersOf(emitter: Emitter, root: ValueId, number: number): readonly [ValueId, ValueId] {
  let stored = emitter.parameters.get(root);
  if (stored === undefined) {
    const encoding = emitter.encodings.get(root) as Encoding;
    stored = storeEncoding(emitter.editor, `q${number}`, encoding);
    emitter.parameters.set(root, stored);
  }
  return stored;
}

function rewire(emitter: Emitter, plan: NodePlan, dequantized: ReadonlyMap<ValueId, ValueId>): void {
  const { node, weight, activations, constants, onCodes, folding } = plan;
  const { editor, graph } = emitter;
  const now = emitter.current.get(node.id) ?? node;
  const inputs = [...now.inputs];
  const before: Node[] = [];
  for (const index of activations) {
    const id = node.inputs[index] as ValueId;
    inputs[index] = dequantized.get(id) ?? id;
  }
  if (onCodes !== undefined) before.push(...changedCodes(emitter, plan, onCodes, inputs));
  if (
    operatorRule(emitter.rules, now.op, activationType(emitter.rules))?.kind === 'known' &&
    now.op === 'HardSigmoid'
  ) {
    update(emitter, ...hardSigmoid(emitter, now));
    return;
  }
  for (const index of constants) {
    const id = node.inputs[index] as ValueId;
    const tensor = readableConstant(graph, id) as Tensor;
    const encoding = targetEncoding(rangeOf(tensor), emitter.rules);
    const [scale, zeroPoint] = storeEncoding(editor, id, encoding);
    const codes = editor.addConstant(`${id}_quantized`, quantizeConstant(tensor, encoding));
    const result = editor.freshValue(`${id}_dq`);
    before.push(qdq(editor, 'DequantizeLinear', [codes, scale, zeroPoint], result, id));
    inputs[index] = result;
  }
  if (folding !== undefined) before.push(...foldedCodes(emitter, plan, folding, inputs));
  if (weight !== undefined) before.push(...weightNodes(emitter, plan, weight, inputs));
  const attributes = folding === undefined ? now.attributes : foldedAttributes(now, folding);
  update(emitter, { ...now, inputs, attributes }, before);
}
