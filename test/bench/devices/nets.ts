import type { LayerWork, OpClass } from '../../../src/devices/work.ts';

/**
 * Published architectures as lists of layers, at batch 1 in float32. They stand for models whose files nobody has at
 * hand but whose latency somebody measured. `table.test` holds their MACs against the published counts.
 */
export type Net = readonly LayerWork[];

class Builder {
  readonly works: LayerWork[] = [];
  c: number;
  h: number;
  w: number;

  constructor(h: number, w: number, c: number) {
    this.h = h;
    this.w = w;
    this.c = c;
  }

  size(): number {
    return this.c * this.h * this.w;
  }

  push(kind: OpClass, macs: number, moved: number, weights: number): void {
    this.works.push({
      id: `${this.works.length}`,
      op: kind,
      class: kind,
      precision: 'float32',
      macs,
      activationBytes: moved * 4,
      weightBytes: weights * 4,
    });
  }

  conv(out: number, kernel: number | [number, number], stride = 1, groups = 1, valid = false): this {
    const [kh, kw] = typeof kernel === 'number' ? [kernel, kernel] : kernel;
    const before = this.size();
    const inputs = this.c;
    this.h = valid ? Math.floor((this.h - kh) / stride) + 1 : Math.ceil(this.h / stride);
    this.w = valid ? Math.floor((this.w - kw) / stride) + 1 : Math.ceil(this.w / stride);
    this.c = out;
    const weights = (out * inputs * kh * kw) / groups;
    // With so few input channels nothing can be vectorised along them, as in a depthwise convolution.
    const depthwise = inputs / groups <= 3;
    const dense = kh === 3 && kw === 3 && stride === 1 && groups === 1 && inputs >= 16;
    const kind = depthwise ? 'depthwise' : dense ? 'dense3x3' : 'generic';
    this.push(kind, weights * this.h * this.w, before + this.size(), weights + out);
    return this;
  }

  depthwise(kernel: number, stride = 1): this {
    return this.conv(this.c, kernel, stride, this.c);
  }

  fc(out: number): this {
    const inputs = this.size();
    this.push('fullyConnected', inputs * out, inputs + out, inputs * out + out);
    this.h = 1;
    this.w = 1;
    this.c = out;
    return this;
  }

  pool(stride: number): this {
    const before = this.size();
    this.h = Math.ceil(this.h / stride);
    this.w = Math.ceil(this.w / stride);
    this.push('other', 0, before + this.size(), 0);
    return this;
  }

  globalPool(): this {
    const before = this.size();
    this.h = 1;
    this.w = 1;
    this.push('other', 0, before + this.size(), 0);
    return this;
  }

  /** Elementwise work over `operands` tensors of the current size. */
  elementwise(operands: number): this {
    this.push('other', 0, this.size() * (operands + 1), 0);
    return this;
  }

  squeezeExcite(hidden: number): this {
    const { h, w, c } = this;
    this.globalPool().conv(hidden, 1).conv(c, 1);
    this.h = h;
    this.w = w;
    return this.elementwise(1);
  }

  /** Restores an earlier place, for branches. */
  at(place: { c: number; h: number; w: number }): this {
    this.c = place.c;
    this.h = place.h;
    this.w = place.w;
    return this;
  }

  place(): { c: number; h: number; w: number } {
    return { c: this.c, h: this.h, w: this.w };
  }
}

function divisible(value: number, by = 8): number {
  const rounded = Math.max(by, Math.floor((value + by / 2) / by) * by);
  return rounded < 0.9 * value ? rounded + by : rounded;
}

export function mobilenetV1(alpha: number, size: number, channels = 3, classes = 1001): Net {
  const net = new Builder(size, size, channels).conv(Math.round(32 * alpha), 3, 2);
  const steps: [number, number][] = [
    [64, 1],
    [128, 2],
    [128, 1],
    [256, 2],
    [256, 1],
    [512, 2],
    ...Array.from({ length: 5 }, (): [number, number] => [512, 1]),
    [1024, 2],
    [1024, 1],
  ];
  for (const [out, stride] of steps) net.depthwise(3, stride).conv(Math.round(out * alpha), 1);
  return net.globalPool().fc(classes).works;
}

