import type { Attribute, Graph, Node, OnnxModel, ValueId } from '../../ir/model.ts';
import { attr, bodiesOf, intAttribute } from '../../ir/attribute.ts';
import { GraphEditor } from '../../ir/edit.ts';
import { dataTypeNumber } from '../../ir/onnxDataTypes.ts';
import { tensorType } from '../../ir/types.ts';
import { indexOf } from '../../ir/walk.ts';
import { operatorOf } from '../../ops/registry.ts';
import { isBuiltin, isReadable, readableConstant } from '../support/constants.ts';
import type { Facts } from '../support/facts.ts';
import { isOnnxOp } from '../support/graph.ts';
import { halved } from './halves.ts';

const float32 = dataTypeNumber('float32');
const float16 = dataTypeNumber('float16');

/** Operators that stay float32: no float16 form in ONNX or its CPU runtime, or results that float16 cannot hold. */
const blocked = new Set([
  'Range',
  'CumSum',
  'NonMaxSuppression',
  'RoiAlign',
  'Resize',
  'Upsample',
  'TopK',
  'RandomNormal',
  'RandomUniform',
  'RandomNormalLike',
  'RandomUniformLike',
  'Multinomial',
  'Bernoulli',
  'EyeLike',
  'DequantizeLinear',
  'QuantizeLinear',
  'DynamicQuantizeLinear',
  'STFT',
  'DFT',
  'MelWeightMatrix',
]);

interface ComputeResult {
  readonly graph: Graph;
  readonly clamped: number;
  /** Operators that stayed float32, with their counts. */
  readonly left: ReadonlyMap<string, number>;
}

interface Converter {
  readonly graph: Graph;
  readonly editor: GraphEditor;
  /** Values that exist as float16 only. */
  readonly halves: Set<ValueId>;
  readonly casts: Map<string, ValueId>;
  clamped: number;
}

/** Lets the model compute in float16; its inputs and outputs stay float32, with Cast at the borders. */
export function computeHalves(
  model: OnnxModel,
  facts: Facts,
  allowed: (node: Node) => boolean,
): ComputeResult {
  const graph = model.graphs[0];
  const editor = new GraphEditor(graph, model);
  const converter: Converter = { graph, editor, halves: new Set(), casts: new Map(), clamped: 0 };
  const left = new Map<string, number>();
  for (const node of graph.nodes) {
    const floats = [...node.inputs, ...node.outputs].some((id) => facts.dtypeOf(id) === 'float32');
    if (floats && staysFloat(model, node, facts, allowed)) {
      if (allowed(node)) left.set(node.op, (left.get(node.op) ?? 0) + 1);
      convertInputs(converter, node, facts, 'float32');
    } else if (floats) convertNode(converter, node, facts);
  }
  return { graph: editor.finish(), clamped: converter.clamped, left };
}

/** Also when a type is unknown or a nested body reads values by name: nothing may end up with mixed types. */
function staysFloat(model: OnnxModel, node: Node, facts: Facts, allowed: (node: Node) => boolean): boolean {
  if (!allowed(node) || bodiesOf(node).length > 0 || blocked.has(node.op)) return true;
  if (operatorOf(model, node) === undefined || !isBuiltin(node)) return true;
  return [...node.inputs, ...node.outputs].some((id) => id !== null && facts.dtypeOf(id) === undefined);
}

function convertNode(converter: Converter, node: Node, facts: Facts): void {
  const { editor, halves, graph } = converter;
  const { isOutput } = indexOf(graph);
  const capturedLater = (id: ValueId) => (indexOf(graph).uses.get(id) ?? []).some((use) => use.index === -1);
  const inputs = inputsAs(converter, node, facts, 'float16');
  const after: Node[] = [];
  const outputs = node.outputs.map((id) => {
    if (id === null || facts.dtypeOf(id) !== 'float32') return id;
    const dims = facts.typeOf(id)?.shape;
    if (!isOutput.has(id) && !capturedLater(id)) {
      halves.add(id);
      editor.setValue({ ...(graph.values.get(id) ?? { id, name: id }), type: tensorType('float16', dims) });
      return id;
    }
    const half = editor.addValue(`${id}_fp16`, { type: tensorType('float16', dims) });
    after.push(cast(editor, half, id, float32));
    converter.casts.set(`${id}|float16`, half);
    return half;
  });
  editor.replaceNode(node.id, [{ ...node, inputs, outputs, attributes: retyped(converter, node) }]);
  if (after.length > 0) editor.insertAfter(node.id, after);
}

/** Attributes that name or hold float32. */
function retyped(converter: Converter, node: Node): ReadonlyMap<string, Attribute> {
  if (isOnnxOp(node, 'Cast') && intAttribute(node, 'to', 0) === float32) {
    return new Map(node.attributes).set('to', attr.int(float16));
  }
  const value = node.attributes.get('value');
  if (isOnnxOp(node, 'Constant', 'ConstantOfShape')) {
    if (value?.kind === 'tensor' && value.value.dtype === 'float32' && isReadable(value.value)) {
      const half = halved(value.value);
      converter.clamped += half.clamped;
      return new Map(node.attributes).set('value', attr.tensor(half.tensor));
    }
  }
  return node.attributes;
}

function convertInputs(converter: Converter, node: Node, facts: Facts, to: 'float32' | 'float16'): void {
  const inputs = inputsAs(converter, node, facts, to);
  const changed = inputs.some((id, i) => id !== node.inputs[i]);
  if (changed) converter.editor.replaceNode(node.id, [{ ...node, inputs }]);
}

function inputsAs(
  converter: Converter,
  node: Node,
  facts: Facts,
  to: 'float32' | 'float16',
): readonly (ValueId | null)[] {
  return node.inputs.map((id) => {
    if (id === null || facts.dtypeOf(id) !== 'float32') return id;
    const is = converter.halves.has(id) ? 'float16' : 'float32';
    return is === to ? id : converted(converter, id, to);
  });
}

/** The value in the other type: a constant is converted now, anything else by a Cast behind its producer. */
function converted(converter: Converter, id: ValueId, to: 'float32' | 'float16'): ValueId {
  const { editor, graph, casts } = converter;
  const known = casts.get(`${id}|${to}`);
  if (known !== undefined) return known;
  const constant = to === 'float16' ? readableConstant(graph, id) : undefined;
  let result: ValueId;
  if (constant?.dtype === 'float32') {
    const half = halved(constant);
    converter.clamped += half.clamped;
    result = editor.addConstant(`${id}_fp16`, half.tensor);
  } else {
    const type = graph.values.get(id)?.type;
    const shape = type?.kind === 'tensor' ? type.shape : undefined;
    result = editor.addValue(`${id}_${to === 'float16' ? 'fp16' : 'fp32'}`, { type: tensorType(to, shape) });
    const node = cast(editor, id, result, to === 'float16' ? float16 : float32);
    const maker = indexOf(graph).producer.get(id);
    if (maker === undefined) editor.insertFirst([node]);
    else editor.insertAfter(maker.id, [node]);
  }
  casts.set(`${id}|${to}`, result);
  return result;
}

function cast(editor: GraphEditor, from: ValueId, to: ValueId, type: number): Node {
  const id = editor.freshNode(`${to}/Cast`);
  return {
    id,
    name: id,
    op: 'Cast',
    domain: '',
    inputs: [from],
    outputs: [to],
    attributes: new Map([['to', attr.int(type)]]),
  };
}
