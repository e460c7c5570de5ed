import { analyse } from '../../../../src/analysis/analyse.ts';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { encode } from '../../../../src/formats/tflite/encode.ts';
import { readTflite } from '../../../../src/formats/tflite/read.ts';
import { cell, row, type Row } from '../../../../src/formats/tflite/row.ts';
import { encodeTflite } from '../../../../src/formats/tflite/write.ts';
import { memoryBytes } from '../../../../src/ir/bytes.ts';
import { GraphEditor } from '../../../../src/ir/edit.ts';
import type { TfliteModel, Value } from '../../../../src/ir/model.ts';
import { withMainGraph } from '../../../../src/ir/model.ts';
import { floatTensor, readFloats } from '../../../../src/ir/numbers.ts';
import type { Tensor } from '../../../../src/ir/tensor.ts';
import { startRunner } from '../../../../src/runtime/process/launch.ts';
import { useSourceRunner } from '../../support/runner.ts';
import { join, reread, rewritten, seeded, value } from './support.ts';

/** A sparse matrix: dense, about a third of its blocks are filled. */
function sparseMatrix(
  rows: number,
  columns: number,
  block: readonly [number, number],
  seed: number,
): Float32Array {
  const random = seeded(seed);
  const dense = new Float32Array(rows * columns);
  for (let i = 0; i < rows; i += block[0])
    for (let j = 0; j < columns; j += block[1]) {
      if (random() > 0.35) continue;
      for (let y = 0; y < block[0]; y += 1)
        for (let x = 0; x < block[1]; x += 1) dense[(i + y) * columns + j + x] = random() + 0.5;
    }
  return dense;
}

const integers = (values: readonly number[]) =>
  cell.choice(1, row('Int32Vector', [['values', cell.integers(values)]]));
const dense = (size: number) => row('DimensionMetadata', [['dense_size', cell.scalar(size)]]);

/** The matrix as rows of blocks of which only the filled ones are stored, and their content in order. */
function compress(matrix: Float32Array, rows: number, columns: number, [bh, bw]: readonly [number, number]) {
  const segments = [0];
  const positions: number[] = [];
  const values: number[] = [];
  for (let i = 0; i < rows / bh; i += 1) {
    for (let j = 0; j < columns / bw; j += 1) {
      const content = Array.from({ length: bh * bw }, (_, at) => {
        const y = i * bh + Math.floor(at / bw);
        return matrix[y * columns + j * bw + (at % bw)] as number;
      });
      if (content.every((each) => each === 0)) continue;
      positions.push(j);
      values.push(...content);
    }
    segments.push(positions.length);
  }
  const filled = row('DimensionMetadata', [
    ['format', cell.scalar(1)],
    ['array_segments', integers(segments)],
    ['array_indices', integers(positions)],
  ]);
  const blocked = bh > 1 || bw > 1;
  const sparsity = row('SparsityParameters', [
    ['traversal_order', cell.integers(blocked ? [0, 1, 2, 3] : [0, 1])],
    ['block_map', blocked ? cell.integers([0, 1]) : undefined],
    ['dim_metadata', cell.rows([dense(rows / bh), filled, ...(blocked ? [dense(bh), dense(bw)] : [])])],
  ]);
  return { sparsity, values: Float32Array.from(values) };
}

