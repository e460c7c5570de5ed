import { attr } from '../../../src/ir/attribute.ts';
import type { OnnxModel } from '../../../src/ir/model.ts';
import { OnnxBuilder } from './build.ts';

/** One of everything: residual, depthwise, squeeze, three activations, pooling, movement, a mean and a head. */
export function network(): OnnxModel {
  const g = new OnnxBuilder(4);
  g.input('x', [2, 3, 16, 16]);
  const conv = (
    from: string,
    to: string,
    dims: readonly number[],
    more: Record<string, number | readonly number[]> = {},
  ) => g.node('Conv', [from, g.floats(`${to}.w`, dims), g.floats(`${to}.b`, [dims[0] as number])], to, more);
  conv('x', 'a', [24, 3, 3, 3], { strides: [2, 2], pads: [1, 1, 1, 1] });
  g.node('HardSwish', ['a'], 'ah');
  conv('ah', 'd', [24, 1, 3, 3], { group: 24, pads: [1, 1, 1, 1] });
  g.node('Clip', ['d', g.floats('low', [], () => 0), g.floats('high', [], () => 6)], 'dc');
  g.node('GlobalAveragePool', ['dc'], 'p');
  g.node('Relu', [conv('p', 's', [6, 24, 1, 1])], 'sr');
  g.node('HardSigmoid', [conv('sr', 'u', [24, 6, 1, 1])], 'gate', { alpha: attr.float(1 / 6) });
  g.node('Mul', ['dc', 'gate'], 'm');
  g.node('Add', [conv('m', 'o', [24, 24, 1, 1]), 'ah'], 'sum');
  g.node('Sigmoid', ['sum'], 'sig');
  g.node('Mul', ['sum', 'sig'], 'silu');
  g.node('MaxPool', ['silu'], 'mp', { kernel_shape: [2, 2], strides: [2, 2] });
  g.node('Concat', ['mp', conv('mp', 'c', [8, 24, 1, 1])], 'cat', { axis: 1 });
  conv('cat', 'e', [32, 32, 1, 1]);
  g.node('ReduceMean', ['e'], 'mean', { axes: [2, 3], keepdims: 0 });
  g.node('Gemm', ['mean', g.floats('v', [32, 10]), g.floats('vb', [10])], 'logits');
  g.node('Softmax', ['logits'], 'y', { axis: 1 });
  return g.output('y').model(14);
}
