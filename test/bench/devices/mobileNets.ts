import { Builder } from './builder.ts';
import type { Net } from './builder.ts';

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
