import type { Attribute, Graph, Node, OnnxModel, ValueId } from '../../ir/model.ts';
import { attr, floatAttribute, intAttribute } from '../../ir/attribute.ts';
import { GraphEditor } from '../../ir/edit.ts';
import { KerfError } from '../../ir/errors.ts';
import { withMainGraph } from '../../ir/model.ts';
import { floatTensor, sizeOf } from '../../ir/numbers.ts';
import { dataTypeNumber } from '../../ir/onnxDataTypes.ts';
import type { Tensor } from '../../ir/tensor.ts';
import { indexOf } from '../../ir/walk.ts';
import type { PassContext, PassResult } from '../pass.ts';
import { readableConstant, reshaped, transposed } from '../support/constants.ts';
import type { Facts } from '../support/facts.ts';
import { bodyNotes } from '../support/bodies.ts';
import { factsOf } from '../support/facts.ts';
import { changedNodes, isOnnxOp, opsetOf, resultOf } from '../support/graph.ts';
import { raiseOpset } from '../support/opset.ts';
import { prepared } from '../support/prepare.ts';
import { quantizeWeight } from '../support/quantization.ts';
import { emitLstm, lstmDomain, lstmSize, lstmWeights } from './lstm.ts';

/** DynamicQuantizeLinear is new in opset 11. */
const neededOpset = 11;

interface Emitter {
  readonly graph: Graph;
  readonly editor: GraphEditor;
  readonly facts: Facts;
  /** Codes, scale and zero point of an activation, made once for all its readers. */
  readonly quantized: Map<ValueId, readonly [ValueId, ValueId, ValueId]>;
}

interface DynamicOptions {
  readonly conv: boolean;
  readonly smallest: number;
}

/**
 * Weights in int8 per output channel, activations quantized while the model runs:
 * DynamicQuantizeLinear, MatMulInteger, Cast, Mul, which ONNX Runtime joins into one kernel. LSTM has an operator of its own.
 */
export async function quantizeDynamicOnnx(
  model: OnnxModel,
  options: DynamicOptions,
  context: PassContext,
): Promise<PassResult> {
  const ready = await prepared(model, context, (node) => options.conv || node.op !== 'Conv');
  let start = ready.model;
  const notes = [...ready.notes];
  if (opsetOf(start) < neededOpset) {
    const raised = raiseOpset(start);
    if ('refusal' in raised) throw new KerfError('unsupported', `opset 11 is needed: ${raised.refusal}`);
    start = raised.model;
    notes.push(`opset ${opsetOf(model)} raised to ${opsetOf(start)}`);
  }
  const graph = start.graphs[0];
  const editor = new GraphEditor(graph, start);
  const emitter: Emitter = { graph, editor, facts: factsOf(start), quantized: new Map() };
  const allowed = (node: Node) => context.layers === undefined || context.layers.has(node.id);
  const { done, small, convolutions, recurrent } = emitAll(emitter, options, allowed);
  const remarks: string[] = [];
  if (convolutions > 0) {
    remarks.push(
      `${convolutions} Conv left float: with dynamic ranges they are slower on ONNX Runtime (option conv)`,
    );
  }
  if (small > 0) remarks.push(`${small} layers with fewer than ${options.smallest} weights left float`);
  remarks.push(...bodyNotes(model));
  // What was prepared is dropped as well, so nothing may be said of it.
  if (done === 0) return resultOf(model, model, [], ['no layer was quantized', ...remarks]);
  const result = editor.finish();
  if (recurrent > 0) {
    start = { ...start, opsets: new Map(start.opsets).set(lstmDomain, start.opsets.get(lstmDomain) ?? 1) };
    remarks.push(
      `${recurrent} LSTM as ONNX Runtime's own DynamicQuantizeLSTM, which other runtimes do not know`,
    );
  }
  const all = [
    ...notes,
    `${done} ${done === 1 ? 'layer quantizes its' : 'layers quantize their'} input while running`,
    ...remarks,
  ];
  return resultOf(model, withMainGraph(start, result), changedNodes(model.graphs[0], result), all);
}

/** How many layers were quantized, and how many were left for being too small or convolutions. */
function emitAll(emitter: Emitter, options: DynamicOptions, allowed: (node: Node) => boolean) {
  const counts = { done: 0, small: 0, convolutions: 0, recurrent: 0 };
  for (const node of emitter.graph.nodes) {
    const gates = allowed(node) ? lstmWeights(emitter.graph, emitter.facts, node) : undefined;
    if (gates !== undefined && lstmSize(gates) >= options.smallest) {
      emitLstm(emitter.editor, node, gates);
      counts.recurrent += 1;
      counts.done += 1;
    } else if (gates !== undefined) counts.small += 1;
    const weight = quantizable(emitter, node);
    if (weight === undefined || !allowed(node)) continue;
    if (node.op === 'Conv' && !options.conv) counts.convolutions += 1;
    else if (sizeOf(weight) < options.smallest) counts.small += 1;
    else {
      if (node.op === 'Conv') emitConv(emitter, node, weight);
      else emitMatMul(emitter, node, weight);
      counts.done += 1;
    }
  }
  return counts;
}

