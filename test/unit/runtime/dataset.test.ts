import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import jpeg from 'jpeg-js';
import { PNG } from 'pngjs';
import { describe, expect, it } from 'vitest';
import type { DType } from '../../../src/ir/dtype.ts';
import { KerfError } from '../../../src/ir/errors.ts';
import { decodeNumbers } from '../../../src/ir/numbers.ts';
import { openDataset } from '../../../src/runtime/data/dataset.ts';
import { resizeBilinear } from '../../../src/runtime/data/images.ts';
import { randomDataset } from '../../../src/runtime/data/random.ts';
import type { HostTensor, TensorInfo } from '../../../src/runtime/runner.ts';
import { samples } from '../support/models.ts';
import { npy, npz } from '../support/npy.ts';
import { temporaryFolder } from '../support/temporary.ts';

const folder = temporaryFolder();
let files = 0;

function write(extension: string, content: Uint8Array | string): string {
  files += 1;
  const path = join(folder, `data${files}${extension}`);
  writeFileSync(path, content);
  return path;
}

function input(name: string, dtype: DType, dims: readonly number[]): TensorInfo {
  return { name, dtype, dims };
}

function numbersOf(tensor: HostTensor | undefined): number[] {
  if (tensor === undefined) throw new Error('no such feed');
  const count = tensor.dims.reduce((product, dim) => product * dim, 1);
  return Array.from(decodeNumbers(tensor.dtype, tensor.data, count));
}

/** The error of opening, or of making the first sample. */
function failure(path: string, inputs: readonly TensorInfo[]): KerfError {
  try {
    openDataset(path, inputs).feeds(0);
  } catch (error) {
    if (KerfError.is(error)) return error;
    throw error;
  }
  throw new Error('it worked');
}

const pixels = npy(
  '|u1',
  [2, 2, 2, 3],
  Uint8Array.from({ length: 24 }, (_, index) => index * 10),
);
const labels = npy('|u1', [2], Uint8Array.of(7, 3));

