import { attr, intAttribute } from '../../../../ir/attribute.ts';
import type { ValueId } from '../../../../ir/model.ts';
import type { Rule } from '../emission.ts';
import { channelsFirst, channelsLast } from './convolution.ts';

/**
 * Where a pixel of the result lies in the input, and which neighbour is the nearest, as LiteRT's reference kernels have
 * it: with half-pixel centres the nearest is floor((x + 0.5) scale), with aligned corners it is rounded.
 */
function resize(mode: 'linear' | 'nearest'): Rule {
  return (emission) => {
    const { node, builder, name } = emission;
    const [batch = 1, , , channels = 1] = emission.shapeOf(emission.value(0));
    const [, height = 1, width = 1] = emission.shapeOf(emission.output());
    const aligned = intAttribute(node, 'align_corners', 0) === 1;
    const centred = intAttribute(node, 'half_pixel_centers', 0) === 1;
    const coordinates = aligned ? 'align_corners' : centred ? 'half_pixel' : 'asymmetric';
    const sizes = builder.int64(`${name}_sizes`, [batch, channels, height, width]);
    const resized = (value: ValueId) =>
      channelsLast(
        emission,
        emission.emit('Resize', [channelsFirst(emission, value), null, null, sizes], {
          mode: attr.string(mode),
          coordinate_transformation_mode: attr.string(coordinates),
          ...(mode === 'nearest' && {
            nearest_mode: attr.string(aligned || centred ? 'round_prefer_ceil' : 'floor'),
          }),
        }),
      );
    const codes = emission.codes(0);
    if (mode === 'nearest' || codes?.storage.dtype !== 'uint8') return resized(emission.operand(0));
    // Integer kernels blend whole codes and round halves up (XNNPACK, u8-ibilinear).
    const whole = (scale: number) => ({ scale: Float32Array.of(scale), zeroPoint: [0], axis: 0 });
    const made = resized(builder.dequantize(codes.id, `${name}_whole`, 'uint8', whole(1)));
    emission.setCodes(builder.quantize(made, name, 'uint8', whole(1 - 2 ** -18)));
    return made;
  };
}

export const resizeRules: Readonly<Record<string, Rule>> = {
  RESIZE_BILINEAR: resize('linear'),
  RESIZE_NEAREST_NEIGHBOR: resize('nearest'),
};
