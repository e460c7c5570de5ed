import { attr } from '../../../../ir/attribute.ts';
import type { ValueId } from '../../../../ir/model.ts';
import type { Emission, Rule } from '../emission.ts';
import { channelsFirst, channelsLast } from './convolution.ts';

/**
 * MediaPipe's operators for segmentation (mediapipe/util/tflite/operations). Their options are the bytes of a C struct of
 * 32-bit numbers: padding (1 for SAME, 2 for VALID), stride and, of pools, window, width before height.
 */
function options(emission: Emission): { same: boolean; stride: [number, number]; window: [number, number] } {
  const stored = emission.node.attributes.get('custom_options');
  if (stored?.kind !== 'bytes' || stored.value.length < 12) return emission.refuse('its options are missing');
  const bytes = stored.value.read();
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const number = (place: number) => (4 * place + 4 <= bytes.byteLength ? view.getInt32(4 * place, true) : 0);
  return { same: number(0) === 1, stride: [number(2), number(1)], window: [number(4), number(3)] };
}

/** What a window reaches beyond the input, in front and behind, the odd pixel behind. */
function padding(totals: readonly number[]): readonly number[] {
  const before = totals.map((total) => Math.floor(total / 2));
  return [...before, ...totals.map((total, axis) => total - (before[axis] as number))];
}

function spatial(emission: Emission, index: number): readonly [number, number] {
  const [, height = 1, width = 1] = emission.shapeOf(emission.value(index));
  return [height, width];
}

/** Transposed convolution with a bias; filters are outputs, height, width, inputs. */
const transposeBias: Rule = (emission) => {
  const { stride } = options(emission);
  const kernel = spatial(emission, 1);
  const size = spatial(emission, 0);
  const [, height = 1, width = 1] = emission.shapeOf(emission.output());
  const surplus = [height, width].map(
    (out, axis) => ((size[axis] as number) - 1) * (stride[axis] as number) + (kernel[axis] as number) - out,
  );
  const made = emission.emit(
    'ConvTranspose',
    [
      channelsFirst(emission, emission.operand(0)),
      emission.weights(1, [3, 0, 1, 2], 1),
      ...(emission.has(2) ? [emission.operand(2)] : []),
    ],
    {
      kernel_shape: attr.ints(kernel),
      strides: attr.ints(stride),
      pads: attr.ints(padding(surplus.map((total) => Math.max(0, total)))),
      output_padding: attr.ints(surplus.map((total) => Math.max(0, -total))),
    },
  );
  return channelsLast(emission, made);
};

function windowOf(emission: Emission, pooled: readonly number[]) {
  const { same, stride, window } = options(emission);
  const totals = pooled.map((out, axis) =>
    same
      ? Math.max(
          0,
          (Math.ceil(out / (stride[axis] as number)) - 1) * (stride[axis] as number) +
            (window[axis] as number) -
            out,
        )
      : 0,
  );
  return {
    kernel_shape: attr.ints(window),
    strides: attr.ints(stride),
    pads: attr.ints(padding(totals)),
  };
}

/**
 * The second output says which pixel of its window was the largest. ONNX counts over the whole tensor instead, which the
 * operator that reads it does as well: nobody else may.
 */
const poolWithPlaces: Rule = (emission) => {
  const places = emission.node.outputs[1];
  if (places != null && !emission.onlyReadBy(places, 'MaxUnpooling2D'))
    emission.refuse('its second output goes elsewhere than to MaxUnpooling2D');
  const { name } = emission;
  const [values, indices] = emission.builder.emitMany(
    'MaxPool',
    [channelsFirst(emission, emission.operand(0))],
    [`${name}_largest`, `${name}_places`],
    windowOf(emission, spatial(emission, 0)),
  ) as [ValueId, ValueId];
  return [channelsLast(emission, values), indices];
};

const unpool: Rule = (emission) => {
  const [batch = 1, height = 1, width = 1, channels = 1] = emission.shapeOf(emission.output());
  const made = emission.emit(
    'MaxUnpool',
    [
      channelsFirst(emission, emission.operand(0)),
      emission.operand(1),
      emission.builder.int64(`${emission.name}_size`, [batch, channels, height, width]),
    ],
    windowOf(emission, [height, width]),
  );
  return channelsLast(emission, made);
};

export const mediapipeRules: Readonly<Record<string, Rule>> = {
  Convolution2DTransposeBias: transposeBias,
  MaxPoolingWithArgmax2D: poolWithPlaces,
  MaxUnpooling2D: unpool,
};

const audio =
  'the audio front end of TensorFlow Lite Micro rounds each step in fixed point as no operator of ONNX does: compute the features outside of the model';
const compiled =
  'what it computes is compiled for its chip and not in the file: convert the model that was compiled';

/** Why custom operators that are known are not converted. */
export const refusals: Readonly<Record<string, string>> = {
  PosenetDecoderOp:
    'it decodes poses with a queue of body parts, one after another, which no operators of ONNX can: cut the model before it (the pass extract) and decode outside',
  'ethos-u': compiled,
  'edgetpu-custom-op': compiled,
  ...Object.fromEntries(
    [
      'Window',
      'FftAutoScale',
      'Rfft',
      'Irfft',
      'Energy',
      'FilterBank',
      'FilterBankSquareRoot',
      'FilterBankSpectralSubtraction',
      'PCAN',
      'FilterBankLog',
      'Delay',
      'Framer',
      'OverlapAdd',
      'Stacker',
    ].map((name) => [`Signal${name}`, audio]),
  ),
};
