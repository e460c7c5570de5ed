import { describe, expect, it } from 'vitest';
import { analyse } from '../../../../src/analysis/analyse.ts';
import { formatAttribute } from '../../../../src/formats/text/attributes.ts';
import { memoryBytes } from '../../../../src/ir/bytes.ts';
import { readFlexMap } from '../../../../src/ir/flexMap.ts';
import type { TfliteModel } from '../../../../src/ir/model.ts';
import { floatTensor } from '../../../../src/ir/numbers.ts';
import { tensorType } from '../../../../src/ir/types.ts';
import { constant, graphOf, modelOf, node, value } from '../../formats/tflite/support.ts';
import { flexMap } from '../../support/flexMap.ts';

const bytes = (map: Parameters<typeof flexMap>[0]) =>
  ({ kind: 'bytes', value: memoryBytes(flexMap(map)) }) as const;

describe('options of custom operators', () => {
  const map = flexMap({ max_detections: { int: 10 }, y_scale: { float: 0.5 } });

  it('are read, and shown in the text form', () => {
    expect(Object.fromEntries(readFlexMap(map))).toEqual({ max_detections: 10, y_scale: 0.5 });
    expect(formatAttribute({ kind: 'bytes', value: memoryBytes(map) })).toBe(
      '{max_detections: 10, y_scale: 0.5}',
    );
  });

  it('in a form of their own stay bytes', () => {
    expect(() => readFlexMap(Uint8Array.of(1, 2, 3))).toThrow('no FlexBuffer map');
    expect(formatAttribute({ kind: 'bytes', value: memoryBytes(Uint8Array.of(1, 2, 3)) })).toBe('bytes 3 B');
  });

  it('damaged at any byte give a map or a clear error', () => {
    for (let at = 0; at < map.length; at++)
      for (const change of [0x01, 0x80, 0xff]) {
        const damaged = map.slice();
        damaged[at]! ^= change;
        try {
          readFlexMap(damaged);
        } catch (error) {
          expect(error).toMatchObject({ name: 'KerfError', reason: 'malformed' });
        }
      }
  });
});

/** A model of one custom operator; all but the first of its inputs are constants. */
function only(
  op: string,
  inputs: readonly (readonly number[])[],
  outputs: readonly (readonly number[])[],
  attributes: Parameters<typeof node>[3] = {},
): TfliteModel {
  const [x = [], ...others] = inputs;
  const zeros = (dims: readonly number[]) => new Float32Array(dims.reduce((a, b) => a * b, 1));
  const constants = others.map((dims, i) => constant(`c${i}`, floatTensor(dims, zeros(dims))));
  const results = outputs.map((dims, i) => value(`y${i}`, dims));
  const ids = (values: readonly { id: string }[]) => values.map(({ id }) => id);
  const made = { ...node(op, ['x', ...ids(constants)], ids(results), attributes), domain: 'custom' };
  return modelOf(graphOf([made], [value('x', x), ...constants, ...results], ['x'], ['y0']));
}

describe('custom operators of the field', () => {
  it('SSD post-processing has the rows that its options ask for, where files declare scalars', () => {
    const model = only(
      'TFLite_Detection_PostProcess',
      [
        [1, 6, 4],
        [1, 6, 3],
        [6, 4],
      ],
      [[], [], [], []],
      {
        custom_options: bytes({ max_detections: { int: 10 }, max_classes_per_detection: { int: 2 } }),
      },
    );
    const { types, layers, unresolved } = analyse(model);
    const shapes = [0, 1, 2, 3].map((i) => types.get(model.graphs[0]!)?.get(`y${i}`));
    expect(shapes).toEqual([[1, 20, 4], [1, 20], [1, 20], [1]].map((dims) => tensorType('float32', dims)));
    expect(unresolved).toEqual([]);
    expect(layers[0]).toMatchObject({ macs: 0, flops: undefined });
  });

  it.each([
    // 4·4·8 inputs meet 16·2·2 weights.
    ['Convolution2DTransposeBias', [[1, 4, 4, 8], [16, 2, 2, 8], [16]], [1, 8, 8, 16], 8192, 1024],
    ['MaxPoolingWithArgmax2D', [[1, 4, 4, 8]], [1, 2, 2, 8], 0, 128],
    ['SignalWindow', [[1, 480], [480]], [1, 480], 0, 960],
    ['SignalRfft', [[480]], [514], 0, 2.5 * 512 * 9],
    ['SignalFilterBank', [[257], [316], [316], [41], [41], [41]], [40], 0, 4 * 316],
  ] as const)('%s: its arithmetic', (op, inputs, output, macs, others) => {
    const [layer] = analyse(only(op, inputs, [output])).layers;
    expect(layer).toMatchObject({ macs, flops: 2 * macs + others });
  });

  it('an operator nobody described stays unknown', () => {
    const { totals, unresolved } = analyse(only('MyOwn', [[4]], [[4]]));
    expect(totals.macs).toBeUndefined();
    expect(unresolved[0]).toMatchObject({ reason: 'operator custom.MyOwn is not described' });
  });
});
