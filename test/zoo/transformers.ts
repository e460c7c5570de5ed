import type { OnnxModel } from '../../src/ir/model.ts';
import type { Tap } from './builder.ts';
import { ZooNet } from './builder.ts';

export interface VitOptions {
  readonly patch: number;
  readonly width: number;
  readonly depth: number;
  readonly heads: number;
  readonly size?: number;
  /** Tokens beside the patches: a class token, a distillation token, registers. */
  readonly extraTokens?: number;
  readonly mlp?: number;
  readonly classes?: number;
  /** Learned scale of each residual branch (LayerScale). */
  readonly layerScale?: boolean;
  readonly preNorm?: boolean;
  readonly patchBias?: boolean;
  readonly distilled?: boolean;
  /** The patches are averaged instead of read from a class token. */
  readonly averaged?: boolean;
}

/** Queries, keys and values of all heads from one projection, and the attention between them. */
function attention(net: ZooNet, x: Tap, heads: number): Tap {
  const [n = 1, length = 1, width = 1] = x.dims;
  const size = width / heads;
  const packed = net.transpose(
    net.reshape(net.linear(x, 3 * width), n, length, 3, heads, size),
    2,
    0,
    3,
    1,
    4,
  );
  const part = (index: number) => net.reshape(net.slice(packed, 0, index, 1), n, heads, length, size);
  const scores = net.act(net.matmul(part(0), net.transpose(part(1), 0, 1, 3, 2)), 'Softmax');
  const mixed = net.transpose(net.matmul(scores, part(2)), 0, 2, 1, 3);
  return net.linear(net.reshape(mixed, n, length, width), width);
}

function mlp(net: ZooNet, x: Tap, hidden: number): Tap {
  return net.linear(net.act(net.linear(x, hidden), 'Erf'), x.dims.at(-1) as number);
}

/** Vision transformer (Dosovitskiy 2021), DeiT and their kin. */
export function vit(options: VitOptions): OnnxModel {
  const { patch, width, depth, heads, size = 224, extraTokens = 1, classes = 1000 } = options;
  const net = new ZooNet(size);
  const patches = net.conv(net.input, width, patch, {
    stride: patch,
    pad: 0,
    bias: options.patchBias ?? true,
  });
  const count = (patches.dims[2] as number) * (patches.dims[3] as number);
  let x = net.transpose(net.reshape(patches, 1, width, count), 0, 2, 1);
  if (extraTokens > 0)
    x = net.concat([{ id: net.weight(1, extraTokens, width), dims: [1, extraTokens, width] }, x], 1);
  x = net.op('Add', [x.id, net.weight(1, x.dims[1] as number, width)], x.dims);
  if (options.preNorm) x = net.layerNorm(x);
  for (let block = 0; block < depth; block += 1) {
    const attended = attention(net, net.layerNorm(x), heads);
    x = net.add(x, options.layerScale ? net.gamma(attended, 'last') : attended);
    const mixed = mlp(net, net.layerNorm(x), Math.round(width * (options.mlp ?? 4)));
    x = net.add(x, options.layerScale ? net.gamma(mixed, 'last') : mixed);
  }
  if (!options.averaged) x = net.layerNorm(x);
  let features: Tap;
  if (options.averaged) features = net.layerNorm(net.op('ReduceMean', [x.id], [1, width], meanOverTokens));
  else features = net.reshape(net.slice(x, 1, 0, 1), 1, width);
  if (classes === 0) return net.finish(features);
  const logits = net.linear(features, classes);
  if (!options.distilled) return net.finish(logits);
  return net.finish(net.add(logits, net.linear(net.reshape(net.slice(x, 1, 1, 1), 1, width), classes)));
}

const meanOverTokens = { axes: { kind: 'ints', value: [1] }, keepdims: { kind: 'int', value: 0 } } as const;

/** MLP-Mixer (Tolstikhin 2021): one MLP across tokens, one across channels. */
export function mixer(options: { patch: number; width: number; depth: number; size?: number }): OnnxModel {
  const { patch, width, depth, size = 224 } = options;
  const net = new ZooNet(size);
  const patches = net.conv(net.input, width, patch, { stride: patch, pad: 0, bias: true });
  const count = (patches.dims[2] as number) * (patches.dims[3] as number);
  let x = net.transpose(net.reshape(patches, 1, width, count), 0, 2, 1);
  for (let block = 0; block < depth; block += 1) {
    const across = net.transpose(net.layerNorm(x), 0, 2, 1);
    x = net.add(x, net.transpose(mlp(net, across, width / 2), 0, 2, 1));
    x = net.add(x, mlp(net, net.layerNorm(x), width * 4));
  }
  const features = net.op('ReduceMean', [net.layerNorm(x).id], [1, width], meanOverTokens);
  return net.finish(net.linear(features, 1000));
}

