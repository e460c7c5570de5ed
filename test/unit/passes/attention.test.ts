import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { readModelFile } from '../../../src/formats/io/models.ts';
import { attr } from '../../../src/ir/attribute.ts';
import type { OnnxModel } from '../../../src/ir/model.ts';
import { hasShared, shared } from '../support/models.ts';
import { OnnxBuilder, operatorsOf, runPass } from './build.ts';
import { onnxFeeds, relativeError, runOnnx } from './runtime.ts';

const options = { runtime: 'onnxruntime' };

interface Style {
  /** `packed`: one layer makes query, key and value; `apart`: one each; `torch`: packed, the sequence first. */
  readonly made: 'packed' | 'apart' | 'torch';
  readonly mask?: boolean;
  readonly scale?: 'scores' | 'query' | 'both' | 'none';
  readonly batch?: number | string;
  /** Heads are innermost in the packed layer, so that its columns have to be sorted. */
  readonly interleaved?: boolean;
  readonly bias?: boolean;
}

const [s, h, d] = [6, 3, 4];
const width = h * d;

/** One block of attention as an exporter writes it. */
function block({ made, mask, scale = 'scores', batch = 1, interleaved, bias = true }: Style): OnnxModel {
  const g = new OnnxBuilder(made.length + h);
  g.input('x', [batch, s, 5]);
  const dense = (from: string, name: string, columns: number) => {
    const product = g.node('MatMul', [from, g.floats(`${name}.w`, [5, columns])], `${name}.mm`);
    return bias ? g.node('Add', [product, g.floats(`${name}.b`, [columns])], name) : product;
  };
  const reshape = (from: string, name: string, dims: readonly number[]) =>
    g.node('Reshape', [from, g.integers(`${name}.shape`, dims)], name);
  const transpose = (from: string, name: string, perm: readonly number[]) =>
    g.node('Transpose', [from], name, { perm });
  let parts: readonly string[];
  if (made === 'apart') {
    parts = ['q', 'k', 'v'].map((name) =>
      transpose(reshape(dense('x', name, width), `${name}.r`, [0, s, h, d]), `${name}.t`, [0, 2, 1, 3]),
    );
  } else if (made === 'packed') {
    const packed = dense('x', 'qkv', 3 * width);
    const split = reshape(packed, 'r', interleaved ? [-1, s, h, d, 3] : [-1, s, 3, h, d]);
    const turned = transpose(split, 't', interleaved ? [4, 0, 2, 1, 3] : [2, 0, 3, 1, 4]);
    parts = [0, 1, 2].map((i) =>
      g.node('Gather', [turned, g.integers(`i${i}`, [i], [])], `part${i}`, { axis: 0 }),
    );
  } else {
    const packed = dense(transpose('x', 'sbc', [1, 0, 2]), 'qkv', 3 * width);
    parts = [0, 1, 2].map((i) => {
      const bounds = [i * width, (i + 1) * width, 2].map((value, k) => g.integers(`c${i}${k}`, [value]));
      const part = g.node('Slice', [packed, ...bounds], `part${i}`);
      const count = typeof batch === 'number' ? batch : 1;
      return transpose(reshape(part, `r${i}`, [s, count * h, d]), `t${i}`, [1, 0, 2]);
    });
  }
  const rank = made === 'torch' ? 3 : 4;
  const factor = g.floats('factor', [], () => (scale === 'both' ? (1 / d) ** 0.25 : 1 / Math.sqrt(d)));
  const [query, key, value] = parts as [string, string, string];
  const scaled = (id: string) => g.node('Mul', [id, factor], `${id}.scaled`);
  const last = rank === 4 ? [0, 1, 3, 2] : [0, 2, 1];
  const left = scale === 'query' || scale === 'both' ? scaled(query) : query;
  const flipped = transpose(key, 'kt', last);
  let scores = g.node('MatMul', [left, scale === 'both' ? scaled(flipped) : flipped], 'scores');
  if (scale === 'scores') scores = scaled(scores);
  if (mask) scores = g.node('Add', [scores, g.floats('mask', [1, h, s, s])], 'masked');
  const context = g.node('MatMul', [g.node('Softmax', [scores], 'p', { axis: attr.int(-1) }), value], 'c');
  if (made === 'torch') {
    const count = typeof batch === 'number' ? batch : 1;
    const rows = reshape(transpose(context, 'ct', [1, 0, 2]), 'cr', [s * count, width]);
    g.node('MatMul', [rows, g.floats('o.w', [width, 5])], 'y');
  } else {
    const heads = reshape(transpose(context, 'ct', [0, 2, 1, 3]), 'cr', [-1, s, width]);
    g.node('MatMul', [heads, g.floats('o.w', [width, 5])], 'y');
  }
  return g.output('y').model(13);
}

