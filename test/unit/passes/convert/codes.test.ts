import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { writeModelFile } from '../../../../src/formats/io/models.ts';
import { attr } from '../../../../src/ir/attribute.ts';
import type { Attribute, TfliteModel, Value } from '../../../../src/ir/model.ts';
import { intTensor } from '../../../../src/ir/numbers.ts';
import type { Tensor } from '../../../../src/ir/tensor.ts';
import { tensorType } from '../../../../src/ir/types.ts';
import { tidied } from '../../../../src/passes/convert/onnxModel.ts';
import { tfliteToOnnx } from '../../../../src/passes/convert/toOnnx/convert.ts';
import { generator } from '../../../../src/runtime/data/random.ts';
import { startRunner } from '../../../../src/runtime/process/launch.ts';
import { useSourceRunner } from '../../support/runner.ts';

type Codes = 'int8' | 'uint8';
type Range = readonly [number, number];

/** One operator on codes: constants after the inputs, real ranges of inputs and output. */
interface Case {
  readonly op: string;
  readonly shapes: readonly (readonly number[])[];
  readonly output: readonly number[];
  readonly constants?: readonly Tensor[];
  /** Real numbers that the codes of the inputs and of the output reach over; random ones without. */
  readonly ranges?: readonly Range[];
  readonly fixedOutput?: Readonly<Record<Codes, readonly [number, number]>>;
  readonly sameScale?: boolean;
  readonly attributes?: Readonly<Record<string, Attribute>>;
  readonly types?: readonly Codes[];
  /** Largest difference seen, in steps, and the share of results that differ. Without: none. */
  readonly differs?: { readonly steps: number; readonly share: number };
}

const all = [1, 16, 16, 1] as const;
const pairs = [1, 256, 256, 1] as const;
const map = [1, 8, 8, 16] as const;
const ints = (...values: number[]) => intTensor('int32', [values.length], values);
const unit = { int8: [1 / 256, -128], uint8: [1 / 256, 0] } as const;
const tanhUnit = { int8: [1 / 128, 0], uint8: [1 / 128, 128] } as const;
const window = {
  filter_height: attr.int(2),
  filter_width: attr.int(2),
  stride_h: attr.int(2),
  stride_w: attr.int(2),
  padding: { kind: 'enum', value: 1, name: 'VALID' } as Attribute,
};

