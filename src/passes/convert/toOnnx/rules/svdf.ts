import { attr, intAttribute } from '../../../../ir/attribute.ts';
import { floatTensor } from '../../../../ir/numbers.ts';
import type { Rule } from '../emission.ts';
import { rounded } from './rounded.ts';

/**
 * The last results of each feature filter, weighed in time, and filters of one unit summed (Nakkiran et al., 2015). The
 * memory is the state, one row per filter, the newest entry last.
 */
export const svdf: Rule = (emission) => {
  const state = 4;
  const { builder, name, node } = emission;
  const [batch = 1] = emission.shapeOf(emission.value(0));
  const [filters = 1, width = 1] = emission.shapeOf(emission.value(1));
  const [, memory = 1] = emission.shapeOf(emission.value(2));
  const rank = Math.max(1, intAttribute(node, 'rank', 1));
  const constant = (index: number, dims: readonly number[], suffix: string) =>
    builder.constant(`${name}_${suffix}`, floatTensor(dims, emission.reals(index)));
  const features = emission.emit(
    'Gemm',
    [emission.reshape(emission.operand(0), [batch, width]), constant(1, [filters, width], 'features')],
    { transB: attr.int(1) },
  );
  const ints = (suffix: string, values: readonly number[]) => builder.int64(`${name}_${suffix}`, values);
  const past = emission.emit('Slice', [
    emission.reshape(emission.state(state), [batch, filters, memory]),
    ints('from', [1]),
    ints('to', [memory]),
    ints('axis', [2]),
  ]);
  const newest = rounded(emission, emission.reshape(features, [batch, filters, 1]), state);
  const window = emission.emit('Concat', [past, newest], { axis: attr.int(2) });
  emission.nextState(state, emission.reshape(window, [batch, filters * memory]));
  const weighed = emission.emit('Mul', [window, constant(2, [1, filters, memory], 'time')]);
  const perUnit = emission.reshape(weighed, [batch, filters / rank, rank * memory]);
  const sum = emission.emit('ReduceSum', [perUnit, ints('unit', [2])], { keepdims: attr.int(0) });
  return emission.has(3) ? emission.emit('Add', [sum, constant(3, [filters / rank], 'bias')]) : sum;
};