export function mobilenetV2(alpha: number, size: number, classes = 1001): Net {
  const net = new Builder(size, size, 3).conv(divisible(32 * alpha), 3, 2);
  const blocks = [
    [1, 16, 1, 1],
    [6, 24, 2, 2],
    [6, 32, 3, 2],
    [6, 64, 4, 2],
    [6, 96, 3, 1],
    [6, 160, 3, 2],
    [6, 320, 1, 1],
  ] as const;
  for (const [expand, out, repeat, stride] of blocks)
    for (let i = 0; i < repeat; i += 1)
      inverted(net, { expand, out: divisible(out * alpha), kernel: 3, stride: i === 0 ? stride : 1 });
  net.conv(alpha > 1 ? divisible(1280 * alpha) : 1280, 1);
  return net.globalPool().fc(classes).works;
}

interface Inverted {
  readonly expand: number;
  readonly out: number;
  readonly kernel: number;
  readonly stride: number;
  /** Channels of the squeeze-and-excite block, if any. */
  readonly excite?: number;
  /** Activations that are not fused (hard-swish, swish) move data. */
  readonly swish?: boolean;
  /** Width of the expansion, when it is not a multiple of the input. */
  readonly width?: number;
}

function inverted(net: Builder, block: Inverted): void {
  const input = net.c;
  const width = block.width ?? input * block.expand;
  if (width !== input) {
    net.conv(width, 1);
    if (block.swish) net.elementwise(1);
  }
  net.depthwise(block.kernel, block.stride);
  if (block.swish) net.elementwise(1);
  if (block.excite !== undefined) net.squeezeExcite(block.excite);
  net.conv(block.out, 1);
  if (block.stride === 1 && input === block.out) net.elementwise(2);
}

type V3Row = readonly [
  kernel: number,
  width: number,
  out: number,
  excite: boolean,
  swish: boolean,
  stride: number,
];

const v3Large: readonly V3Row[] = [
  [3, 16, 16, false, false, 1],
  [3, 64, 24, false, false, 2],
  [3, 72, 24, false, false, 1],
  [5, 72, 40, true, false, 2],
  [5, 120, 40, true, false, 1],
  [5, 120, 40, true, false, 1],
  [3, 240, 80, false, true, 2],
  [3, 200, 80, false, true, 1],
  [3, 184, 80, false, true, 1],
  [3, 184, 80, false, true, 1],
  [3, 480, 112, true, true, 1],
  [3, 672, 112, true, true, 1],
  [5, 672, 160, true, true, 2],
  [5, 960, 160, true, true, 1],
  [5, 960, 160, true, true, 1],
];

const v3Small: readonly V3Row[] = [
  [3, 16, 16, true, false, 2],
  [3, 72, 24, false, false, 2],
  [3, 88, 24, false, false, 1],
  [5, 96, 40, true, true, 2],
  [5, 240, 40, true, true, 1],
  [5, 240, 40, true, true, 1],
  [5, 120, 48, true, true, 1],
  [5, 144, 48, true, true, 1],
  [5, 288, 96, true, true, 2],
  [5, 576, 96, true, true, 1],
  [5, 576, 96, true, true, 1],
];

/** `minimalistic` has neither squeeze-and-excite, nor hard-swish, nor 5×5 kernels. */
export function mobilenetV3(kind: 'large' | 'small', alpha: number, size: number, minimalistic = false): Net {
  const rows = kind === 'large' ? v3Large : v3Small;
  const net = new Builder(size, size, 3).conv(16, 3, 2);
  for (const [kernel, width, out, excite, swish, stride] of rows) {
    const wide = divisible(width * alpha);
    inverted(net, {
      expand: 1,
      width: wide,
      out: divisible(out * alpha),
      kernel: minimalistic ? 3 : kernel,
      stride,
      swish: swish && !minimalistic,
      ...(excite && !minimalistic && { excite: divisible(wide / 4) }),
    });
  }
  net.conv(divisible((kind === 'large' ? 960 : 576) * alpha), 1);
  if (!minimalistic) net.elementwise(1);
  const last = kind === 'large' ? 1280 : 1024;
  return net.globalPool().fc(last).fc(1001).works;
}

