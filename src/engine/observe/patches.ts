import { intAttribute } from '../../ir/attribute.ts';
import type { DenseLayer } from '../../passes/support/denseLayer.ts';

/** Gives the vectors that a TFLite layer's weights meet, one position after another. */
interface VectorReader {
  readonly positions: number;
  /** Fills `vectors`, `groups` x `inputs`, from one position. */
  read(position: number, vectors: Float64Array): void;
}

/** Reads rows or patches of an activation of these dimensions. */
export function vectorReader(layer: DenseLayer, dims: readonly number[], data: Float64Array): VectorReader {
  return layer.kind === 'conv' ? patchReader(layer, dims, data) : rowReader(layer, data);
}

function rowReader({ inputs }: DenseLayer, data: Float64Array): VectorReader {
  return {
    positions: Math.floor(data.length / inputs),
    read: (position, vectors) => vectors.set(data.subarray(position * inputs, (position + 1) * inputs)),
  };
}

/** Patches of an NHWC map under a CONV_2D or DEPTHWISE_CONV_2D, taps before channels as its filter stores them. */
function patchReader(layer: DenseLayer, dims: readonly number[], data: Float64Array): VectorReader {
  const { node, weight, groups, inputs } = layer;
  const [batch = 1, height = 1, width = 1, channels = 1] = dims;
  const [, kernelHeight = 1, kernelWidth = 1] = weight.dims;
  const same = intAttribute(node, 'padding', 0) === 0;
  const rows = slide(height, kernelHeight, same, {
    stride: intAttribute(node, 'stride_h', 1),
    dilation: intAttribute(node, 'dilation_h_factor', 1),
  });
  const columns = slide(width, kernelWidth, same, {
    stride: intAttribute(node, 'stride_w', 1),
    dilation: intAttribute(node, 'dilation_w_factor', 1),
  });
  const narrow = channels / groups;
  return {
    positions: batch * rows.count * columns.count,
    read(position, vectors) {
      const image = Math.floor(position / (rows.count * columns.count));
      const top = (Math.floor(position / columns.count) % rows.count) * rows.stride - rows.before;
      const left = (position % columns.count) * columns.stride - columns.before;
      vectors.fill(0);
      for (let tap = 0; tap < kernelHeight * kernelWidth; tap += 1) {
        const y = top + Math.floor(tap / kernelWidth) * rows.dilation;
        const x = left + (tap % kernelWidth) * columns.dilation;
        if (y < 0 || y >= height || x < 0 || x >= width) continue;
        const from = ((image * height + y) * width + x) * channels;
        for (let c = 0; c < channels; c += 1) {
          const at = Math.floor(c / narrow) * inputs + tap * narrow + (c % narrow);
          vectors[at] = data[from + c] as number;
        }
      }
    },
  };
}

/** One axis of a TFLite window: SAME pads so that the map shrinks by the stride only, the odd element at the end. */
function slide(
  size: number,
  kernel: number,
  same: boolean,
  { stride, dilation }: { readonly stride: number; readonly dilation: number },
) {
  const reach = (kernel - 1) * dilation + 1;
  const count = same ? Math.ceil(size / stride) : Math.max(0, Math.floor((size - reach) / stride) + 1);
  const before = same ? Math.floor(Math.max(0, (count - 1) * stride + reach - size) / 2) : 0;
  return { count, before, stride, dilation };
}
