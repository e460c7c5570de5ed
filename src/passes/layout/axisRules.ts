import type { Attribute, Node, ValueId } from '../../ir/model.ts';
import { attr, intAttribute, intsAttribute } from '../../ir/attribute.ts';
import { intTensor, readIntegers } from '../../ir/numbers.ts';
import type { Tensor } from '../../ir/tensor.ts';
import { opsetOf } from '../support/graph.ts';
import type { Rule } from './axisRule.ts';
import { constant, integers, made, rankOf } from './axisRule.ts';
import type { Order } from './order.ts';
import { ordered } from './order.ts';

function withAttribute(node: Node, name: string, value: Attribute): Node {
  return { ...node, attributes: new Map(node.attributes).set(name, value) };
}

function positive(axis: number, rank: number): number {
  return axis < 0 ? axis + rank : axis;
}

function isAxis(axis: number, rank: number): boolean {
  return Number.isInteger(axis) && axis >= -rank && axis < rank;
}

/** Operators with one `axis` attribute, of a value that is their first input. */
function alongAxis(fallback: number, data: (node: Node) => readonly ValueId[]): Rule {
  return (around, node) => {
    const rank = rankOf(around, node.outputs[0]);
    const values = data(node);
    if (rank === undefined || rank < 2 || values.some((id) => rankOf(around, id) !== rank)) return undefined;
    const given = intAttribute(node, 'axis', fallback);
    if (!isAxis(given, rank)) return undefined;
    const axis = positive(given, rank);
    return {
      values: [...values, ...made(node)],
      reordered: (order) => withAttribute(node, 'axis', attr.int(order.indexOf(axis))),
    };
  };
}

const first = (node: Node) => (node.inputs[0] == null ? [] : [node.inputs[0]]);
const all = (node: Node) => node.inputs.filter((id) => id !== null);

/** One scale for all, or one per index of an axis that follows. */
const quantize: Rule = (around, node) => {
  const rank = rankOf(around, node.inputs[0]);
  const scale = around.facts.typeOf(node.inputs[1])?.shape;
  if (rank === undefined || rank < 2 || scale === undefined || intAttribute(node, 'block_size', 0) > 0)
    return undefined;
  const axis = positive(intAttribute(node, 'axis', 1), rank);
  return {
    values: [...first(node), ...made(node)],
    reordered: (order) =>
      scale.length === 0 ? node : withAttribute(node, 'axis', attr.int(order.indexOf(axis))),
  };
};

/** Constant lists of axes and amounts: a constant input is replaced, an attribute rewritten. */
const pad: Rule = (around, node) => {
  const rank = rankOf(around, node.outputs[0]);
  const amounts = integers(around, node, 1);
  if (rank === undefined || amounts?.length !== 2 * rank || node.inputs[3] != null) return undefined;
  return {
    values: [...first(node), ...made(node)],
    reordered(order, editor) {
      const next = [...ordered(amounts.slice(0, rank), order), ...ordered(amounts.slice(rank), order)];
      const id = editor.addConstant(`${node.id}_pads`, intTensor('int64', [2 * rank], next));
      return { ...node, inputs: node.inputs.map((each, i) => (i === 1 ? id : each)) };
    },
  };
};

const slice: Rule = (around, node) => {
  const rank = rankOf(around, node.outputs[0]);
  const axes =
    node.inputs[3] == null ? integers(around, node, 1)?.map((_, i) => i) : integers(around, node, 3);
  if (rank === undefined || axes === undefined || !axes.every((axis) => isAxis(axis, rank))) return undefined;
  return {
    values: [...first(node), ...made(node)],
    reordered(order, editor) {
      const next = axes.map((axis) => order.indexOf(positive(axis, rank)));
      const id = editor.addConstant(`${node.id}_axes`, intTensor('int64', [next.length], next));
      const inputs = Array.from(
        { length: Math.max(4, node.inputs.length) },
        (_, i) => node.inputs[i] ?? null,
      );
      inputs[3] = id;
      return { ...node, inputs };
    },
  };
};

/** Without kept axes the result has another rank: it stays only if the remaining axes keep their order. */
function reduction(sinceInput: number, dialect: 'onnx' | 'tflite'): Rule {
  return (around, node) => {
    const { model } = around;
    const rank = rankOf(around, node.inputs[0]);
    const asInput = dialect === 'tflite' || (model.dialect === 'onnx' && opsetOf(model) >= sinceInput);
    const axes = asInput ? integers(around, node, 1) : intsAttribute(node, 'axes');
    if (rank === undefined || axes === undefined || !axes.every((axis) => isAxis(axis, rank)))
      return undefined;
    const reduced = new Set(axes.map((axis) => positive(axis, rank)));
    const keeps =
      intAttribute(node, dialect === 'onnx' ? 'keepdims' : 'keep_dims', dialect === 'onnx' ? 1 : 0) === 1;
    const remaining = (order: Order) => order.filter((axis) => !reduced.has(axis));
    return {
      values: [...first(node), ...(keeps ? made(node) : [])],
      refuses: (order) =>
        !keeps && remaining(order).some((axis, i, list) => i > 0 && axis < (list[i - 1] as number)),
      reordered(order, editor) {
        const next = [...reduced].map((axis) => order.indexOf(axis)).sort((a, b) => a - b);
        if (!asInput) return withAttribute(node, 'axes', attr.ints(next));
        const dtype = dialect === 'onnx' ? 'int64' : 'int32';
        const id = editor.addConstant(`${node.id}_axes`, intTensor(dtype, [next.length], next));
        return { ...node, inputs: node.inputs.map((each, i) => (i === 1 ? id : each)) };
      },
    };
  };
}