/** A file whose only operator makes a sparse constant dense. */
function densifying(sparsity: Row, values: Float32Array, shape: readonly number[]): Uint8Array {
  const tensor = (name: string, buffer: number, more: Parameters<typeof row>[1] = []) =>
    row('Tensor', [
      ['shape', cell.integers(shape)],
      ['buffer', cell.scalar(buffer)],
      ['name', cell.text(name)],
      ...more,
    ]);
  const operators = [
    row('Operator', [
      ['inputs', cell.integers([1])],
      ['outputs', cell.integers([2])],
    ]),
    row('Operator', [
      ['opcode_index', cell.scalar(1)],
      ['inputs', cell.integers([0, 2])],
      ['outputs', cell.integers([3])],
      ['builtin_options', cell.choice(11, row('AddOptions'))],
    ]),
  ];
  const tensors = [
    tensor('x', 0),
    tensor('sparse', 1, [['sparsity', cell.row(sparsity)]]),
    tensor('dense', 0),
    tensor('y', 0),
  ];
  const code = (builtin: number) =>
    row('OperatorCode', [
      ['deprecated_builtin_code', cell.scalar(builtin)],
      ['builtin_code', cell.scalar(builtin)],
    ]);
  const graph = row('SubGraph', [
    ['tensors', cell.rows(tensors)],
    ['inputs', cell.integers([0])],
    ['outputs', cell.integers([3])],
    ['operators', cell.rows(operators)],
  ]);
  const data = memoryBytes(new Uint8Array(values.buffer));
  const model = row('Model', [
    ['version', cell.scalar(3)],
    ['operator_codes', cell.rows([code(124), code(0)])],
    ['subgraphs', cell.rows([graph])],
    ['buffers', cell.rows([row('Buffer'), row('Buffer', [['data', cell.blob(data)]])])],
  ]);
  return join(encode(model, { identifier: 'TFL3', outside: new Map() }));
}

const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'kerf-constants-'));
const runner = startRunner();
beforeAll(useSourceRunner);
afterAll(() => {
  runner.kill();
  fs.rmSync(folder, { recursive: true, force: true });
});

/** The constant as the interpreter makes it dense: added to zeros. */
async function interpreted(bytes: Uint8Array, count: number): Promise<Float32Array> {
  const file = path.join(folder, 'sparse.tflite');
  fs.writeFileSync(file, bytes);
  const session = await runner.open(file, { runtime: 'tflite' });
  const [input] = session.info.inputs;
  const zeros = { dtype: 'float32' as const, dims: input?.dims ?? [], data: new Uint8Array(4 * count) };
  const [output] = Object.values(await session.run({ [input?.name ?? '']: zeros }));
  await session.close();
  return new Float32Array((output?.data ?? new Uint8Array()).slice().buffer);
}

const sparseOf = (model: TfliteModel) => model.graphs[0].values.get('sparse')?.constant as Tensor;

describe('sparse constants', () => {
  it.each([
    [6, 8, [1, 1]],
    [8, 12, [1, 4]],
    [8, 8, [2, 4]],
  ] as const)('%i×%i in blocks of %j read as the dense matrix', async (rows, columns, block) => {
    const matrix = sparseMatrix(rows, columns, block, rows + columns);
    const { sparsity, values } = compress(matrix, rows, columns, block);
    expect(values.length).toBeLessThan(matrix.length);
    const bytes = densifying(sparsity, values, [rows, columns]);
    expect(await interpreted(bytes, matrix.length)).toEqual(matrix);
    const { model, damage } = readTflite(memoryBytes(bytes));
    expect(damage).toEqual([]);
    expect(readFloats(sparseOf(model))).toEqual(matrix);
    // What the file stores counts, not what it expands to.
    expect(analyse(model).totals.weightBytes).toBe(4 * values.length);

    const again = rewritten({ ...model, description: 'changed' });
    expect(await interpreted(again, matrix.length)).toEqual(matrix);
    expect(readFloats(sparseOf(readTflite(memoryBytes(again)).model))).toEqual(matrix);
  });

  it('become dense when a pass replaces them', () => {
    const matrix = sparseMatrix(6, 8, [1, 1], 3);
    const { sparsity, values } = compress(matrix, 6, 8, [1, 1]);
    const { model } = readTflite(memoryBytes(densifying(sparsity, values, [6, 8])));
    const changed = new Map(model.graphs[0].values);
    const old = changed.get('sparse') as Value;
    changed.set('sparse', {
      ...old,
      constant: floatTensor(
        [6, 8],
        matrix.map((each) => 2 * each),
      ),
    });
    const again = reread(withMainGraph(model, { ...model.graphs[0], values: changed }));
    expect(sparseOf(again).extra).toBeUndefined();
    expect(readFloats(sparseOf(again))).toEqual(matrix.map((each) => 2 * each));
  });

  it('with damaged parameters say so when they are read', () => {
    const matrix = sparseMatrix(6, 8, [1, 1], 3);
    const { sparsity, values } = compress(matrix, 6, 8, [1, 1]);
    const { model } = readTflite(memoryBytes(densifying(sparsity, values.slice(0, 2), [6, 8])));
    expect(() => sparseOf(model).data.read()).toThrow(/sparsity/);
  });
});