const efficientBlocks = [
  [1, 16, 1, 1, 3],
  [6, 24, 2, 2, 3],
  [6, 40, 2, 2, 5],
  [6, 80, 3, 2, 3],
  [6, 112, 3, 1, 5],
  [6, 192, 4, 2, 5],
  [6, 320, 1, 1, 3],
] as const;

export function efficientnetLite(level: 0 | 1 | 2 | 3 | 4): Net {
  const settings = {
    0: [1, 1, 224],
    1: [1, 1.1, 240],
    2: [1.1, 1.2, 260],
    3: [1.2, 1.4, 280],
    4: [1.4, 1.8, 300],
  } as const;
  const [width, depth, size] = settings[level];
  const net = new Builder(size, size, 3).conv(32, 3, 2);
  efficientBlocks.forEach(([expand, out, repeat, stride, kernel], index) => {
    const fixed = index === 0 || index === efficientBlocks.length - 1;
    const times = fixed ? repeat : Math.ceil(repeat * depth);
    for (let i = 0; i < times; i += 1)
      inverted(net, { expand, out: divisible(out * width), kernel, stride: i === 0 ? stride : 1 });
  });
  return net.conv(1280, 1).globalPool().fc(1000).works;
}

export function efficientnetB0(size = 224): Net {
  const net = new Builder(size, size, 3).conv(32, 3, 2).elementwise(1);
  for (const [expand, out, repeat, stride, kernel] of efficientBlocks) {
    for (let i = 0; i < repeat; i += 1) {
      const excite = Math.max(1, Math.floor(net.c / 4));
      inverted(net, { expand, out, kernel, stride: i === 0 ? stride : 1, excite, swish: true });
    }
  }
  return net.conv(1280, 1).elementwise(1).globalPool().fc(1000).works;
}

export function mnasnet(size = 224): Net {
  const net = new Builder(size, size, 3).conv(32, 3, 2).depthwise(3).conv(16, 1);
  const blocks = [
    [3, 24, 3, 2, 3],
    [3, 40, 3, 2, 5],
    [6, 80, 3, 2, 5],
    [6, 96, 2, 1, 3],
    [6, 192, 4, 2, 5],
    [6, 320, 1, 1, 3],
  ] as const;
  for (const [expand, out, repeat, stride, kernel] of blocks)
    for (let i = 0; i < repeat; i += 1) inverted(net, { expand, out, kernel, stride: i === 0 ? stride : 1 });
  return net.conv(1280, 1).globalPool().fc(1000).works;
}

export interface ResnetOptions {
  readonly depth: 18 | 34 | 50 | 101 | 152;
  readonly size?: number;
  readonly groups?: number;
  /** Width of the bottleneck relative to the plain one. */
  readonly width?: number;
  /** Version 1 strides in the first 1×1 convolution, version 1.5 in the 3×3 one. */
  readonly strideFirst?: boolean;
}

export function resnet({
  depth,
  size = 224,
  groups = 1,
  width = 1,
  strideFirst = false,
}: ResnetOptions): Net {
  const counts = {
    18: [2, 2, 2, 2],
    34: [3, 4, 6, 3],
    50: [3, 4, 6, 3],
    101: [3, 4, 23, 3],
    152: [3, 8, 36, 3],
  };
  const net = new Builder(size, size, 3).conv(64, 7, 2).pool(2);
  counts[depth].forEach((count, stage) => {
    const planes = 64 * 2 ** stage;
    for (let i = 0; i < count; i += 1) {
      const stride = i === 0 && stage > 0 ? 2 : 1;
      const start = net.place();
      const out = depth < 50 ? planes : planes * 4;
      if (depth < 50) net.conv(planes, 3, stride).conv(planes, 3);
      else {
        const mid = planes * width;
        net.conv(mid, 1, strideFirst ? stride : 1).conv(mid, 3, strideFirst ? 1 : stride, groups);
        net.conv(out, 1);
      }
      const end = net.place();
      if (start.c !== out || stride !== 1) net.at(start).conv(out, 1, stride).at(end);
      net.elementwise(2);
    }
  });
  return net.globalPool().fc(1000).works;
}