/** The weight of a layer with a constant float matrix or filter on its right-hand side. */
function quantizable({ graph, facts }: Emitter, node: Node): Tensor | undefined {
  if (!isOnnxOp(node, 'MatMul', 'Gemm', 'Conv') || node.inputs[0] == null) return undefined;
  const weight = readableConstant(graph, node.inputs[1]);
  if (weight?.dtype !== 'float32' || facts.dtypeOf(node.inputs[0]) !== 'float32') return undefined;
  if (readableConstant(graph, node.inputs[0]) !== undefined) return undefined;
  if (node.op === 'Conv') {
    const bias = node.inputs[2];
    return bias == null || readableConstant(graph, bias) !== undefined ? weight : undefined;
  }
  if (weight.dims.length !== 2) return undefined;
  if (node.op === 'MatMul') return weight;
  const plain = intAttribute(node, 'transA', 0) === 0 && floatAttribute(node, 'alpha', 1) === 1;
  return plain && (node.inputs[2] == null || floatAttribute(node, 'beta', 1) === 1) ? weight : undefined;
}

function emitMatMul(emitter: Emitter, node: Node, weight: Tensor): void {
  const { editor } = emitter;
  const output = node.outputs[0] as ValueId;
  // MatMulInteger wants [K, N].
  const matrix =
    node.op === 'Gemm' && intAttribute(node, 'transB', 0) !== 0 ? transposed(weight, [1, 0]) : weight;
  const base = node.inputs[1] as ValueId;
  const { tensor, scales } = quantizeWeight(matrix, 1);
  const codes = editor.addConstant(`${base}_quantized`, tensor);
  const scale = editor.addConstant(`${base}_scale`, floatTensor([scales.length], scales));
  const [x, xScale, xZero] = activation(emitter, node.inputs[0] as ValueId);
  const nodes = integerProduct(editor, node, 'MatMulInteger', [x, codes, xZero], new Map(), [xScale, scale]);
  finish(emitter, node, nodes, output, node.op === 'Gemm' ? node.inputs[2] : null);
}

function emitConv(emitter: Emitter, node: Node, weight: Tensor): void {
  const { editor, graph } = emitter;
  const output = node.outputs[0] as ValueId;
  const base = node.inputs[1] as ValueId;
  const { tensor, scales } = quantizeWeight(weight, 0);
  const perChannel = [scales.length, ...weight.dims.slice(2).map(() => 1)];
  const codes = editor.addConstant(`${base}_quantized`, tensor);
  const scale = editor.addConstant(`${base}_scale`, floatTensor(perChannel, scales));
  const [x, xScale, xZero] = activation(emitter, node.inputs[0] as ValueId);
  const inputs = [x, codes, xZero];
  const nodes = integerProduct(editor, node, 'ConvInteger', inputs, node.attributes, [xScale, scale]);
  const bias = readableConstant(graph, node.inputs[2]);
  const addend = bias && editor.addConstant(`${node.inputs[2]}_channels`, reshaped(bias, [1, ...perChannel]));
  finish(emitter, node, nodes, output, addend);
}

/** The integer product, converted to float and scaled; the last node's output is to be named by the caller. */
function integerProduct(
  editor: GraphEditor,
  node: Node,
  op: string,
  inputs: readonly ValueId[],
  attributes: ReadonlyMap<string, Attribute>,
  scales: readonly [ValueId, ValueId],
): Node[] {
  const base = node.outputs[0] as ValueId;
  const [sum, floats, scale, product] = ['integer', 'float', 'scale', 'product'].map((part) =>
    editor.freshValue(`${base}_${part}`),
  ) as [ValueId, ValueId, ValueId, ValueId];
  return [
    // The integer product keeps the id of the layer, so that the layer is still found by it.
    { ...node, op, domain: '', inputs, outputs: [sum], attributes },
    plain(editor, 'Cast', [sum], floats, new Map([['to', attr.int(dataTypeNumber('float32'))]])),
    plain(editor, 'Mul', scales, scale),
    plain(editor, 'Mul', [floats, scale], product),
  ];
}

function plain(
  editor: GraphEditor,
  op: string,
  inputs: readonly ValueId[],
  output: ValueId,
  attributes: ReadonlyMap<string, Attribute> = new Map(),
): Node {
  const id = editor.freshNode(`${output}/${op}`);
  return { id, name: id, op, domain: '', inputs, outputs: [output], attributes };
}

function finish(
  { editor }: Emitter,
  node: Node,
  nodes: readonly Node[],
  output: ValueId,
  bias: ValueId | null | undefined,
): void {
  const last = nodes.at(-1) as Node;
  if (bias == null) {
    editor.replaceNode(node.id, [...nodes.slice(0, -1), { ...last, outputs: [output] }]);
    return;
  }
  const product = last.outputs[0] as ValueId;
  editor.replaceNode(node.id, [...nodes, plain(editor, 'Add', [product, bias], output)]);
}

function activation(emitter: Emitter, id: ValueId): readonly [ValueId, ValueId, ValueId] {
  const { editor, graph, quantized } = emitter;
  const known = quantized.get(id);
  if (known !== undefined) return known;
  const parts = ['quantized', 'scale', 'zero_point'].map((part) => editor.freshValue(`${id}_${part}`));
  const [codes, scale, zero] = parts as [ValueId, ValueId, ValueId];
  const nodeId = editor.freshNode(`${id}/DynamicQuantizeLinear`);
  const node: Node = {
    id: nodeId,
    name: nodeId,
    op: 'DynamicQuantizeLinear',
    domain: '',
    inputs: [id],
    outputs: [codes, scale, zero],
    attributes: new Map(),
  };
  const maker = indexOf(graph).producer.get(id);
  if (maker === undefined) editor.insertFirst([node]);
  else editor.insertAfter(maker.id, [node]);
  quantized.set(id, [codes, scale, zero]);
  return [codes, scale, zero];
}