interface ConvnextOptions {
  readonly depths: readonly [number, number, number, number];
  readonly widths: readonly [number, number, number, number];
  readonly size?: number;
  /** Version 2 has global response normalization in place of the layer's scale. */
  readonly response?: boolean;
}

/** ConvNeXt (Liu 2022) and V2 (Woo 2023); pointwise convolutions are linear layers on channels last. */
export function convnext({ depths, widths, size = 224, response = false }: ConvnextOptions): OnnxModel {
  const net = new ZooNet(size);
  const last = (y: Tap) => net.transpose(y, 0, 2, 3, 1);
  const first = (y: Tap) => net.transpose(y, 0, 3, 1, 2);
  const normed = (y: Tap) => first(net.layerNorm(last(y)));
  let x = normed(net.conv(net.input, widths[0], 4, { stride: 4, pad: 0, bias: true }));
  depths.forEach((depth, stage) => {
    const width = widths[stage] as number;
    if (stage > 0) x = net.conv(normed(x), width, 2, { stride: 2, pad: 0, bias: true });
    for (let block = 0; block < depth; block += 1) {
      const mixed = net.layerNorm(last(net.conv(x, width, 7, { groups: width, bias: true })));
      let y = net.act(net.linear(mixed, 4 * width), 'Erf');
      if (response) {
        const scaled = net.gamma(y, 'last');
        y = net.op('Add', [scaled.id, net.weight(4 * width)], y.dims);
      }
      y = net.linear(y, width);
      x = net.add(x, first(response ? y : net.gamma(y, 'last')));
    }
  });
  const pooled = net.flatten(net.globalPool(x));
  return net.finish(net.linear(net.layerNorm(pooled), 1000));
}

interface SwinOptions {
  readonly width: number;
  readonly depths: readonly [number, number, number, number];
  readonly heads: readonly [number, number, number, number];
  readonly window: number;
  readonly size?: number;
}

/** Swin transformer (Liu 2021). The shift of the windows moves data only and is left out; biases are looked up. */
export function swin({ width, depths, heads, window, size = 224 }: SwinOptions): OnnxModel {
  const net = new ZooNet(size);
  const patches = net.conv(net.input, width, 4, { stride: 4, pad: 0, bias: true });
  let side = patches.dims[2] as number;
  let c = width;
  let x = net.layerNorm(net.reshape(net.transpose(patches, 0, 2, 3, 1), 1, side, side, c));
  depths.forEach((depth, stage) => {
    if (stage > 0) {
      const quarters = net.transpose(net.reshape(x, 1, side / 2, 2, side / 2, 2, c), 0, 1, 3, 2, 4, 5);
      side /= 2;
      x = net.linear(net.layerNorm(net.reshape(quarters, 1, side, side, 4 * c)), 2 * c, false);
      c *= 2;
    }
    for (let block = 0; block < depth; block += 1) {
      const own = Math.min(window, side);
      x = net.add(x, windowed(net, net.layerNorm(x), own, heads[stage] as number));
      x = net.add(x, mlp(net, net.layerNorm(x), 4 * c));
    }
  });
  const pooled = net.op('ReduceMean', [net.layerNorm(x).id], [1, c], {
    axes: { kind: 'ints', value: [1, 2] },
    keepdims: { kind: 'int', value: 0 },
  });
  return net.finish(net.linear(pooled, 1000));
}

function windowed(net: ZooNet, x: Tap, window: number, heads: number): Tap {
  const [, side = 1, , c = 1] = x.dims;
  const count = side / window;
  const tokens = window * window;
  const cut = net.transpose(net.reshape(x, 1, count, window, count, window, c), 0, 1, 3, 2, 4, 5);
  const rows = net.reshape(cut, count * count, tokens, c);
  const size = c / heads;
  const packed = net.transpose(
    net.reshape(net.linear(rows, 3 * c), count * count, tokens, 3, heads, size),
    2,
    0,
    3,
    1,
    4,
  );
  const part = (index: number) =>
    net.reshape(net.slice(packed, 0, index, 1), count * count, heads, tokens, size);
  const table = net.op(
    'Gather',
    [net.weight((2 * window - 1) ** 2, heads), net.integers(...Array(tokens * tokens).fill(0))],
    [tokens * tokens, heads],
  );
  const bias = net.transpose(net.reshape(table, 1, tokens, tokens, heads), 0, 3, 1, 2);
  const scores = net.matmul(part(0), net.transpose(part(1), 0, 1, 3, 2));
  const mixed = net.matmul(net.act(net.add(scores, bias), 'Softmax'), part(2));
  const joined = net.linear(net.reshape(net.transpose(mixed, 0, 2, 1, 3), count * count, tokens, c), c);
  return net.reshape(
    net.transpose(net.reshape(joined, 1, count, count, window, window, c), 0, 1, 3, 2, 4, 5),
    1,
    side,
    side,
    c,
  );
}