export function vgg(depth: 16 | 19, size = 224): Net {
  const counts = depth === 16 ? [2, 2, 3, 3, 3] : [2, 2, 4, 4, 4];
  const net = new Builder(size, size, 3);
  counts.forEach((count, stage) => {
    for (let i = 0; i < count; i += 1) net.conv(Math.min(512, 64 * 2 ** stage), 3);
    net.pool(2);
  });
  return net.fc(4096).fc(4096).fc(1000).works;
}

export function alexnet(): Net {
  const net = new Builder(227, 227, 3).conv(96, 11, 4, 1, true);
  net.at({ c: 96, h: 27, w: 27 }).conv(256, 5, 1, 2);
  net.at({ c: 256, h: 13, w: 13 }).conv(384, 3).conv(384, 3, 1, 2).conv(256, 3, 1, 2);
  return net.at({ c: 256, h: 6, w: 6 }).fc(4096).fc(4096).fc(1000).works;
}

export function squeezenet11(size = 224): Net {
  const net = new Builder(size, size, 3).conv(64, 3, 2).pool(2);
  const fire = (squeeze: number, expand: number) => {
    net.conv(squeeze, 1);
    const middle = net.place();
    net.conv(expand, 1).at(middle).conv(expand, 3);
    net.c = expand * 2;
  };
  fire(16, 64);
  fire(16, 64);
  net.pool(2);
  fire(32, 128);
  fire(32, 128);
  net.pool(2);
  fire(48, 192);
  fire(48, 192);
  fire(64, 256);
  fire(64, 256);
  return net.conv(1000, 1).globalPool().works;
}

export function googlenet(size = 224): Net {
  const net = new Builder(size, size, 3).conv(64, 7, 2).pool(2).conv(64, 1).conv(192, 3).pool(2);
  const inception = (a: number, b: [number, number], c: [number, number], d: number) => {
    const start = net.place();
    net.conv(a, 1).at(start).conv(b[0], 1).conv(b[1], 3).at(start).conv(c[0], 1).conv(c[1], 3);
    net.at(start).pool(1).conv(d, 1);
    net.c = a + b[1] + c[1] + d;
  };
  inception(64, [96, 128], [16, 32], 32);
  inception(128, [128, 192], [32, 96], 64);
  net.pool(2);
  inception(192, [96, 208], [16, 48], 64);
  inception(160, [112, 224], [24, 64], 64);
  inception(128, [128, 256], [24, 64], 64);
  inception(112, [144, 288], [32, 64], 64);
  inception(256, [160, 320], [32, 128], 128);
  net.pool(2);
  inception(256, [160, 320], [32, 128], 128);
  inception(384, [192, 384], [48, 128], 128);
  return net.globalPool().fc(1000).works;
}

export function densenet121(size = 224): Net {
  const net = new Builder(size, size, 3).conv(64, 7, 2).pool(2);
  [6, 12, 24, 16].forEach((count, block) => {
    for (let i = 0; i < count; i += 1) {
      const start = net.place();
      net.elementwise(1).conv(128, 1).conv(32, 3);
      net.c = start.c + 32;
    }
    if (block < 3)
      net
        .elementwise(1)
        .conv(net.c / 2, 1)
        .pool(2);
  });
  return net.globalPool().fc(1000).works;
}

