import fs from 'node:fs';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { tensorStatistics } from '../../../src/analysis/statistics.ts';
import type { WeightStatistics } from '../../../src/analysis/weightSurvey.ts';
import { surveyWeights } from '../../../src/analysis/weightSurvey.ts';
import { openFile } from '../../../src/formats/io/openFile.ts';
import { readModelFile } from '../../../src/formats/io/models.ts';
import type { DType } from '../../../src/ir/dtype.ts';
import { KerfError } from '../../../src/ir/errors.ts';
import type { Model } from '../../../src/ir/model.ts';
import { encodeNumbers, numberTensor } from '../../../src/ir/numbers.ts';
import type { Tensor } from '../../../src/ir/tensor.ts';
import { graphsOf } from '../../../src/ir/walk.ts';
import { constant, graph, node, onnxModel, value } from '../ops/onnx/build.ts';
import { modelFiles } from '../support/models.ts';
import { temporaryFolder } from '../support/temporary.ts';
import { generator } from './random.ts';

/** A model whose constants these are; the first one is the weight of a product. */
function holding(...tensors: readonly Tensor[]): Model {
  const values = tensors.map((tensor, index) => constant(`w${index}`, tensor));
  const inputs = [value('x', 'float32', [1, tensors[0]?.dims[0] ?? 1])];
  return onnxModel(
    graph('g', { inputs, outputs: ['y'], nodes: [node('MatMul', ['x', 'w0'], ['y'])], values }),
  );
}

async function only(tensor: Tensor): Promise<WeightStatistics> {
  return (await surveyWeights(holding(tensor)))[0] as WeightStatistics;
}

const next = generator(11);
const bell = () => (next(2000) + next(2000) + next(2000) - 3000) / 1000;