describe('npz archives', () => {
  it('gives the samples that the project ships', () => {
    const data = openDataset(join(samples, 'digits-test.npz'), [input('image', 'float32', [-1, 1, 8, 8])]);
    expect(data).toMatchObject({ samples: 500, batch: 'free', random: false });
    expect(data.labels?.slice(0, 3)).toEqual(expect.arrayContaining([expect.any(Number)]));
    const { image } = data.feeds(3, 2);
    expect(image?.dims).toEqual([2, 1, 8, 8]);
    expect(numbersOf(image).slice(64)).toEqual(numbersOf(data.feeds(4)['image']));
  });

  it('finds arrays by the names of inputs, else the only one that can be meant', () => {
    const values = npy('<f4', [2, 3], Float32Array.of(1, 2, 3, 4, 5, 6));
    const two = write('.npz', npz({ a: values, b: npy('<f4', [2, 1], Float32Array.of(8, 9)), y: labels }));
    const data = openDataset(two, [input('b', 'float32', [1, 1]), input('a', 'float32', [1, 3])]);
    expect(numbersOf(data.feeds(1)['a'])).toEqual([4, 5, 6]);
    expect(numbersOf(data.feeds(1)['b'])).toEqual([9]);
    expect(data.labels).toEqual([7, 3]);
    const one = write('.npz', npz({ anything: values, labels }));
    expect(numbersOf(openDataset(one, [input('in', 'float32', [1, 3])]).feeds(0)['in'])).toEqual([1, 2, 3]);
    expect(failure(two, [input('c', 'float32', [1, 3])])).toMatchObject({
      reason: 'bad-dataset',
      file: two,
      message: 'no array for input c; there are a, b, y',
    });
  });

  it('chooses the layout by the dimensions of the input', () => {
    const path = write('.npz', npz({ x: pixels }));
    const nhwc = openDataset(path, [input('i', 'float32', [1, 2, 2, 3])]).feeds(0)['i'];
    const nchw = openDataset(path, [input('i', 'float32', [1, 3, 2, 2])]).feeds(0)['i'];
    expect(numbersOf(nhwc)).toEqual([0, 10, 20, 30, 40, 50, 60, 70, 80, 90, 100, 110]);
    expect(numbersOf(nchw)).toEqual([0, 30, 60, 90, 10, 40, 70, 100, 20, 50, 80, 110]);
  });

  it('fills fixed batches and repeats the last sample at the end', () => {
    const path = write('.npz', npz({ x: npy('<f4', [3, 2], Float32Array.of(1, 2, 3, 4, 5, 6)) }));
    const data = openDataset(path, [input('i', 'float32', [2, 2])]);
    expect(data.batch).toBe(2);
    expect(numbersOf(data.feeds(2)['i'])).toEqual([5, 6, 5, 6]);
  });

  it.each([
    ['<f8', Float64Array.of(1.5, -2)],
    ['<f2', Uint16Array.of(0x3e00, 0xc000)],
    ['<i8', BigInt64Array.of(1n, -2n)],
    ['<u2', Uint16Array.of(1, 65535)],
    ['|b1', Uint8Array.of(1, 0)],
  ] as const)('reads %s arrays', (descr, values) => {
    const bytes = new Uint8Array(values.buffer);
    const path = write('.npz', npz({ x: npy(descr, [2, 1], bytes) }));
    const { feeds } = openDataset(path, [input('i', 'float64', [1, 1])]);
    const expected: Record<string, number[]> = {
      '<f8': [1.5, -2],
      '<f2': [1.5, -2],
      '<i8': [1, -2],
      '<u2': [1, 65535],
      '|b1': [1, 0],
    };
    expect([feeds(0), feeds(1)].flatMap((each) => numbersOf(each['i']))).toEqual(expected[descr]);
  });

  it('puts real values through the scale of an integer input, and stored ones unchanged', () => {
    const quantized: TensorInfo = {
      ...input('i', 'int8', [1, 3]),
      quantization: { scale: 0.5, zeroPoint: -10 },
    };
    const real = write('.npz', npz({ x: npy('<f4', [1, 3], Float32Array.of(1, -1.3, 1000)) }));
    expect(numbersOf(openDataset(real, [quantized]).feeds(0)['i'])).toEqual([-8, -13, 127]);
    const stored = write('.npz', npz({ x: npy('|i1', [1, 3], Uint8Array.of(1, 255, 127)) }));
    expect(numbersOf(openDataset(stored, [quantized]).feeds(0)['i'])).toEqual([1, -1, 127]);
    const pixel = write('.npz', npz({ x: npy('|u1', [1, 3], Uint8Array.of(0, 4, 200)) }));
    expect(numbersOf(openDataset(pixel, [quantized]).feeds(0)['i'])).toEqual([-10, -2, 127]);
  });

  it('names file, place and reason of damage', () => {
    const image = [input('i', 'float32', [1, 3])];
    const data = Float32Array.of(1, 2, 3);
    const cases: readonly (readonly [Uint8Array, string, RegExp])[] = [
      [npz({ x: npy('<f4', [1, 3], data, 'F') }), 'x', /Fortran order/],
      [npz({ x: npy('>f4', [1, 3], data) }), 'x', /element type >f4/],
      [npz({ x: npy('<f4', [2, 3], data) }), 'x', /cut off: 12 of 24 bytes/],
      [npz({ x: new Uint8Array(40) }), 'x', /not a NumPy array/],
      [
        npz({ x: npy('<f4', [1, 4], Float32Array.of(1, 2, 3, 4)) }),
        'x',
        /samples of 4 do not fit input i float32\[1×3\]/,
      ],
      [npz({}), '', /no arrays/],
      [Uint8Array.of(1, 2, 3), '', /not a readable \.npz archive/],
      [
        npz({ x: npy('<f4', [1, 3], data), y: npy('|u1', [2], Uint8Array.of(1, 2)) }),
        '',
        /2 labels for 1 samples/,
      ],
      [npz({ x: npy('<f4', [0, 3], new Float32Array()) }), '', /no samples/],
    ];
    for (const [content, place, message] of cases) {
      const path = write('.npz', content);
      const error = failure(path, image);
      expect(error).toMatchObject({ reason: 'bad-dataset', file: path });
      expect(error.message).toMatch(message);
      expect(error.place ?? '').toBe(place);
    }
    expect(failure(join(folder, 'absent.npz'), image).reason).toBe('not-found');
  });
});