const cases: readonly Case[] = [
  { op: 'QUANTIZE', shapes: [all], output: all },
  { op: 'LOGISTIC', shapes: [all], output: all, fixedOutput: unit },
  { op: 'TANH', shapes: [all], output: all, fixedOutput: tanhUnit },
  // Written out in fixed point by LiteRT.
  { op: 'HARD_SWISH', shapes: [all], output: all, differs: { steps: 1, share: 0.002 } },
  { op: 'LEAKY_RELU', shapes: [all], output: all, attributes: { alpha: attr.float(0.1) } },
  { op: 'RELU', shapes: [all], output: all },
  { op: 'RELU6', shapes: [all], output: all },
  { op: 'ELU', shapes: [all], output: all, types: ['int8'] },
  { op: 'GELU', shapes: [all], output: all },
  { op: 'EXP', shapes: [all], output: all, types: ['int8'] },
  { op: 'ABS', shapes: [all], output: all, types: ['int8'] },
  {
    op: 'RSQRT',
    shapes: [all],
    output: all,
    types: ['int8'],
    ranges: [
      [0, 6],
      [0, 2],
    ],
  },
  {
    op: 'SOFTMAX',
    shapes: [[64, 10]],
    output: [64, 10],
    fixedOutput: unit,
    attributes: { beta: attr.float(1) },
  },
  {
    op: 'LOG_SOFTMAX',
    shapes: [[64, 10]],
    output: [64, 10],
    types: ['int8'],
    fixedOutput: { int8: [16 / 256, 127], uint8: [16 / 256, 255] },
  },
  { op: 'L2_NORMALIZATION', shapes: [[64, 10]], output: [64, 10], types: ['int8'], fixedOutput: tanhUnit },
  { op: 'ADD', shapes: [pairs, pairs], output: pairs },
  { op: 'SUB', shapes: [pairs, pairs], output: pairs },
  { op: 'MUL', shapes: [pairs, pairs], output: pairs },
  {
    op: 'SQUARED_DIFFERENCE',
    shapes: [pairs, pairs],
    output: pairs,
    types: ['int8'],
    differs: { steps: 1, share: 0.002 },
  },
  { op: 'MAXIMUM', shapes: [pairs, pairs], output: pairs, sameScale: true },
  { op: 'MEAN', shapes: [map], output: [1, 16], constants: [ints(1, 2)] },
  {
    op: 'SUM',
    shapes: [map],
    output: [1, 16],
    constants: [ints(1, 2)],
    ranges: [
      [-1, 2],
      [-20, 60],
    ],
  },
  { op: 'REDUCE_MAX', shapes: [map], output: [1, 16], constants: [ints(1, 2)], sameScale: true },
  { op: 'AVERAGE_POOL_2D', shapes: [map], output: [1, 4, 4, 16], sameScale: true, attributes: window },
  { op: 'MAX_POOL_2D', shapes: [map], output: [1, 4, 4, 16], sameScale: true, attributes: window },
  {
    op: 'RESIZE_BILINEAR',
    shapes: [map],
    output: [1, 16, 16, 16],
    constants: [ints(16, 16)],
    sameScale: true,
    attributes: { half_pixel_centers: attr.bool(true), align_corners: attr.bool(false) },
  },
  {
    op: 'RESIZE_BILINEAR',
    shapes: [map],
    output: [1, 15, 15, 16],
    constants: [ints(15, 15)],
    sameScale: true,
    attributes: { half_pixel_centers: attr.bool(false), align_corners: attr.bool(true) },
  },
  {
    op: 'RESIZE_BILINEAR',
    shapes: [map],
    output: [1, 13, 11, 16],
    constants: [ints(13, 11)],
    sameScale: true,
    attributes: { half_pixel_centers: attr.bool(false), align_corners: attr.bool(false) },
    // Weights that are no 2,048ths are rounded to them.
    differs: { steps: 1, share: 0.01 },
  },
  {
    op: 'RESIZE_NEAREST_NEIGHBOR',
    shapes: [map],
    output: [1, 16, 16, 16],
    constants: [ints(16, 16)],
    sameScale: true,
    attributes: { half_pixel_centers: attr.bool(true), align_corners: attr.bool(false) },
  },
  {
    op: 'CONCATENATION',
    shapes: [map, map],
    output: [1, 8, 8, 32],
    sameScale: true,
    attributes: { axis: attr.int(3) },
  },
  {
    op: 'PAD',
    shapes: [map],
    output: [1, 10, 9, 16],
    constants: [intTensor('int32', [4, 2], [0, 0, 1, 1, 1, 0, 0, 0])],
    sameScale: true,
  },
  {
    op: 'BATCH_MATMUL',
    shapes: [
      [1, 8, 16],
      [1, 16, 8],
    ],
    output: [1, 8, 8],
    types: ['int8'],
    ranges: [
      [-2, 3],
      [-3, 1],
      [-12, 14],
    ],
  },
];

const runner = startRunner();
const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'kerf-test-'));
beforeAll(useSourceRunner);
afterAll(() => {
  runner.kill();
  fs.rmSync(folder, { recursive: true });
});

/** Scale and zero point of codes over a range that holds 0, as converters choose them. */
function parameters(codes: Codes, [low, high]: Range): readonly [number, number] {
  const scale = Math.fround((high - low) / 255);
  return [scale, Math.round(-low / scale) - (codes === 'int8' ? 128 : 0)];
}

