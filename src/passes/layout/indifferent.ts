import type { Indifferent, Surroundings, Rule } from './axisRule.ts';
import { rankOf, constant, made } from './axisRule.ts';
import type { Node, ValueId } from '../../ir/model.ts';
import { sizeOf } from '../../ir/numbers.ts';
import type { Tensor } from '../../ir/tensor.ts';
import { isBuiltin, reshaped, transposed } from '../support/constants.ts';
import { onnxAxisRules, tfliteAxisRules } from './axisRules.ts';

const onnxPointwise = new Set(
  (
    'Relu LeakyRelu Sigmoid Tanh Clip Elu Selu Celu HardSigmoid HardSwish Softplus Softsign ThresholdedRelu Mish Gelu ' +
    'Exp Log Sqrt Abs Neg Reciprocal Floor Ceil Round Sign Erf Sin Cos Cast Identity Not ' +
    'Add Sub Mul Div Pow Max Min Mean Sum PRelu Where Equal Less Greater LessOrEqual GreaterOrEqual And Or Xor Mod'
  ).split(' '),
);
const tflitePointwise = new Set(
  (
    'RELU RELU6 RELU_N1_TO_1 RELU_0_TO_1 LOGISTIC TANH HARD_SWISH ELU GELU LEAKY_RELU EXP LOG SQRT RSQRT ABS NEG ' +
    'SQUARE FLOOR CEIL ROUND SIN COS CAST QUANTIZE DEQUANTIZE SIGN LOGICAL_NOT ' +
    'ADD SUB MUL DIV POW MAXIMUM MINIMUM SQUARED_DIFFERENCE PRELU FLOOR_DIV FLOOR_MOD EQUAL NOT_EQUAL LESS GREATER ' +
    'LESS_EQUAL GREATER_EQUAL LOGICAL_AND LOGICAL_OR SELECT_V2'
  ).split(' '),
);

/** How a node follows the order of its axes; `undefined` when it does not. */
export function indifferent(around: Surroundings, node: Node): Indifferent | undefined {
  if (!isBuiltin(node) || node.outputs.length === 0) return undefined;
  const { model } = around;
  const pointwiseOps = model.dialect === 'onnx' ? onnxPointwise : tflitePointwise;
  if (pointwiseOps.has(node.op)) return pointwise(around, node);
  const rule = model.dialect === 'onnx' ? onnxAxisRules[node.op] : tfliteAxisRules[node.op];
  return rule?.(around, node);
}

/** Broadcasting lines axes up from the back, so every value has to have all of them; constants are filled up. */
const pointwise: Rule = (around, node) => {
  const rank = rankOf(around, node.outputs[0]);
  if (rank === undefined || rank < 2) return undefined;
  const values: ValueId[] = [];
  const tensors = new Map<number, Tensor>();
  for (const [index, id] of node.inputs.entries()) {
    if (id === null) continue;
    const tensor = constant(around, node, index);
    if (tensor !== undefined && tensor.dims.length <= rank) {
      if (sizeOf(tensor) > 1) tensors.set(index, tensor);
      continue;
    }
    const own = rankOf(around, id);
    if (own === 0) continue;
    if (own !== rank) return undefined;
    values.push(id);
  }
  if (hasAxisScale(around, node)) return undefined;
  return {
    values: [...values, ...made(node)],
    reordered(order, editor) {
      const inputs = [...node.inputs];
      for (const [index, tensor] of tensors) {
        const filled = [...Array<number>(rank - tensor.dims.length).fill(1), ...tensor.dims];
        const id = `${node.inputs[index] ?? node.id}_${order.join('')}`;
        inputs[index] = editor.addConstant(
          id,
          transposed(reshaped(tensor, filled), order),
          quantizationOf(around, node, index),
        );
      }
      return { ...node, inputs };
    },
  };
};

function quantizationOf({ model }: Surroundings, node: Node, index: number) {
  const id = node.inputs[index];
  return id == null ? undefined : model.graphs[0].values.get(id)?.quantization;
}

/** TFLite tensors with one scale per index of an axis: the axis would have to follow in places we do not touch. */
function hasAxisScale({ model }: Surroundings, node: Node): boolean {
  const { values } = model.graphs[0];
  return [...node.inputs, ...node.outputs].some(
    (id) => id !== null && (values.get(id)?.quantization?.scale.length ?? 0) > 1,
  );
}