const styles: readonly Style[] = [
  { made: 'packed' },
  { made: 'packed', batch: 'N' },
  { made: 'packed', batch: 3, mask: true, scale: 'query' },
  { made: 'packed', interleaved: true },
  { made: 'packed', scale: 'none', bias: false },
  { made: 'apart', scale: 'both' },
  { made: 'apart', batch: 2, mask: true },
  { made: 'torch' },
  { made: 'torch', batch: 3, scale: 'query' },
];

describe('attention for ONNX Runtime', () => {
  it.each(styles)('%j computes the same in one operator', async (style) => {
    const model = block(style);
    const { model: after, notes } = await runPass('fuse', model, { options });
    expect(operatorsOf(after)).toContain('Attention:1');
    expect(operatorsOf(after)).not.toContain('Softmax');
    expect(after.graphs[0].nodes.length).toBeLessThan(model.graphs[0].nodes.length);
    expect(notes.join(' ')).toContain('1 Attention');
    for (const batch of typeof style.batch === 'string' ? [1, 4] : [1]) {
      const feeds = onnxFeeds(model, 3, batch);
      const [was, is] = [await runOnnx(model, feeds), await runOnnx(after, feeds)];
      expect(relativeError(was, is)).toBeLessThan(1e-5);
    }
  });

  it('leaves it to those who ask for that runtime', async () => {
    const { model } = await runPass('fuse', block({ made: 'packed' }));
    expect(operatorsOf(model)).toContain('Softmax');
  });

  it.each([
    ['scores that something else reads', (g: OnnxBuilder) => g.output('scores.scaled')],
    ['probabilities that are an output', (g: OnnxBuilder) => g.output('p')],
  ])('leaves %s', async (_, more) => {
    const model = block({ made: 'packed' });
    const g = new OnnxBuilder();
    more(g);
    const graph = model.graphs[0];
    const outputs = [...graph.outputs, ...g.graph().outputs];
    const watched = { ...model, graphs: [{ ...graph, outputs }, ...model.graphs.slice(1)] } as OnnxModel;
    const { model: after } = await runPass('fuse', watched, { options });
    expect(operatorsOf(after)).toContain('Softmax');
  });

  it('leaves attention between two sequences', async () => {
    const g = new OnnxBuilder(2);
    for (const id of ['x', 'z']) g.input(id, [1, s, 5]);
    const part = (from: string, name: string) => {
      const dense = g.node('MatMul', [from, g.floats(`${name}.w`, [5, width])], `${name}.mm`);
      const split = g.node('Reshape', [dense, g.integers(`${name}.s`, [1, s, h, d])], `${name}.r`);
      return g.node('Transpose', [split], name, { perm: [0, 2, 1, 3] });
    };
    const key = g.node('Transpose', [part('z', 'k')], 'kt', { perm: [0, 1, 3, 2] });
    const scores = g.node('MatMul', [part('x', 'q'), key], 'scores');
    const context = g.node(
      'MatMul',
      [g.node('Softmax', [scores], 'p', { axis: attr.int(-1) }), part('z', 'v')],
      'c',
    );
    const turned = g.node('Transpose', [context], 'ct', { perm: [0, 2, 1, 3] });
    g.node('Reshape', [turned, g.integers('end', [1, s, width])], 'y');
    const model = g.output('y').model(13);
    expect((await runPass('fuse', model, { options })).model).toBe(model);
  });
});

describe.runIf(hasShared)('exported transformers', () => {
  it.each([
    ['own/cifar_vit_folded.onnx', 4],
    ['skeletons/vit_b_16.onnx', 12],
    ['skeletons/swin_t.onnx', 7],
  ])('%s', async (file, count) => {
    const { model } = readModelFile(path.join(shared, 'models', file));
    const { model: simple } = await runPass('simplify', model);
    const { model: after } = await runPass('fuse', simple, { options });
    expect(operatorsOf(after)).toContain(`Attention:${count}`);
    if (!file.startsWith('own')) return;
    const feeds = onnxFeeds(model, 6, 2);
    const [was, is] = [await runOnnx(model as OnnxModel, feeds), await runOnnx(after as OnnxModel, feeds)];
    expect(relativeError(was, is)).toBeLessThan(1e-4);
  });
});