function build(of: Case, codes: Codes, seed: number): TfliteModel {
  const next = generator(seed, of.op.length);
  const range = (place: number): Range => of.ranges?.[place] ?? [-1 - 4 * next(), 1 + 4 * next()];
  const coded = (id: string, dims: readonly number[], [scale, zero]: readonly [number, number]): Value => ({
    id,
    name: id,
    type: tensorType(codes, dims),
    quantization: { scale: Float32Array.of(scale), zeroPoint: [zero], axis: 0 },
  });
  const values = new Map<string, Value>();
  const first = parameters(codes, range(0));
  const fed = of.shapes.map((dims, place) => {
    const id = `in${place}`;
    values.set(
      id,
      coded(id, dims, place === 0 || of.sameScale === true ? first : parameters(codes, range(place))),
    );
    return id;
  });
  const given = (of.constants ?? []).map((constant, place) => {
    const id = `constant${place}`;
    values.set(id, { id, name: id, type: tensorType(constant.dtype, constant.dims), constant });
    return id;
  });
  const last =
    of.fixedOutput?.[codes] ?? (of.sameScale === true ? first : parameters(codes, range(fed.length)));
  values.set('out', coded('out', of.output, last));
  const node = {
    id: 'node',
    name: '',
    op: of.op,
    domain: '',
    inputs: [...fed, ...given],
    outputs: ['out'],
    attributes: new Map(Object.entries(of.attributes ?? {})),
  };
  const graph = { name: 'main', inputs: fed, outputs: ['out'], nodes: [node], values };
  return { dialect: 'tflite', version: 3, description: '', graphs: [graph], metadata: [], signatures: [] };
}

/** All codes, or all pairs of codes, where the shapes have room for them; random codes elsewhere. */
function fill(dims: readonly number[], place: number, next: () => number): Uint8Array {
  const count = dims.reduce((a, b) => a * b, 1);
  return Uint8Array.from({ length: count }, (_, i) =>
    count === 65536 ? (place === 0 ? i & 255 : i >> 8) : count === 256 ? i : Math.floor(next() * 256),
  );
}

const seeds = [1, 2, 3];

describe('codes of each operator are those of LiteRT', () => {
  const runs = cases.flatMap((of, index) =>
    (of.types ?? (['int8', 'uint8'] as const)).map(
      (codes) => [`${of.op} (${index}) ${codes}`, of, codes] as const,
    ),
  );
  it.each(runs)('%s', async (name, of, codes) => {
    let worst = 0;
    let differing = 0;
    let count = 0;
    for (const seed of seeds) {
      const model = build(of, codes, seed);
      const converted = await tidied(tfliteToOnnx(model).model, { seed: 1, step: async () => {} } as never);
      const file = path.join(folder, `${name.replaceAll(/[^a-zA-Z0-9]/g, '_')}_${seed}`);
      await writeModelFile(model, `${file}.tflite`);
      await writeModelFile(converted, `${file}.onnx`);
      const [before, after] = [
        await runner.open(`${file}.tflite`, {}),
        await runner.open(`${file}.onnx`, {}),
      ];
      // What the codes at both ends mean stands in the ONNX file as it does in the other.
      for (const side of ['inputs', 'outputs'] as const)
        expect(after.info[side].map(({ quantization }) => quantization)).toEqual(
          before.info[side].map(({ quantization }) => quantization),
        );
      const next = generator(seed, 99);
      const feeds = Object.fromEntries(
        of.shapes.map((dims, place) => [`in${place}`, { dtype: codes, dims, data: fill(dims, place, next) }]),
      );
      const wanted = (await before.run(feeds))['out']?.data as Uint8Array;
      const seen = (await after.run(feeds))['out']?.data as Uint8Array;
      await Promise.all([before.close(), after.close()]);
      const code = (bytes: Uint8Array, i: number) =>
        codes === 'int8' ? ((bytes[i] as number) << 24) >> 24 : (bytes[i] as number);
      for (let i = 0; i < wanted.length; i += 1) {
        const difference = Math.abs(code(wanted, i) - code(seen, i));
        worst = Math.max(worst, difference);
        if (difference > 0) differing += 1;
      }
      count += wanted.length;
    }
    expect(worst).toBeLessThanOrEqual(of.differs?.steps ?? 0);
    expect(differing / count).toBeLessThanOrEqual(of.differs?.share ?? 0);
  });
});
