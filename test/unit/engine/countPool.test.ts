import path from 'node:path';
import { beforeAll, describe, expect, it, vi } from 'vitest';
import { surveyWeights } from '../../../src/analysis/weightSurvey.ts';
import { configureCounting, withLanes } from '../../../src/engine/weights/countPool.ts';
import { readModelFile, writeModelFile } from '../../../src/formats/io/models.ts';
import type { DType } from '../../../src/ir/dtype.ts';
import { KerfError } from '../../../src/ir/errors.ts';
import { numberTensor } from '../../../src/ir/numbers.ts';
import { constant, graph, node, onnxModel, value } from '../ops/onnx/build.ts';
import { generator } from '../analysis/random.ts';
import { bundleProcesses } from '../support/bundle.ts';
import { temporaryFolder } from '../support/temporary.ts';

const folder = temporaryFolder();
const file = path.join(folder, 'many.onnx');
const next = generator(23);
const bell = () => (next(2000) + next(2000) - 2000) / 1000;
/** Every thousandth or so is no number, no finite one, or a zero of either sign. */
const odd = () =>
  [Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, 0, -0, 1e-42][next(6000)] ?? bell();

const kinds: readonly (readonly [DType, () => number])[] = [
  ['float32', odd],
  ['float16', odd],
  ['bfloat16', odd],
  ['float64', odd],
  ['int8', () => next(255) - 127],
  ['uint8', () => next(256)],
  ['int16', () => next(60_000) - 30_000],
  ['int32', () => next(2_000_000) - 1_000_000],
];

beforeAll(async () => {
  configureCounting({ modulePath: (await bundleProcesses()).counter });
  const side = 600;
  const made = (make: () => number, rows: number) => Array.from({ length: rows * side }, make);
  const tensors = kinds.map(([dtype, make], index) => {
    // The first is longer than what is counted at once, and than what is counted before someone may cancel.
    const rows = index === 0 ? 16_000 : side;
    return constant(`w${index}`, numberTensor(dtype, [rows, side], made(make, rows)));
  });
  const inputs = [value('x', 'float32', [1, 16_000])];
  const nodes = [node('MatMul', ['x', 'w0'], ['y'])];
  await writeModelFile(onnxModel(graph('g', { inputs, outputs: ['y'], nodes, values: tensors })), file);
});

describe('counting in threads', () => {
  it('says what counting in one says', async () => {
    const { model } = readModelFile(file);
    const alone = await surveyWeights(model);
    expect(alone).toHaveLength(kinds.length);
    const together = await withLanes((lanes) => surveyWeights(model, { lanes }));
    expect(together).toEqual(alone);
  });

  it('ends when it is cancelled, and goes on for the next one', async () => {
    const { model } = readModelFile(file);
    const cancelled = withLanes((lanes) =>
      surveyWeights(model, {
        lanes: [...lanes, ...lanes],
        step: async () => {
          throw new KerfError('cancelled', 'stop');
        },
      }),
    );
    await expect(cancelled).rejects.toMatchObject({ reason: 'cancelled' });
    expect(await withLanes((lanes) => surveyWeights(model, { lanes }))).toHaveLength(kinds.length);
  });

  it('falls back to this thread where there are no others', async () => {
    // A pool of its own: the threads of the former tests still stand.
    vi.resetModules();
    const fresh = await import('../../../src/engine/weights/countPool.ts');
    fresh.configureCounting({ modulePath: path.join(folder, 'nowhere.cjs') });
    const { model } = readModelFile(file);
    const alone = await surveyWeights(model);
    expect(await fresh.withLanes((lanes) => surveyWeights(model, { lanes }))).toEqual(alone);
  });
});
