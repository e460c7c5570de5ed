import { attr, intsAttribute, stringAttribute } from '../../ir/attribute.ts';
import type { OnnxModel, ValueId } from '../../ir/model.ts';
import { floatTensor, intTensor } from '../../ir/numbers.ts';
import type { DenseLayer } from '../../passes/support/denseLayer.ts';
import { factsOf } from '../../passes/support/facts.ts';
import { opsetOf } from '../../passes/support/graph.ts';
import type { Builder } from './columnBuilder.ts';

/** Pad, Slice and Reshape take what they need as inputs from this version on. */
const firstOpset = 13;

/** Kernels of up to so many taps are read by convolutions. */
const mostFilters = 9;

/**
 * The patches under a convolution's window at every `step`-th position: channels, taps of a channel, samples, positions.
 * What reads a tap of a few of the positions stays in the blocked layout in which the runtime's convolutions write, so that
 * whole feature maps are neither turned nor padded: a depthwise convolution with one filter of zeros and a one, or, of a single tap, pooling
 * over windows of one. Large kernels take one Slice of the padded input per tap. `undefined` where padding or size is not
 * known beforehand.
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
  const rank = kernel.length;
  const strides = (intsAttribute(node, 'strides') ?? kernel.map(() => 1)).map((stride) => stride * step);
  const dilations = intsAttribute(node, 'dilations') ?? kernel.map(() => 1);
  const pads =
    padding === 'VALID'
      ? kernel.flatMap(() => [0, 0])
      : (intsAttribute(node, 'pads') ?? kernel.flatMap(() => [0, 0]));
  const counts = sizes.map((size) => Math.ceil((size as number) / step));
  const taps = kernel.reduce((product, dim) => product * dim, 1);
  const channels = (weight.dims[1] as number) * groups;
  const constant = (name: string, numbers: readonly number[]) =>
    editor.addConstant(`${weightId}_kerf_${name}`, intTensor('int64', [numbers.length], numbers));

  const pooled = () =>
    add('MaxPool', [activation], { kernel_shape: attr.ints(kernel), strides: attr.ints(strides) });
  const filtered = (tap: number) => {
    const filters = new Float32Array(channels * taps);
    for (let at = tap; at < filters.length; at += taps) filters[at] = 1;
    const filter = editor.addConstant(`${weightId}_kerf_tap`, floatTensor([channels, 1, ...kernel], filters));
    return add('Conv', [activation, filter], {
      group: attr.int(channels),
      kernel_shape: attr.ints(kernel),
      strides: attr.ints(strides),
      dilations: attr.ints(dilations),
      pads: attr.ints(pads),
    });
  };
  let padded: ValueId | undefined;
  const sliced = (tap: number) => {
    const all = [0, 0, ...pads.slice(0, rank), 0, 0, ...pads.slice(rank)];
    padded ??= pads.some((pad) => pad !== 0) ? add('Pad', [activation, constant('pads', all)]) : activation;
    const starts = placeOf(tap, kernel).map((at, i) => at * (dilations[i] as number));
    const ends = starts.map((at, i) => at + ((counts[i] as number) - 1) * (strides[i] as number) + 1);
    const axes = constant(
      'axes',
      kernel.map((_, i) => i + 2),
    );
    return add('Slice', [
      padded,
      constant('starts', starts),
      constant('ends', ends),
      axes,
      constant('steps', strides),
    ]);
  };
  const cut = Array.from({ length: taps }, (_, tap) =>
    taps > mostFilters
      ? sliced(tap)
      : taps > 1 || pads.some((pad) => pad !== 0)
        ? filtered(tap)
        : strides.every((s) => s === 1)
          ? activation
          : pooled(),
  );
  // Samples, taps, channels, positions; then channels, taps, samples, positions.
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