/** PAD, PADV2, MIRROR_PAD and TILE have one row of their constant per axis. */
const perAxisRows: Rule = (around, node) => {
  const rank = rankOf(around, node.outputs[0]);
  const tensor = constant(around, node, 1);
  const numbers = integers(around, node, 1);
  if (rank === undefined || tensor?.dims[0] !== rank || numbers === undefined) return undefined;
  const width = numbers.length / rank;
  return {
    values: [...first(node), ...made(node)],
    reordered(order, editor) {
      const rows = order.flatMap((axis) => numbers.slice(axis * width, (axis + 1) * width));
      const id = editor.addConstant(`${node.id}_amounts`, intTensor(tensor.dtype, tensor.dims, rows));
      return { ...node, inputs: node.inputs.map((each, i) => (i === 1 ? id : each)) };
    },
  };
};

/** Begins, sizes and strides in one constant each, one number per axis; masks would have to follow bit by bit. */
function perAxisVectors(indices: readonly number[], masks: readonly string[]): Rule {
  return (around, node) => {
    const rank = rankOf(around, node.outputs[0]);
    const tensors = indices.map((index) => integers(around, node, index) && constant(around, node, index));
    if (rank === undefined || masks.some((name) => intAttribute(node, name, 0) !== 0)) return undefined;
    if (tensors.some((tensor) => tensor?.dims[0] !== rank)) return undefined;
    return {
      values: [...first(node), ...made(node)],
      reordered(order, editor) {
        const inputs = [...node.inputs];
        for (const [i, index] of indices.entries()) {
          const tensor = tensors[i] as Tensor;
          const next = intTensor(tensor.dtype, tensor.dims, ordered(readIntegers(tensor), order));
          inputs[index] = editor.addConstant(`${node.id}_${index}`, next);
        }
        return { ...node, inputs };
      },
    };
  };
}

/** SPLIT and SPLIT_V name the axis in a constant. */
function splitAlong(data: number, axisInput: number): Rule {
  return (around, node) => {
    const tensor = constant(around, node, axisInput);
    const rank = rankOf(around, node.inputs[data]);
    const value = node.inputs[data];
    const [given] = integers(around, node, axisInput) ?? [];
    if (tensor === undefined || rank === undefined || value == null) return undefined;
    if (given === undefined || !isAxis(given, rank)) return undefined;
    const axis = positive(given, rank);
    return {
      values: [value, ...made(node)],
      reordered(order, editor) {
        const id = editor.addConstant(
          `${node.id}_axis`,
          intTensor('int32', tensor.dims, [order.indexOf(axis)]),
        );
        return { ...node, inputs: node.inputs.map((each, i) => (i === axisInput ? id : each)) };
      },
    };
  };
}

/** Before opset 13 Softmax flattens all axes from its own on. */
const softmax: Rule = (around, node) =>
  around.model.dialect === 'onnx' && opsetOf(around.model) >= 13
    ? alongAxis(-1, first)(around, node)
    : undefined;

/** Operators that name axes, by name. */
export const onnxAxisRules: Readonly<Record<string, Rule>> = {
  QuantizeLinear: quantize,
  DequantizeLinear: quantize,
  Concat: alongAxis(0, all),
  Split: alongAxis(0, first),
  Softmax: softmax,
  LogSoftmax: softmax,
  Pad: pad,
  Slice: slice,
  ReduceMean: reduction(18, 'onnx'),
  ReduceMax: reduction(18, 'onnx'),
  ReduceMin: reduction(18, 'onnx'),
  ReduceSum: reduction(13, 'onnx'),
  ReduceL2: reduction(18, 'onnx'),
  ReduceSumSquare: reduction(18, 'onnx'),
};

const reduceTflite = reduction(0, 'tflite');

export const tfliteAxisRules: Readonly<Record<string, Rule>> = {
  CONCATENATION: alongAxis(0, all),
  SPLIT: splitAlong(1, 0),
  SPLIT_V: splitAlong(0, 2),
  PAD: perAxisRows,
  PADV2: perAxisRows,
  MIRROR_PAD: perAxisRows,
  TILE: perAxisRows,
  SLICE: perAxisVectors([1, 2], []),
  STRIDED_SLICE: perAxisVectors(
    [1, 2, 3],
    ['begin_mask', 'end_mask', 'ellipsis_mask', 'new_axis_mask', 'shrink_axis_mask'],
  ),
  MEAN: reduceTflite,
  SUM: reduceTflite,
  REDUCE_MAX: reduceTflite,
  REDUCE_MIN: reduceTflite,
};
