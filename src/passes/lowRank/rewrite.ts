import type { Attribute, Model, Node, Value, ValueId } from '../../ir/model.ts';
import { attr, floatAttribute } from '../../ir/attribute.ts';
import type { GraphEditor } from '../../ir/edit.ts';
import { floatTensor, readFloats } from '../../ir/numbers.ts';
import { tensorType } from '../../ir/types.ts';
import { readableConstant } from '../support/constants.ts';
import type { DenseLayer } from '../support/denseLayer.ts';
import { isOnnxOp, soleReader } from '../support/graph.ts';
import type { Factors } from './spectrum.ts';

/** Puts two layers in the place of one; the second keeps its id, its output and its fused activation. */
export function splitLayer(
  model: Model,
  editor: GraphEditor,
  layer: DenseLayer,
  factors: Factors,
  bias: Float64Array,
): void {
  const { node, outputs, inputs, weight, weightId } = layer;
  const rank = factors.down.length / inputs;
  const scale = node.op === 'Gemm' ? floatAttribute(node, 'alpha', 1) : 1;
  const shifted = bias.map((value, i) => value + scale * (factors.shift[i] as number));
  const constant = (suffix: string, dims: readonly number[], data: Float64Array) =>
    editor.addConstant(`${weightId}_${suffix}`, floatTensor(dims, Float32Array.from(data)));
  const firstDims = layer.outputsFirst ? [rank, ...weight.dims.slice(1)] : [inputs, rank];
  const down = constant(
    'down',
    firstDims,
    layer.outputsFirst ? factors.down : turned(factors.down, rank, inputs),
  );
  const ones = weight.dims.slice(2).map(() => 1);
  const pointwise = model.dialect === 'onnx' ? [outputs, rank, ...ones] : [outputs, ...ones, rank];
  const secondDims =
    layer.kind === 'conv' ? pointwise : layer.outputsFirst ? [outputs, rank] : [rank, outputs];
  const up = constant('up', secondDims, layer.outputsFirst ? factors.up : turned(factors.up, outputs, rank));
  const between = editor.addValue(`${node.outputs[0]}_low`, narrowed(model, node, rank));
  const id = editor.freshNode(`${node.id}/low`);
  const first: Node = { ...node, id, name: node.name === '' ? '' : id, outputs: [between] };
  if (node.op === 'MatMul') {
    const output = shiftAfter(model, editor, layer, factors.shift);
    const second: Node = { ...node, inputs: [between, up], outputs: [output.of] };
    editor.replaceNode(node.id, [{ ...first, inputs: [layer.activation, down] }, second, ...output.nodes]);
    return;
  }
  const biasId = constant('bias', [outputs], shifted);
  // Gemm needs its third input in old opsets, and TFLite kernels expect a bias.
  const none = node.op === 'Conv' ? [] : [constant('zero', [rank], new Float64Array(rank))];
  editor.replaceNode(node.id, [
    { ...first, inputs: [layer.activation, down, ...none], attributes: firstAttributes(node) },
    { ...node, inputs: [between, up, biasId], attributes: secondAttributes(node, ones) },
  ]);
}

function turned(matrix: Float64Array, rows: number, columns: number): Float64Array {
  return matrix.map((_, i) => matrix[(i % rows) * columns + Math.floor(i / rows)] as number);
}

/** TFLite tensors declare their shape; ONNX leaves the value between the factors to inference. */
function narrowed(model: Model, node: Node, rank: number): Omit<Value, 'id' | 'name'> {
  const type = model.graphs[0].values.get(node.outputs[0] as ValueId)?.type;
  if (type?.kind !== 'tensor' || type.shape === undefined) return { type: tensorType('float32') };
  const shape = type.shape.slice();
  shape[model.dialect === 'onnx' && node.op === 'Conv' ? 1 : shape.length - 1] = rank;
  return { type: { ...type, shape } };
}

function firstAttributes(node: Node): ReadonlyMap<string, Attribute> {
  const attributes = new Map(node.attributes);
  if (node.op === 'Gemm') attributes.delete('beta');
  if (attributes.has('fused_activation_function'))
    attributes.set('fused_activation_function', { kind: 'enum', value: 0, name: 'NONE' });
  return attributes;
}

/** A 1x1 window at every position, and no factors: they are in the weights already. */
function secondAttributes(node: Node, ones: readonly number[]): ReadonlyMap<string, Attribute> {
  if (node.op === 'Conv') return new Map([['kernel_shape', attr.ints(ones)]]);
  const attributes = new Map(node.attributes);
  attributes.delete('alpha');
  attributes.delete('beta');
  if (node.op !== 'CONV_2D') return attributes;
  attributes.set('padding', { kind: 'enum', value: 1, name: 'VALID' });
  for (const name of ['stride_w', 'stride_h', 'dilation_w_factor', 'dilation_h_factor'])
    attributes.set(name, attr.int(1));
  return attributes;
}

interface Shifted {
  /** Where the product goes. */
  readonly of: ValueId;
  readonly nodes: readonly Node[];
}

/** MatMul has no bias: the shift goes into the Add behind it, or into a new one. */
function shiftAfter(model: Model, editor: GraphEditor, layer: DenseLayer, shift: Float64Array): Shifted {
  const graph = model.graphs[0];
  const output = layer.node.outputs[0] as ValueId;
  if (shift.every((value) => value === 0)) return { of: output, nodes: [] };
  const reader = soleReader(graph, output);
  const side =
    reader !== undefined && isOnnxOp(reader, 'Add') ? reader.inputs.findIndex((id) => id !== output) : -1;
  const tensor = side < 0 ? undefined : readableConstant(graph, reader?.inputs[side]);
  const fits = tensor?.dtype === 'float32' && tensor.dims.length === 1 && tensor.dims[0] === layer.outputs;
  if (reader !== undefined && fits) {
    const sum = readFloats(tensor).map((value, i) => value + (shift[i] as number));
    const inputs = [...reader.inputs];
    inputs[side] = editor.addConstant(`${layer.weightId}_bias`, floatTensor([layer.outputs], sum));
    editor.replaceNode(reader.id, [{ ...reader, inputs }]);
    return { of: output, nodes: [] };
  }
  const product = editor.addValue(`${output}_product`, { type: tensorType('float32') });
  const constant = editor.addConstant(
    `${layer.weightId}_bias`,
    floatTensor([layer.outputs], Float32Array.from(shift)),
  );
  const id = editor.freshNode(`${layer.node.id}/shift`);
  const add: Node = {
    id,
    name: id,
    op: 'Add',
    domain: '',
    inputs: [product, constant],
    outputs: [output],
    attributes: new Map(),
  };
  return { of: product, nodes: [add] };
}
