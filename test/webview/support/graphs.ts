import type { FakeNode } from './builder.ts';

type Shape = readonly number[];

/** Builds a list of layers; every method answers the new layer's id. */
function builder() {
  const nodes: FakeNode[] = [];
  const shapes = new Map<string, Shape>();
  const add = (node: FakeNode) => {
    nodes.push(node);
    shapes.set(node.id, node.shape);
    return node.id;
  };
  const op = (id: string, kind: string, family: FakeNode['family'], shape: Shape, inputs: string[]) =>
    add({
      id,
      op: kind,
      family,
      shape,
      inputs,
      scope: id.includes('/') ? id.slice(0, id.lastIndexOf('/')) : '',
    });
  const conv = (
    id: string,
    input: string,
    channels: number,
    options: { kernel?: number; stride?: number } = {},
  ) => {
    const [n, c, h, w] = shapes.get(input) as [number, number, number, number];
    const kernel = options.kernel ?? 3;
    const stride = options.stride ?? 1;
    const shape = [n, channels, Math.ceil(h / stride), Math.ceil(w / stride)];
    const params = kernel * kernel * c * channels + channels;
    return add({
      id,
      op: 'Conv',
      family: 'convolution',
      shape,
      inputs: [input],
      scope: id.includes('/') ? id.slice(0, id.lastIndexOf('/')) : '',
      params,
      macs: kernel * kernel * c * channels * shape[2]! * shape[3]!,
    });
  };
  const linear = (id: string, input: string, out: number) => {
    const shape = shapes.get(input)!;
    const inner = shape[shape.length - 1]!;
    const rows = shape.slice(0, -1).reduce((a, b) => a * b, 1);
    return add({
      id,
      op: shape.length === 2 ? 'Gemm' : 'MatMul',
      family: 'matmul',
      shape: [...shape.slice(0, -1), out],
      inputs: [input],
      scope: id.includes('/') ? id.slice(0, id.lastIndexOf('/')) : '',
      params: inner * out,
      macs: rows * inner * out,
    });
  };
  const shapeOf = (id: string) => shapes.get(id)!;
  return { nodes, add, op, conv, linear, shapeOf };
}

/** A residual network in the shape of the CIFAR ResNets: about `3 * 7 * blocks` layers. */
export function resnetLike(blocks = 3): FakeNode[] {
  const b = builder();
  let x = b.add({ kind: 1, id: 'input', op: 'Input', family: 'other', shape: [1, 3, 32, 32], inputs: [] });
  x = b.op('stem/Relu', 'Relu', 'activation', [1, 16, 32, 32], [b.conv('stem/Conv', x, 16)]);
  [16, 32, 64].forEach((channels, stage) => {
    for (let k = 0; k < blocks; k++) {
      const scope = `layer${stage + 1}/block${k}`;
      const stride = k === 0 && stage > 0 ? 2 : 1;
      const first = b.conv(`${scope}/conv1/Conv`, x, channels, { stride });
      const shape = b.shapeOf(first);
      const relu = b.op(`${scope}/relu1/Relu`, 'Relu', 'activation', shape, [first]);
      const second = b.conv(`${scope}/conv2/Conv`, relu, channels);
      const skip = stride === 1 ? x : b.conv(`${scope}/downsample/Conv`, x, channels, { kernel: 1, stride });
      const sum = b.op(`${scope}/Add`, 'Add', 'elementwise', shape, [second, skip]);
      x = b.op(`${scope}/relu2/Relu`, 'Relu', 'activation', shape, [sum]);
    }
  });
  x = b.op('avgpool/GlobalAveragePool', 'GlobalAveragePool', 'pooling', [1, 64, 1, 1], [x]);
  x = b.op('Flatten', 'Flatten', 'shape', [1, 64], [x]);
  x = b.linear('fc/Gemm', x, 10);
  b.add({ kind: 2, id: 'logits', op: 'Output', family: 'other', shape: [1, 10], inputs: [x] });
  return b.nodes.map((node, i) =>
    node.op === 'Conv' && i % 9 === 1 ? { ...node, findings: 1, severity: i % 2 === 1 ? 3 : 2 } : node,
  );
}