describe('weights are looked at in one pass', () => {
  const types: readonly (readonly [DType, () => number])[] = [
    ['float32', bell],
    ['float16', bell],
    ['bfloat16', bell],
    ['int8', () => next(255) - 127],
    ['uint8', () => next(256)],
    ['int4', () => next(16) - 8],
    ['int2', () => next(4) - 2],
    ['int16', () => next(60000) - 30000],
    ['int32', () => next(2_000_000) - 1_000_000],
    ['float64', bell],
  ];
  it.each(types.flatMap(([dtype, make]) => [101, 20_001].map((count) => [dtype, count, make] as const)))(
    '%s: %d elements agree with the two passes of the details view',
    async (dtype, count, make) => {
      const tensor = numberTensor(dtype, [count, 1], Array.from({ length: count }, make));
      const one = await only(tensor);
      const two = tensorStatistics(tensor);
      expect(one.elements).toBe(two.elements);
      // Doubles are counted as the nearest float32.
      const near = (number: number | null) => (dtype === 'float64' ? Math.fround(number as number) : number);
      expect(near(one.min)).toBe(near(two.min));
      expect(near(one.max)).toBe(near(two.max));
      expect(one.zeros).toBe(two.zeros);
      const spread = two.std as number;
      expect(Math.abs((one.mean as number) - (two.mean as number))).toBeLessThan(2e-4 * spread);
      expect((one.std as number) / spread).toBeCloseTo(1, 3);
      const counts = one.histogram?.counts ?? [];
      expect(counts.reduce((sum, each) => sum + each, 0)).toBe(count);
      const moved = counts.reduce(
        (sum, each, bin) => sum + Math.abs(each - (two.histogram?.counts[bin] ?? 0)),
        0,
      );
      expect(moved).toBeLessThan(0.05 * count);
    },
  );

  it('leaves out what is not finite and counts it', async () => {
    const numbers = Array.from({ length: 9000 }, bell);
    numbers[5] = Number.NaN;
    numbers[6] = Number.POSITIVE_INFINITY;
    numbers[7] = 42;
    const found = await only(numberTensor('float32', [9000, 1], numbers));
    expect(found).toMatchObject({ nonFinite: 2, max: 42 });
  });

  it('finds the extremes wherever they stand', async () => {
    for (const [low, high] of [
      [0, 1],
      [1, 0],
      [69_999, 35_000],
    ] as const) {
      const numbers = Array.from({ length: 70_000 }, bell);
      numbers[low] = -9.876;
      numbers[high] = 8.765;
      const found = await only(numberTensor('float32', [70_000, 1], numbers));
      expect([found.min, found.max]).toEqual([Math.fround(-9.876), Math.fround(8.765)]);
    }
  });

  it('sees channels that stand out', async () => {
    const [rows, columns] = [300, 40];
    const numbers = Array.from(
      { length: rows * columns },
      (_, at) => (at % columns === 17 ? 50 : 1) * bell(),
    );
    const found = await only(numberTensor('float32', [rows, columns], numbers));
    expect(found.outliers.map((each) => each.channel)).toEqual([17]);
    expect(found.outliers[0]?.ratio).toBeGreaterThan(25);
  });

  it('tells a product of thin matrices from independent numbers', async () => {
    const [n, thin] = [200, 3];
    const left = Array.from({ length: n * thin }, bell);
    const right = Array.from({ length: thin * n }, bell);
    const product = Array.from({ length: n * n }, (_, at) => {
      let sum = 0;
      for (let k = 0; k < thin; k += 1)
        sum += (left[Math.floor(at / n) * thin + k] as number) * (right[k * n + (at % n)] as number);
      return sum;
    });
    const low = (await only(numberTensor('float32', [n, n], product))).rank;
    const full = (await only(numberTensor('float32', [n, n], Array.from({ length: n * n }, bell)))).rank;
    expect(low?.effective).toBeLessThan(thin + 0.01);
    expect((full?.effective ?? 0) / (full?.random ?? 1)).toBeCloseTo(1, 1);
  });

  it('names the tensor that holds the same bytes', async () => {
    const same = () =>
      numberTensor(
        'float32',
        [64, 80],
        Array.from({ length: 5120 }, (_, at) => at % 97),
      );
    const nearly = Array.from({ length: 5120 }, (_, at) => (at === 4000 ? 1 : at % 97));
    const found = await surveyWeights(holding(same(), same(), numberTensor('float32', [64, 80], nearly)));
    expect(found.map((each) => each.duplicateOf)).toEqual([null, 'w0', null]);
  });

  it('stops when it is told to', async () => {
    const large: Tensor = {
      dtype: 'int8',
      dims: [40 << 20],
      data: { length: 40 << 20, read: (_, length = 0) => new Uint8Array(length), slice: () => large.data },
    };
    const cancel = async () => {
      throw new KerfError('cancelled', 'stop');
    };
    await expect(surveyWeights(holding(large), { step: cancel })).rejects.toMatchObject({
      reason: 'cancelled',
    });
  });

  it('says where in the file a tensor starts', async () => {
    const file = path.join(temporaryFolder(), 'weights.bin');
    fs.writeFileSync(file, Buffer.concat([Buffer.alloc(48), encodeNumbers('float32', Array(6000).fill(1))]));
    const data = openFile(file).slice(48, 24_000);
    expect((await only({ dtype: 'float32', dims: [6000, 1], data })).alignment).toBe(16);
  });

  it('gives every tensor of every model at hand the numbers of the details view', async () => {
    for (const file of [...modelFiles('.tflite'), ...modelFiles('.onnx')]) {
      const { model } = readModelFile(file);
      const graphs = [...graphsOf(model)];
      for (const each of await surveyWeights(model)) {
        const tensor = graphs[each.graph]?.values.get(each.value)?.constant;
        if (tensor === undefined || tensor.data.missing !== undefined || each.elements > 200_000) continue;
        if (each.min === null) continue;
        const two = tensorStatistics(tensor);
        expect([each.value, each.min, each.max, each.zeros]).toEqual([
          each.value,
          two.min,
          two.max,
          two.zeros,
        ]);
      }
    }
  });
});