describe('blockwise quantization', () => {
  it('keeps pointing at its scales when the tensors move', () => {
    const details = row('BlockwiseQuantization', [
      ['scales', cell.scalar(1)],
      ['zero_points', cell.scalar(-1)],
      ['block_size', cell.scalar(32)],
    ]);
    const quantization = row('QuantizationParameters', [['details', cell.choice(2, details)]]);
    const tensors = [
      row('Tensor', [
        ['shape', cell.integers([1, 64])],
        ['type', cell.scalar(17)],
        ['name', cell.text('w')],
        ['quantization', cell.row(quantization)],
      ]),
      row('Tensor', [
        ['shape', cell.integers([1, 2])],
        ['type', cell.scalar(1)],
        ['name', cell.text('scales')],
      ]),
    ];
    const graph = row('SubGraph', [
      ['tensors', cell.rows(tensors)],
      ['inputs', cell.integers([0])],
      ['outputs', cell.integers([0])],
    ]);
    const file = row('Model', [
      ['version', cell.scalar(3)],
      ['subgraphs', cell.rows([graph])],
      ['buffers', cell.rows([row('Buffer')])],
    ]);
    const parts = encode(file, { identifier: 'TFL3', outside: new Map() });
    const { model } = readTflite(memoryBytes(join(parts)));
    expect(model.graphs[0].values.get('w')?.quantization?.details).toMatchObject({ scales: 'scales' });
    const values = new Map([['first', value('first', [3])], ...model.graphs[0].values]);
    const again = reread(withMainGraph(model, { ...model.graphs[0], values }));
    expect([...again.graphs[0].values.keys()]).toEqual(['first', 'w', 'scales']);
    expect(again.graphs[0].values.get('w')?.quantization?.details).toMatchObject({ scales: 'scales' });

    const editor = new GraphEditor(model.graphs[0], model);
    editor.addValue('unused');
    expect([...editor.finish().values.keys()]).toContain('scales');
  });
});

it('constants in another file are known by their size and their file', () => {
  const tensors = [
    row('Tensor', [
      ['shape', cell.integers([2, 2])],
      ['name', cell.text('w')],
      ['external_buffer', cell.scalar(7)],
    ]),
  ];
  const graph = row('SubGraph', [
    ['tensors', cell.rows(tensors)],
    ['outputs', cell.integers([0])],
  ]);
  const outside = row('ExternalBuffer', [
    ['id', cell.scalar(7)],
    ['length', cell.scalar(16)],
  ]);
  const file = row('Model', [
    ['version', cell.scalar(3)],
    ['subgraphs', cell.rows([graph])],
    ['buffers', cell.rows([row('Buffer')])],
    ['external_buffer_groups', cell.rows([row('ExternalBufferGroup', [['name', cell.text('weights.bin')]])])],
    ['external_buffers', cell.rows([outside])],
  ]);
  const { model } = readTflite(memoryBytes(join(encode(file, { identifier: 'TFL3', outside: new Map() }))));
  const constant = model.graphs[0].values.get('w')?.constant;
  expect([constant?.data.length, constant?.data.missing]).toEqual([
    16,
    expect.stringContaining('weights.bin'),
  ]);
  expect(join(encodeTflite({ ...model, description: 'changed' })).length).toBeGreaterThan(0);
  expect(reread(model).graphs[0].values.get('w')?.constant?.data.missing).toMatch(/weights.bin/);
});