describe('dataset files', () => {
  const archive = () => {
    const path = write('.npz', npz({ x: pixels, y: labels }));
    return path.slice(folder.length + 1);
  };

  it('scales, subtracts the mean, divides by the deviation, then transposes', () => {
    const recipe = { array: 'x', transpose: [0, 3, 1, 2], scale: 0.1, mean: [0, 1, 2], std: [1, 2, 4] };
    const path = write(
      '.json',
      JSON.stringify({ source: archive(), inputs: { i: recipe }, labels: { array: 'y' } }),
    );
    const data = openDataset(path, [input('i', 'float32', [1, 3, 2, 2])]);
    // Channel c of pixel p holds 3p + c after scaling.
    expect(numbersOf(data.feeds(0)['i'])).toEqual([0, 3, 6, 9, 0, 1.5, 3, 4.5, 0, 0.75, 1.5, 2.25]);
    expect(data.labels).toEqual([7, 3]);
  });

  it('resizes pictures in archives', () => {
    const path = write(
      '.json',
      JSON.stringify({ source: archive(), inputs: { '*': { array: 'x', resize: [1, 1] } } }),
    );
    const { i } = openDataset(path, [input('i', 'float32', [1, 3, 1, 1])]).feeds(0);
    expect(numbersOf(i)).toEqual([45, 55, 65]);
  });

  it('reads images by pattern with labels from a table', () => {
    const images = join(folder, 'pictures');
    mkdirSync(join(images, 'deep'), { recursive: true });
    const png = new PNG({ width: 2, height: 1 });
    png.data.set([255, 0, 0, 255, 0, 0, 255, 255]);
    writeFileSync(join(images, 'a.png'), PNG.sync.write(png));
    const grey = new Uint8Array(16 * 16 * 4).fill(128);
    const jpg = jpeg.encode({ data: grey, width: 16, height: 16 }, 100).data;
    writeFileSync(join(images, 'deep', 'b.jpg'), jpg);
    writeFileSync(join(images, 'labels.csv'), 'file,label\ndeep/b.jpg,dog\na.png,cat\n');
    const path = write(
      '.json',
      JSON.stringify({ source: 'pictures/**/*.{png,jpg}', labels: { csv: 'pictures/labels.csv' } }),
    );
    const data = openDataset(path, [input('i', 'float32', [-1, 3, 1, 2])]);
    expect(data).toMatchObject({ samples: 2, labels: [0, 1] });
    expect(numbersOf(data.feeds(0)['i'])).toEqual([255, 0, 0, 0, 0, 255]);
    for (const value of numbersOf(data.feeds(1)['i'])) expect(value).toBeCloseTo(128, -1);
  });

  it('takes folders of images as classes', () => {
    const root = join(folder, 'classes');
    for (const [name, level] of [
      ['dark', 0],
      ['bright', 255],
    ] as const) {
      mkdirSync(join(root, name), { recursive: true });
      const png = new PNG({ width: 1, height: 1 });
      png.data.set([level, level, level, 255]);
      writeFileSync(join(root, name, '1.png'), PNG.sync.write(png));
    }
    const data = openDataset(root, [input('i', 'uint8', [1, 1, 1, 1])]);
    expect(data.labels).toEqual([0, 1]);
    expect([numbersOf(data.feeds(0)['i']), numbersOf(data.feeds(1)['i'])]).toEqual([[255], [0]]);
    const empty = join(folder, 'empty');
    mkdirSync(empty);
    expect(failure(empty, [input('i', 'uint8', [1, 1, 1, 1])]).message).toMatch(/no \.jpg or \.png images/);
  });

  it('names the place of what is wrong', () => {
    const image = [input('i', 'float32', [1, 3, 2, 2])];
    const source = archive();
    const cases: readonly (readonly [object | string, string, RegExp])[] = [
      ['{', '', /JSON/],
      [{}, '', /must have required property 'source'/],
      [{ source, size: 3 }, '', /additional properties: size/],
      [{ source, inputs: { i: { resize: [1] } } }, 'inputs/i/resize', /fewer than 2/],
      [{ source, inputs: { other: {} } }, 'inputs', /nothing for input i; there is other/],
      [{ source, inputs: { i: { array: 'z' } } }, '', /no array z; there are x, y/],
      [{ source, inputs: { i: { array: 'x', mean: [1, 2, 3, 4, 5] } } }, 'x', /mean has 5 numbers/],
      [{ source, inputs: { i: { array: 'x' } }, labels: { folder: true } }, 'labels', /need images/],
      [{ source: 'nothing/*.png' }, '', /cannot be read/],
    ];
    for (const [content, place, message] of cases) {
      const path = write('.json', typeof content === 'string' ? content : JSON.stringify(content));
      const error = failure(path, image);
      expect(error.message).toMatch(message);
      expect(error.place ?? '').toBe(place);
    }
  });
});