export function shufflenetV2(size = 224): Net {
  const net = new Builder(size, size, 3).conv(24, 3, 2).pool(2);
  for (const [out, repeat] of [
    [116, 4],
    [232, 8],
    [464, 4],
  ] as const) {
    const start = net.place();
    net
      .depthwise(3, 2)
      .conv(out / 2, 1)
      .at(start)
      .conv(out / 2, 1)
      .depthwise(3, 2)
      .conv(out / 2, 1);
    net.c = out;
    for (let i = 1; i < repeat; i += 1) {
      net.elementwise(1);
      net.c = out / 2;
      net
        .conv(out / 2, 1)
        .depthwise(3)
        .conv(out / 2, 1);
      net.c = out;
    }
  }
  return net.conv(1024, 1).globalPool().fc(1000).works;
}

/** A vision transformer on 16×16 patches: `tokens` × `dim`, `depth` blocks. */
export function vit(dim: number, depth: number, heads: number, size = 224): Net {
  const net = new Builder(size, size, 3).conv(dim, 16, 16);
  const tokens = (size / 16) ** 2 + 1;
  const linear = (inputs: number, outputs: number) =>
    net.push('generic', tokens * inputs * outputs, tokens * (inputs + outputs), inputs * outputs + outputs);
  const other = (elements: number) => net.push('other', 0, elements * 2, 0);
  for (let i = 0; i < depth; i += 1) {
    other(tokens * dim);
    linear(dim, 3 * dim);
    net.push('generic', tokens * tokens * dim, 2 * tokens * dim + heads * tokens * tokens, 0);
    other(heads * tokens * tokens);
    net.push('generic', tokens * tokens * dim, 2 * tokens * dim + heads * tokens * tokens, 0);
    linear(dim, dim);
    other(tokens * dim * 2);
    linear(dim, 4 * dim);
    other(tokens * dim * 4);
    linear(4 * dim, dim);
    other(tokens * dim * 2);
  }
  net.at({ c: dim, h: 1, w: 1 });
  return net.fc(1000).works;
}

/** MLPerf Tiny image classification. */
export function resnet8(): Net {
  const net = new Builder(32, 32, 3).conv(16, 3);
  for (const [out, stride] of [
    [16, 1],
    [32, 2],
    [64, 2],
  ] as const) {
    const start = net.place();
    net.conv(out, 3, stride).conv(out, 3);
    const end = net.place();
    if (stride !== 1) net.at(start).conv(out, 1, stride).at(end);
    net.elementwise(2);
  }
  return net.globalPool().fc(10).works;
}

/** MLPerf Tiny keyword spotting. */
export function dsCnn(): Net {
  const net = new Builder(49, 10, 1).conv(64, [10, 4], 2);
  for (let i = 0; i < 4; i += 1) net.depthwise(3).conv(64, 1);
  return net.globalPool().fc(12).works;
}

/** MLPerf Tiny anomaly detection. */
export function autoEncoder(): Net {
  const net = new Builder(1, 1, 640);
  for (const out of [128, 128, 128, 128, 8, 128, 128, 128, 128, 640]) net.fc(out);
  return net.works;
}

/** A network of which only the totals are known. */
export function bulk(macs: number, params: number, depthwiseShare = 0): Net {
  const net = new Builder(1, 1, 1);
  if (depthwiseShare > 0) net.push('depthwise', macs * depthwiseShare, 0, 0);
  net.push('generic', macs * (1 - depthwiseShare), 0, params);
  return net.works;
}

/** The same network in another precision: bytes shrink, counts stay. */
export function inPrecision(net: Net, precision: LayerWork['precision']): Net {
  const scale = precision === 'int8' ? 1 / 4 : precision === 'float16' ? 1 / 2 : 1;
  return net.map((work) => ({
    ...work,
    precision,
    activationBytes: (work.activationBytes ?? 0) * scale,
    weightBytes: work.weightBytes * scale,
  }));
}

export function macsOf(net: Net): number {
  return net.reduce((sum, work) => sum + (work.macs ?? 0), 0);
}