/** An encoder of transformer blocks whose attention mask is read by every block. */
export function transformerLike(layers = 12, scoped = true): FakeNode[] {
  const b = builder();
  const seq = 128;
  const dim = 256;
  const tokens = b.add({
    kind: 1,
    id: 'input_ids',
    op: 'Input',
    family: 'other',
    shape: [1, seq],
    precision: 'int64',
    inputs: [],
  });
  const mask = b.add({
    kind: 1,
    id: 'attention_mask',
    op: 'Input',
    family: 'other',
    shape: [1, seq],
    precision: 'int64',
    inputs: [],
  });
  const where = (id: string) => (scoped ? id : id.replaceAll('/', '_'));
  let bias = b.op(where('mask/Unsqueeze'), 'Unsqueeze', 'shape', [1, 1, 1, seq], [mask]);
  bias = b.op(where('mask/Cast'), 'Cast', 'elementwise', [1, 1, 1, seq], [bias]);
  bias = b.op(where('mask/Mul'), 'Mul', 'elementwise', [1, 1, 1, seq], [bias]);
  let x = b.op(where('embeddings/Gather'), 'Gather', 'movement', [1, seq, dim], [tokens]);
  const norm = (id: string, input: string) =>
    b.op(where(id), 'LayerNormalization', 'normalization', b.shapeOf(input), [input]);
  x = norm('embeddings/LayerNorm', x);
  for (let l = 0; l < layers; l++) {
    const s = `encoder/layer.${l}`;
    const [q, k, v] = ['query', 'key', 'value'].map((part) => {
      const projected = b.linear(where(`${s}/attention/${part}/MatMul`), x, dim);
      const split = b.op(
        where(`${s}/attention/${part}/Reshape`),
        'Reshape',
        'shape',
        [1, seq, 4, 64],
        [projected],
      );
      return b.op(
        where(`${s}/attention/${part}/Transpose`),
        'Transpose',
        'movement',
        [1, 4, seq, 64],
        [split],
      );
    }) as [string, string, string];
    let a = b.op(where(`${s}/attention/scores/MatMul`), 'MatMul', 'matmul', [1, 4, seq, seq], [q, k]);
    a = b.op(where(`${s}/attention/scores/Add`), 'Add', 'elementwise', [1, 4, seq, seq], [a, bias]);
    a = b.op(where(`${s}/attention/scores/Softmax`), 'Softmax', 'activation', [1, 4, seq, seq], [a]);
    a = b.op(where(`${s}/attention/context/MatMul`), 'MatMul', 'matmul', [1, 4, seq, 64], [a, v]);
    a = b.op(where(`${s}/attention/context/Transpose`), 'Transpose', 'movement', [1, seq, 4, 64], [a]);
    a = b.op(where(`${s}/attention/context/Reshape`), 'Reshape', 'shape', [1, seq, dim], [a]);
    a = b.linear(where(`${s}/attention/output/MatMul`), a, dim);
    a = b.op(where(`${s}/attention/output/Add`), 'Add', 'elementwise', [1, seq, dim], [a, x]);
    x = norm(`${s}/attention/output/LayerNorm`, a);
    let f = b.linear(where(`${s}/ffn/up/MatMul`), x, 4 * dim);
    f = b.op(where(`${s}/ffn/Gelu`), 'Gelu', 'activation', b.shapeOf(f), [f]);
    f = b.linear(where(`${s}/ffn/down/MatMul`), f, dim);
    f = b.op(where(`${s}/ffn/Add`), 'Add', 'elementwise', [1, seq, dim], [f, x]);
    x = norm(`${s}/ffn/LayerNorm`, f);
  }
  x = b.linear(where('classifier/MatMul'), x, 2);
  b.add({ kind: 2, id: 'logits', op: 'Output', family: 'other', shape: [1, seq, 2], inputs: [x] });
  return b.nodes;
}

/** Small, good enough for pictures of large graphs: mulberry32. */
export function seeded(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), state | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
}

/** A network of about `size` layers: residual blocks, branches that are concatenated, and one value read everywhere. */
export function largeNet(size: number, seed = 1): FakeNode[] {
  const random = seeded(seed);
  const b = builder();
  const shape = [1, 64, 28, 28];
  let x = b.add({ kind: 1, id: 'input', op: 'Input', family: 'other', shape, inputs: [] });
  const shared = b.op('shared/Constant', 'Constant', 'constant', [1], []);
  for (let block = 0; b.nodes.length < size - 1; block++) {
    const s = `stage${Math.floor(block / 16)}/block${block}`;
    const branches = 1 + Math.floor(random() * 4);
    const ends = Array.from({ length: branches }, (_, k) => {
      let y = x;
      const depth = 1 + Math.floor(random() * 4);
      for (let d = 0; d < depth; d++) {
        y = b.conv(`${s}/b${k}/${d}/Conv`, y, 64, { kernel: random() < 0.5 ? 1 : 3 });
        y = b.op(`${s}/b${k}/${d}/Relu`, 'Relu', 'activation', shape, [y]);
      }
      return y;
    });
    const join = branches === 1 ? ends[0]! : b.op(`${s}/Concat`, 'Concat', 'movement', shape, ends);
    const scaled = b.op(`${s}/Mul`, 'Mul', 'elementwise', shape, [join, shared]);
    x = b.op(`${s}/Add`, 'Add', 'elementwise', shape, [scaled, x]);
  }
  b.add({ kind: 2, id: 'output', op: 'Output', family: 'other', shape, inputs: [x] });
  return b.nodes;
}
