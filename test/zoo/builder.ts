import type { Attribute, Node, OnnxModel, Value } from '../../src/ir/model.ts';
import { attr } from '../../src/ir/attribute.ts';
import { missingBytes } from '../../src/ir/bytes.ts';
import { intTensor } from '../../src/ir/numbers.ts';
import { tensorType } from '../../src/ir/types.ts';
import { onnxModel } from '../unit/support/onnxModel.ts';

/** An activation of a network under construction: channels first, or [N, tokens, width]. */
export interface Tap {
  readonly id: string;
  readonly dims: readonly number[];
}

interface ConvOptions {
  readonly stride?: number;
  readonly groups?: number;
  /** Half the kernel by default. */
  readonly pad?: number | readonly [number, number];
  readonly dilation?: number;
  readonly bias?: boolean;
}

type Size = number | readonly [number, number];
const pair = (size: Size): readonly [number, number] => (typeof size === 'number' ? [size, size] : size);

/**
 * Published architectures as ONNX graphs whose weights have shapes and no bytes, as a framework would export them before
 * folding. Inference, costs and parameter counts are the analyser's own; the shapes here only size the weights.
 */
export class ZooNet {
  readonly #nodes: Node[] = [];
  readonly #values = new Map<string, Value>();
  readonly input: Tap;

  constructor(size: number, channels = 3) {
    this.input = { id: 'image', dims: [1, channels, size, size] };
    this.#values.set('image', { id: 'image', name: 'image', type: tensorType('float32', this.input.dims) });
  }

