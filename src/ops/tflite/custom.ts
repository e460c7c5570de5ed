import type { Node } from '../../ir/model.ts';
import type { Dim } from '../../ir/types.ts';
import { known } from '../known.ts';
import type { CostContext, Known, OpContext, OpCost, OpFamily, Operator } from '../operator.ts';
import { type FlexScalar, readFlexMap } from '../../ir/flexMap.ts';
import { asDeclared, inputCount, outputCount, outputShape, perInput, perOutput, unknownCost } from './kit.ts';

type Rest = Partial<Omit<Operator, 'dialect' | 'domain' | 'name' | 'family' | 'infer'>>;

/** An operator outside the schema, by the code under which its runtime registers it. */
function custom(name: string, family: OpFamily, infer: Operator['infer'], more: Rest = {}): Operator {
  return { dialect: 'tflite', domain: 'custom', name, family, infer, ...more };
}

/**
 * Options of a custom operator that keeps them as a FlexBuffer map, `undefined` where it has none.
 * Throws `KerfError('malformed')` when the bytes are no such map.
 */
export function flexOptions(node: Node): ReadonlyMap<string, FlexScalar | undefined> | undefined {
  const attribute = node.attributes.get('custom_options');
  return attribute?.kind === 'bytes' ? readFlexMap(attribute.value.read()) : undefined;
}

/** Boxes, classes, scores and their number; files declare scalars here (LiteRT, detection_postprocess.cc). */
function inferDetection(context: OpContext): readonly Known[] {
  const rows = detections(context.node);
  return [[1, rows, 4], [1, rows], [1, rows], [1]].map((shape) => known('float32', shape));
}

function detections(node: Node): Dim {
  const options = optionsIfReadable(node);
  const most = options?.get('max_detections');
  return typeof most === 'number' ? most * Number(options?.get('max_classes_per_detection') ?? 1) : null;
}

/** Options that cannot be read leave shapes unknown; the conversion names what is wrong with them. */
function optionsIfReadable(node: Node): ReadonlyMap<string, FlexScalar | undefined> | undefined {
  try {
    return flexOptions(node);
  } catch {
    return undefined;
  }
}

/** 2.5·n·log2(n) per real transform, half of the usual count for a complex one; `extra` values beside the n. */
function realFourierCost(extra: number): (context: CostContext) => OpCost {
  return (context) => {
    const last = outputShape(context)?.at(-1);
    const outputs = outputCount(context);
    if (typeof last !== 'number' || last <= extra || outputs === undefined) return unknownCost;
    const length = last - extra;
    const transforms = outputs / last;
    return {
      macs: 0,
      otherOps: Math.round(transforms * 2.5 * length * Math.log2(Math.max(2, length))),
      formula: `${transforms} × 2.5·${length}·log2(${length})`,
    };
  };
}

/** Energies meet a weight and its complement, once per stored weight. */
function filterBankCost(context: CostContext): OpCost {
  const weights = inputCount(context, 1);
  if (weights === undefined) return unknownCost;
  return { macs: 0, otherOps: weights * 4, formula: `${weights} weights × 4 (two products, two sums)` };
}

/** Every input element meets the whole kernel of every output channel: O·H·W weights per input channel. */
function biasedTransposeCost(context: CostContext): OpCost {
  const x = inputCount(context);
  const filter = context.shape(1);
  const [o, h, w] = filter ?? [];
  if (x === undefined || typeof o !== 'number' || typeof h !== 'number' || typeof w !== 'number')
    return unknownCost;
  const outputs = outputCount(context);
  return {
    macs: x * o * h * w,
    otherOps: outputs,
    formula: `${x} inputs × ${o}·${h}·${w} taps, bias on ${outputs ?? '?'} outputs`,
  };
}

/**
 * Custom operators that runtimes of the field bring along: SSD's post-processing (LiteRT), MediaPipe's pooling and
 * transposed convolution, and the audio front end of TensorFlow Lite Micro. Those allocate nothing at run time, so the
 * shapes in their files hold.
 */
export const customOperators: readonly Operator[] = [
  custom('TFLite_Detection_PostProcess', 'reduction', inferDetection, {
    settings: [2],
    cost: () => ({ macs: 0, otherOps: undefined, formula: 'unknown: the work depends on the scores' }),
  }),
  custom('Convolution2DTransposeBias', 'convolution', asDeclared, { cost: biasedTransposeCost }),
  custom('MaxPoolingWithArgmax2D', 'pooling', asDeclared, {
    cost: perInput(1, 'windows do not overlap'),
  }),
  custom('MaxUnpooling2D', 'pooling', asDeclared),
  custom('TransformTensorBilinear', 'other', asDeclared, { cost: perOutput(8, 'four pixels are blended') }),
  custom('TransformLandmarks', 'other', asDeclared, { cost: perOutput(4) }),
  custom('Landmarks2TransformMatrix', 'other', asDeclared, { cost: perInput(4, 'landmarks are turned') }),
  custom('SignalDelay', 'movement', asDeclared),
  custom('SignalFramer', 'movement', asDeclared),
  custom('SignalStacker', 'movement', asDeclared),
  custom('SignalOverlapAdd', 'elementwise', asDeclared, { cost: perOutput(1) }),
  custom('SignalWindow', 'elementwise', asDeclared, {
    settings: [1],
    cost: perOutput(2, 'product and shift'),
  }),
  custom('SignalFftAutoScale', 'elementwise', asDeclared, { cost: perOutput(2, 'maximum and shift') }),
  custom('SignalRfft', 'other', asDeclared, { cost: realFourierCost(2) }),
  custom('SignalIrfft', 'other', asDeclared, { cost: realFourierCost(0) }),
  custom('SignalEnergy', 'elementwise', asDeclared, { cost: perOutput(3, 're² + im²') }),
  custom('SignalFilterBank', 'reduction', asDeclared, { settings: [1, 2, 3, 4, 5], cost: filterBankCost }),
  custom('SignalFilterBankSquareRoot', 'elementwise', asDeclared, { cost: perOutput(1) }),
  custom('SignalFilterBankSpectralSubtraction', 'elementwise', asDeclared, { cost: perOutput(6) }),
  custom('SignalPCAN', 'elementwise', asDeclared, { settings: [2], cost: perOutput(4) }),
  custom('SignalFilterBankLog', 'elementwise', asDeclared, { cost: perOutput(2) }),
];

/** Operators that hold a compiled part of a model, by the chip that it is for: what they compute is not in the file. */
export const compiledFor: Readonly<Record<string, string>> = {
  'edgetpu-custom-op': 'the Edge TPU',
  'ethos-u': 'an Ethos-U',
};