describe('resizing', () => {
  it('keeps a linear ramp linear away from the borders', () => {
    const ramp = Float64Array.from({ length: 8 }, (_, index) => index);
    const out = resizeBilinear(ramp, { height: 1, width: 8, channels: 1 }, 1, 16);
    // Centre of output pixel i lies at (i + 0.5) / 2 - 0.5 in the input.
    for (let index = 1; index < 15; index += 1) expect(out[index]).toBeCloseTo((index + 0.5) / 2 - 0.5, 12);
    expect([out[0], out[15]]).toEqual([0, 7]);
  });
});

describe('random inputs', () => {
  const inputs: readonly TensorInfo[] = [
    input('f', 'float32', [-1, 500]),
    { ...input('q', 'int8', [-1, 500]), quantization: { scale: 0.1, zeroPoint: 3 } },
    input('n', 'int64', [-1, 500]),
  ];

  it('depend on the seed and the number of the sample alone', () => {
    const data = randomDataset(inputs, { seed: 7, count: 4 });
    expect(data.random).toBe(true);
    expect(data.source).toBe('seeded random inputs (seed 7)');
    const again = randomDataset(inputs, { seed: 7, count: 4 });
    expect(again.feeds(2)).toEqual(data.feeds(2));
    expect(data.feeds(3)).not.toEqual(data.feeds(2));
    expect(randomDataset(inputs, { seed: 8, count: 4 }).feeds(2)).not.toEqual(data.feeds(2));
    expect(numbersOf(data.feeds(1, 2)['f']).slice(500)).toEqual(numbersOf(data.feeds(2)['f']));
  });

  it('are spread as they say', () => {
    const { f, q, n } = randomDataset(inputs, { seed: 1, count: 40 }).feeds(0, 40);
    const normal = numbersOf(f);
    const mean = normal.reduce((sum, value) => sum + value, 0) / normal.length;
    const variance = normal.reduce((sum, value) => sum + (value - mean) ** 2, 0) / normal.length;
    expect(Math.abs(mean)).toBeLessThan(0.03);
    expect(Math.abs(variance - 1)).toBeLessThan(0.05);
    const whole = new Set(numbersOf(q));
    expect([Math.min(...whole), Math.max(...whole), whole.size]).toEqual([-128, 127, 256]);
    expect(new Set(numbersOf(n))).toEqual(new Set([0, 1]));
  });
});
