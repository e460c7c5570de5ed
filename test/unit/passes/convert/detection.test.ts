import { afterAll, beforeAll, expect, it } from 'vitest';
import { memoryBytes } from '../../../../src/ir/bytes.ts';
import type { TfliteModel, Value } from '../../../../src/ir/model.ts';
import { decodeFloats, encodeNumbers, floatTensor } from '../../../../src/ir/numbers.ts';
import { tensorType } from '../../../../src/ir/types.ts';
import { tfliteToOnnx } from '../../../../src/passes/convert/toOnnx/convert.ts';
import { startRunner } from '../../../../src/runtime/process/launch.ts';
import { flexMap } from '../../support/flexMap.ts';
import { useSourceRunner } from '../../support/runner.ts';
import { temporaryFile } from '../calibrate.ts';

const runner = startRunner();
beforeAll(useSourceRunner);
afterAll(() => runner.kill());

const options = {
  max_detections: { int: 4 },
  max_classes_per_detection: { int: 1 },
  num_classes: { int: 2 },
  nms_score_threshold: { float: 0.25 },
  nms_iou_threshold: { float: 0.5 },
  y_scale: { float: 10 },
  x_scale: { float: 10 },
  h_scale: { float: 5 },
  w_scale: { float: 5 },
};

it('detects what the boxes and scores say, worked out by hand, in LiteRT and converted', async () => {
  const values = new Map<string, Value>();
  const put = (id: string, dims: readonly number[], data?: readonly number[]) =>
    values.set(id, {
      id,
      name: id,
      type: tensorType('float32', dims),
      ...(data && { constant: floatTensor(dims, Float32Array.from(data)) }),
    });
  put('boxes', [1, 4, 4]);
  put('scores', [1, 4, 3]);
  // Centre y, x, height, width: the second lies almost on the first.
  put(
    'anchors',
    [4, 4],
    [0.25, 0.25, 0.5, 0.5, 0.26, 0.25, 0.5, 0.5, 0.75, 0.75, 0.5, 0.5, 0.25, 0.75, 0.2, 0.2],
  );
  const outputs = ['where', 'which', 'sure', 'count'];
  // Exporters declare scalars; how many rows there are stands in the options.
  for (const id of outputs) put(id, []);
  const model: TfliteModel = {
    dialect: 'tflite',
    version: 3,
    description: '',
    metadata: [],
    signatures: [],
    graphs: [
      {
        name: 'main',
        inputs: ['boxes', 'scores'],
        outputs,
        values,
        nodes: [
          {
            id: 'detect',
            name: '',
            op: 'TFLite_Detection_PostProcess',
            domain: 'custom',
            inputs: ['boxes', 'scores', 'anchors'],
            outputs,
            attributes: new Map([
              ['custom_options', { kind: 'bytes', value: memoryBytes(flexMap(options)) }],
            ]),
          },
        ],
      },
    ],
  };
  const tensor = (dims: readonly number[], data: readonly number[]) =>
    ({ dtype: 'float32', dims, data: encodeNumbers('float32', data) }) as const;
  // The third box moves by a tenth of its anchor and doubles its height.
  const boxes = [0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 5 * Math.LN2, 0, 0, 0, 0, 0];
  // Background, then two classes: the second anchor loses to the first, the fourth is too weak.
  const scores = [0, 0.9, 0.1, 0, 0.8, 0.2, 0, 0.1, 0.6, 0.9, 0.1, 0.2];
  const { model: converted } = tfliteToOnnx(model);
  expect(converted.graphs[0].values.get('where')?.type).toEqual(tensorType('float32', [1, 4, 4]));
  for (const each of [model, converted]) {
    const session = await runner.open(await temporaryFile(each), {});
    const found = await session.run({ boxes: tensor([1, 4, 4], boxes), scores: tensor([1, 4, 3], scores) });
    const numbers = (id: string, count: number) =>
      [...decodeFloats('float32', found[id]?.data ?? new Uint8Array(), count)].map((number) =>
        Number(number.toFixed(4)),
      );
    expect(numbers('count', 1)).toEqual([2]);
    expect(numbers('sure', 4)).toEqual([0.9, 0.6, 0, 0]);
    expect(numbers('which', 4)).toEqual([0, 1, 0, 0]);
    expect(numbers('where', 16)).toEqual([0, 0, 0.5, 0.5, 0.3, 0.5, 1.3, 1, 0, 0, 0, 0, 0, 0, 0, 0]);
  }
});
