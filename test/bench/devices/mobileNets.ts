import { Builder } from './builder.ts';
import type { Net } from './builder.ts';
import { divisible, efficientBlocks, mnasBlocks, v1Steps, v2Blocks, v3Rows } from '../../zoo/mobileTables.ts';

export function mobilenetV1(alpha: number, size: number, channels = 3, classes = 1001): Net {
  const net = new Builder(size, size, channels).conv(Math.round(32 * alpha), 3, 2);
  for (const [out, stride] of v1Steps) net.depthwise(3, stride).conv(Math.round(out * alpha), 1);
  return net.globalPool().fc(classes).works;
}

export function mobilenetV2(alpha: number, size: number, classes = 1001): Net {
  const net = new Builder(size, size, 3).conv(divisible(32 * alpha), 3, 2);
  for (const [expand, out, repeat, stride] of v2Blocks)
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

/** `minimalistic` has neither squeeze-and-excite, nor hard-swish, nor 5×5 kernels. */
export function mobilenetV3(kind: 'large' | 'small', alpha: number, size: number, minimalistic = false): Net {
  const net = new Builder(size, size, 3).conv(16, 3, 2);
  for (const [kernel, width, out, excite, swish, stride] of v3Rows[kind]) {
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
  for (const [expand, out, repeat, stride, kernel] of mnasBlocks)
    for (let i = 0; i < repeat; i += 1) inverted(net, { expand, out, kernel, stride: i === 0 ? stride : 1 });
  return net.conv(1280, 1).globalPool().fc(1000).works;
}
