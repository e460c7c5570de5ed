import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { memoryBytes } from '../../../../src/ir/bytes.ts';
import { readFlexIntegers } from '../../../../src/ir/flexMap.ts';
import type { TfliteModel } from '../../../../src/ir/model.ts';
import { decodeFloats, encodeNumbers } from '../../../../src/ir/numbers.ts';
import { tensorType } from '../../../../src/ir/types.ts';
import { tfliteToOnnx } from '../../../../src/passes/convert/toOnnx/convert.ts';
import { startRunner } from '../../../../src/runtime/process/launch.ts';
import type { FlexEntry } from '../../support/flexMap.ts';
import { flexMap } from '../../support/flexMap.ts';
import { useSourceRunner } from '../../support/runner.ts';
import { temporaryFile } from '../calibrate.ts';
import { random } from '../runtime.ts';

// No runtime here has these operators, so what they give is worked out beside them, one number after another.
const runner = startRunner();
beforeAll(useSourceRunner);
afterAll(() => runner.kill());
const next = random(21);
const sizeOf = (dims: readonly number[]) => dims.reduce((a, b) => a * b, 1);

async function converted(
  op: string,
  inputs: readonly { readonly dims: readonly number[]; readonly data: readonly number[] }[],
  output: readonly number[],
  options: Readonly<Record<string, FlexEntry>> = {},
): Promise<readonly number[]> {
  const names = inputs.map((_, place) => `x${place}`);
  const typed = (id: string, dims: readonly number[]) =>
    [id, { id, name: id, type: tensorType('float32', dims) }] as const;
  const node = {
    id: op,
    name: '',
    op,
    domain: 'custom',
    inputs: names,
    outputs: ['y'],
    attributes: new Map([
      ['custom_options', { kind: 'bytes' as const, value: memoryBytes(flexMap(options)) }],
    ]),
  };
  const values = new Map([
    ...names.map((id, place) => typed(id, inputs[place]?.dims ?? [])),
    typed('y', output),
  ]);
  const graph = { name: 'main', inputs: names, outputs: ['y'], nodes: [node], values };
  const model: TfliteModel = {
    dialect: 'tflite',
    version: 3,
    description: '',
    graphs: [graph],
    metadata: [],
    signatures: [],
  };
  const session = await runner.open(await temporaryFile(tfliteToOnnx(model).model), {});
  const feeds = inputs.map(({ dims, data }, place) => [
    names[place],
    { dtype: 'float32', dims, data: encodeNumbers('float32', data) },
  ]);
  const made = (await session.run(Object.fromEntries(feeds)))['y'];
  await session.close();
  expect(made?.dims).toEqual(output);
  return [...decodeFloats('float32', made?.data ?? new Uint8Array(), sizeOf(output))];
}

function expectClose(seen: readonly number[], wanted: readonly number[], digits = 4) {
  expect(seen).toHaveLength(wanted.length);
  seen.forEach((value, i) => expect(value).toBeCloseTo(wanted[i] as number, digits));
}

const numbers = (count: number, size = 1) => Array.from({ length: count }, () => size * (2 * next() - 1));
const matrix = [0.8, -0.3, 0, 1.5, 0.2, 0.9, 0, -0.7, 0, 0, 1, 0, 0, 0, 0, 1];
const plane = (x: number, y: number, m: readonly number[] = matrix): [number, number] => [
  (m[0] as number) * x + (m[1] as number) * y + (m[3] as number),
  (m[4] as number) * x + (m[5] as number) * y + (m[7] as number),
];

