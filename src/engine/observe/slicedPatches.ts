import { attr, intsAttribute, stringAttribute } from '../../ir/attribute.ts';
import type { OnnxModel, ValueId } from '../../ir/model.ts';
import { intTensor } from '../../ir/numbers.ts';
import type { DenseLayer } from '../../passes/support/denseLayer.ts';
import { factsOf } from '../../passes/support/facts.ts';
import { opsetOf } from '../../passes/support/graph.ts';
import type { Builder } from './columnBuilder.ts';

/** Pad, Slice and Reshape take what they need as inputs from this version on. */
const firstOpset = 13;

/**
 * The patches under a convolution's window at every `step`-th position: one Slice of the padded input per tap, taps of a
 * channel together, then samples and positions. `undefined` where padding or size is not known beforehand.
 */
export function slicedPatches(
  model: OnnxModel,
  { node, weight, weightId, groups }: DenseLayer,
  activation: ValueId,
  step: number,
  { editor, add }: Builder,
): ValueId | undefined {
  const kernel = weight.dims.slice(2);
  const sizes = factsOf(model).typeOf(node.outputs[0])?.shape?.slice(2) ?? [];
  const isKnown = sizes.length === kernel.length && sizes.every((size) => typeof size === 'number');
  const padding = stringAttribute(node, 'auto_pad', 'NOTSET');
  if (!isKnown || opsetOf(model) < firstOpset || (padding !== 'NOTSET' && padding !== 'VALID'))
    return undefined;
  const constant = (name: string, numbers: readonly number[]) =>
    editor.addConstant(`${weightId}_kerf_${name}`, intTensor('int64', [numbers.length], numbers));
  const rank = kernel.length;
  const pads = padding === 'VALID' ? [] : (intsAttribute(node, 'pads') ?? []);
  let source = activation;
  if (pads.some((pad) => pad !== 0)) {
    const all = [0, 0, ...pads.slice(0, rank), 0, 0, ...pads.slice(rank)];
    source = add('Pad', [activation, constant('pads', all)]);
  }
  const strides = (intsAttribute(node, 'strides') ?? kernel.map(() => 1)).map((stride) => stride * step);
  const dilations = intsAttribute(node, 'dilations') ?? kernel.map(() => 1);
  const counts = sizes.map((size) => Math.ceil((size as number) / step));
  const axes = constant(
    'axes',
    kernel.map((_, i) => i + 2),
  );
  const steps = constant('steps', strides);
  const taps = kernel.reduce((product, dim) => product * dim, 1);
  const cut = Array.from({ length: taps }, (_, tap) => {
    const starts = placeOf(tap, kernel).map((at, i) => at * (dilations[i] as number));
    const ends = starts.map((at, i) => at + ((counts[i] as number) - 1) * (strides[i] as number) + 1);
    return add('Slice', [source, constant('starts', starts), constant('ends', ends), axes, steps]);
  });
  // Samples, taps, channels, positions; then channels, taps, samples, positions.
  const channels = (weight.dims[1] as number) * groups;
  const joined = cut.length === 1 ? (cut[0] as ValueId) : add('Concat', cut, { axis: attr.int(1) });
  const shaped = add('Reshape', [joined, constant('shape', [0, taps, channels, -1])]);
  return add('Transpose', [shaped], { perm: attr.ints([2, 1, 0, 3]) });
}

/** Where a tap stands in the kernel. */
function placeOf(tap: number, kernel: readonly number[]): readonly number[] {
  let rest = tap;
  return kernel
    .toReversed()
    .map((size) => {
      const at = rest % size;
      rest = Math.floor(rest / size);
      return at;
    })
    .toReversed();
}