  op(
    name: string,
    inputs: readonly string[],
    dims: readonly number[],
    attributes: Record<string, Attribute> = {},
  ): Tap {
    const id = `${name}_${this.#nodes.length}`;
    this.#values.set(id, { id, name: id });
    this.#nodes.push({
      id,
      name: id,
      op: name,
      domain: '',
      inputs,
      outputs: [id],
      attributes: new Map(Object.entries(attributes)),
    });
    return { id, dims };
  }

  weight(...dims: number[]): string {
    const id = `w${this.#values.size}`;
    const count = dims.reduce((product, dim) => product * dim, 1);
    const data = missingBytes(count * 4, 'only the architecture is known');
    this.#values.set(id, {
      id,
      name: id,
      type: tensorType('float32', dims),
      constant: { dtype: 'float32', dims, data },
    });
    return id;
  }

  integers(...list: number[]): string {
    const id = `c${this.#values.size}`;
    const constant = intTensor('int64', [list.length], list);
    this.#values.set(id, { id, name: id, type: tensorType('int64', constant.dims), constant });
    return id;
  }

  conv(x: Tap, out: number, kernel: Size, options: ConvOptions = {}): Tap {
    const { stride = 1, groups = 1, dilation = 1, bias = false } = options;
    const [kh, kw] = pair(kernel);
    const [ph, pw] = pair(options.pad ?? [((kh - 1) * dilation) >> 1, ((kw - 1) * dilation) >> 1]);
    const [n = 1, c = 1, h = 1, w = 1] = x.dims;
    const inputs = [x.id, this.weight(out, c / groups, kh, kw), ...(bias ? [this.weight(out)] : [])];
    const size = (length: number, k: number, p: number) =>
      Math.floor((length + 2 * p - dilation * (k - 1) - 1) / stride) + 1;
    return this.op('Conv', inputs, [n, out, size(h, kh, ph), size(w, kw, pw)], {
      strides: attr.ints([stride, stride]),
      pads: attr.ints([ph, pw, ph, pw]),
      dilations: attr.ints([dilation, dilation]),
      group: attr.int(groups),
    });
  }

  /** Convolution as TensorFlow pads it: the output is the input over the stride, rounded up. */
  convSame(x: Tap, out: number, kernel: number, options: ConvOptions = {}): Tap {
    const { stride = 1, groups = 1, bias = false } = options;
    const [n = 1, c = 1, h = 1, w = 1] = x.dims;
    const inputs = [x.id, this.weight(out, c / groups, kernel, kernel), ...(bias ? [this.weight(out)] : [])];
    return this.op('Conv', inputs, [n, out, Math.ceil(h / stride), Math.ceil(w / stride)], {
      strides: attr.ints([stride, stride]),
      auto_pad: attr.string('SAME_UPPER'),
      group: attr.int(groups),
    });
  }

  norm(x: Tap): Tap {
    const c = x.dims[1] as number;
    const statistics = [0, 1, 2, 3].map(() => this.weight(c));
    return this.op('BatchNormalization', [x.id, ...statistics], x.dims);
  }

  /** Over the last axis. */
  layerNorm(x: Tap): Tap {
    const width = x.dims.at(-1) as number;
    return this.op('LayerNormalization', [x.id, this.weight(width), this.weight(width)], x.dims, {
      axis: attr.int(-1),
    });
  }

  act(x: Tap, name = 'Relu'): Tap {
    return this.op(name, [x.id], x.dims);
  }

  convNorm(x: Tap, out: number, kernel: Size, options: ConvOptions = {}): Tap {
    return this.norm(this.conv(x, out, kernel, options));
  }

  convNormAct(x: Tap, out: number, kernel: Size, options: ConvOptions = {}): Tap {
    return this.act(this.convNorm(x, out, kernel, options));
  }

  add(a: Tap, b: Tap): Tap {
    return this.op('Add', [a.id, b.id], a.dims);
  }

  scale(a: Tap, b: Tap): Tap {
    return this.op('Mul', [a.id, b.id], a.dims);
  }

  /** A learned vector over the last axis, or over channels of a map. */
  gamma(x: Tap, axis: 'last' | 'channels'): Tap {
    const weight =
      axis === 'last' ? this.weight(x.dims.at(-1) as number) : this.weight(x.dims[1] as number, 1, 1);
    return this.op('Mul', [x.id, weight], x.dims);
  }

  concat(parts: readonly Tap[], axis = 1): Tap {
    const [first] = parts;
    const dims = (first as Tap).dims.map((dim, at) =>
      at === axis ? parts.reduce((sum, part) => sum + (part.dims[axis] as number), 0) : dim,
    );
    return this.op(
      'Concat',
      parts.map((part) => part.id),
      dims,
      { axis: attr.int(axis) },
    );
  }

  pool(
    x: Tap,
    kind: 'MaxPool' | 'AveragePool',
    kernel: number,
    options: { stride?: number; pad?: number; ceil?: boolean } = {},
  ): Tap {
    const { stride = kernel, pad = 0, ceil = false } = options;
    const [n = 1, c = 1, h = 1, w = 1] = x.dims;
    const round = ceil ? Math.ceil : Math.floor;
    const size = (length: number) => {
      const out = round((length + 2 * pad - kernel) / stride) + 1;
      return ceil && (out - 1) * stride >= length + pad ? out - 1 : out;
    };
    return this.op(kind, [x.id], [n, c, size(h), size(w)], {
      kernel_shape: attr.ints([kernel, kernel]),
      strides: attr.ints([stride, stride]),
      pads: attr.ints([pad, pad, pad, pad]),
      ceil_mode: attr.int(ceil ? 1 : 0),
    });
  }

  globalPool(x: Tap): Tap {
    return this.op('GlobalAveragePool', [x.id], [1, x.dims[1] as number, 1, 1]);
  }

  flatten(x: Tap): Tap {
    const count = x.dims.slice(1).reduce((product, dim) => product * dim, 1);
    return this.op('Flatten', [x.id], [x.dims[0] as number, count]);
  }

  reshape(x: Tap, ...dims: number[]): Tap {
    return this.op('Reshape', [x.id, this.integers(...dims)], dims);
  }

  transpose(x: Tap, ...perm: number[]): Tap {
    return this.op(
      'Transpose',
      [x.id],
      perm.map((axis) => x.dims[axis] as number),
      { perm: attr.ints(perm) },
    );
  }

  /** The first `size` rows along an axis. */
  slice(x: Tap, axis: number, from: number, size: number): Tap {
    const inputs = [from, from + size, axis].map((each) => this.integers(each));
    const dims = x.dims.map((dim, at) => (at === axis ? size : dim));
    return this.op('Slice', [x.id, ...inputs], dims);
  }

  /** Over the last axis. */
  linear(x: Tap, out: number, bias = true): Tap {
    const product = this.op(
      'MatMul',
      [x.id, this.weight(x.dims.at(-1) as number, out)],
      [...x.dims.slice(0, -1), out],
    );
    return bias ? this.op('Add', [product.id, this.weight(out)], product.dims) : product;
  }

  matmul(a: Tap, b: Tap): Tap {
    return this.op('MatMul', [a.id, b.id], [...a.dims.slice(0, -1), b.dims.at(-1) as number]);
  }

  classifier(x: Tap, classes = 1000): Tap {
    return this.linear(this.flatten(this.globalPool(x)), classes);
  }

  squeezeExcite(x: Tap, hidden: number, bias = true): Tap {
    const [, c = 1] = x.dims;
    const squeezed = this.act(this.conv(this.globalPool(x), hidden, 1, { bias }));
    return this.scale(x, this.act(this.conv(squeezed, c, 1, { bias }), 'Sigmoid'));
  }

  finish(output: Tap): OnnxModel {
    return onnxModel({
      name: 'zoo',
      inputs: ['image'],
      outputs: [output.id],
      nodes: this.#nodes,
      values: this.#values,
    });
  }
}