describe("MediaPipe's landmark operators", () => {
  it.each([2, 3])('TransformLandmarks turns x and y of points with %i axes', async (axes) => {
    const points = numbers(5 * axes, 10);
    const seen = await converted(
      'TransformLandmarks',
      [
        { dims: [1, 5, axes], data: points },
        { dims: [1, 4, 4], data: matrix },
      ],
      [1, 5, axes],
    );
    const wanted = Array.from({ length: 5 }, (_, i) => {
      const [x = 0, y = 0, ...rest] = points.slice(i * axes, (i + 1) * axes);
      return [...plane(x, y), ...rest];
    });
    expectClose(seen, wanted.flat());
  });

  it('TransformTensorBilinear looks up between pixels, and gives zero outside of the map', async () => {
    const [height, width, channels] = [6, 7, 3] as const;
    const map = numbers(height * width * channels);
    const at = (x: number, y: number, c: number) =>
      map[(Math.min(y, height - 1) * width + Math.min(x, width - 1)) * channels + c] as number;
    const seen = await converted(
      'TransformTensorBilinear',
      [
        { dims: [1, height, width, channels], data: map },
        { dims: [1, 4, 4], data: matrix },
      ],
      [1, 5, 4, channels],
    );
    const wanted: number[] = [];
    for (let row = 0; row < 5; row += 1)
      for (let column = 0; column < 4; column += 1)
        for (let c = 0; c < channels; c += 1) {
          const [px, py] = plane(column + 0.5, row + 0.5);
          const [x, y] = [px - 0.5, py - 0.5];
          const [left, top] = [Math.floor(x), Math.floor(y)];
          const inside = x >= 0 && x <= width - 1 && y >= 0 && y <= height - 1;
          const blend = (from: number, to: number, part: number) => from + (to - from) * part;
          const line = (at0: number) => blend(at(left, at0, c), at(left + 1, at0, c), x - left);
          wanted.push(inside ? blend(line(top), line(top + 1), y - top) : 0);
        }
    expect(wanted.filter((value) => value === 0).length).toBeGreaterThan(3);
    expect(wanted.filter((value) => value !== 0).length).toBeGreaterThan(20);
    expectClose(seen, wanted);
  });

  it('Landmarks2TransformMatrix maps the cut-out to the turned box around a subset', async () => {
    const points = numbers(30, 50);
    const subset = [1, 4, 7, 8];
    const seen = await converted(
      'Landmarks2TransformMatrix',
      [{ dims: [1, 10, 3], data: points }],
      [1, 4, 4],
      {
        left_rotation_idx: { int: 2 },
        right_rotation_idx: { int: 5 },
        target_rotation_radians: { float: 0.4 },
        output_width: { int: 16 },
        output_height: { int: 24 },
        scale_x: { float: 1.5 },
        scale_y: { float: 1.25 },
        subset_idxs: { ints: subset },
      },
    );
    const point = (i: number) => [points[3 * i] as number, points[3 * i + 1] as number] as const;
    const [[lx, ly], [rx, ry]] = [point(2), point(5)];
    const angle = 0.4 - Math.atan2(ry - ly, rx - lx);
    const [c, s] = [Math.cos(angle), Math.sin(angle)];
    const turned = subset.map(point).map(([x, y]) => [c * x - s * y, s * x + c * y] as const);
    const range = (axis: 0 | 1) => {
      const all = turned.map((each) => each[axis]);
      return [Math.min(...all), Math.max(...all)] as const;
    };
    const [[x0, x1], [y0, y1]] = [range(0), range(1)];
    const [wide, high] = [1.5 * (x1 - x0), 1.25 * (y1 - y0)];
    // Corners of the cut-out lie where the box has its corners, turned back.
    for (const [u, v] of [
      [0, 0],
      [16, 0],
      [0, 24],
      [16, 24],
      [8, 12],
    ] as const) {
      const x = (x0 + x1) / 2 + (u / 16 - 0.5) * wide;
      const y = (y0 + y1) / 2 + (v / 24 - 0.5) * high;
      expectClose(plane(u, v, seen), [c * x + s * y, -s * x + c * y], 3);
    }
    expectClose([...seen.slice(8), seen[2] as number, seen[6] as number], [0, 0, 1, 0, 0, 0, 0, 1, 0, 0]);
  });
});

it('vectors of whole numbers are read from FlexBuffer maps', () => {
  const bytes = flexMap({ a: { int: 3 }, b: { ints: [5, -1, 70000] }, c: { ints: [] } });
  expect([...readFlexIntegers(bytes)]).toEqual([
    ['a', undefined],
    ['b', [5, -1, 70000]],
    ['c', []],
  ]);
});
