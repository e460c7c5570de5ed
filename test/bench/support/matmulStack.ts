import type { Node, OnnxModel, Value } from '../../../src/ir/model.ts';
import type { Tensor } from '../../../src/ir/tensor.ts';
import { tensorType } from '../../../src/ir/types.ts';
import { onnxModel } from '../../unit/support/onnxModel.ts';

/** As many square products, one behind the other, as there are weights. */
export function matmulStack(weights: readonly Tensor[], opset = 17): OnnxModel {
  const type = tensorType('float32', [1, weights[0]?.dims[0] ?? 0]);
  const values = new Map<string, Value>([['x', { id: 'x', name: 'x', type }]]);
  const nodes = weights.map((constant, index): Node => {
    const id = `n${index}`;
    const weight = `w${index}`;
    const output = index === weights.length - 1 ? 'y' : `h${index}`;
    values.set(weight, {
      id: weight,
      name: weight,
      type: tensorType(constant.dtype, constant.dims),
      constant,
    });
    const inputs = [index === 0 ? 'x' : `h${index - 1}`, weight];
    return { id, name: id, op: 'MatMul', domain: '', inputs, outputs: [output], attributes: new Map() };
  });
  values.set('y', { id: 'y', name: 'y', type });
  return onnxModel({ name: 'stack', inputs: ['x'], outputs: ['y'], nodes, values }, opset);
}
