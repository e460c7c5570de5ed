import type { OnnxModel } from '../../src/ir/model.ts';
import type { Tap } from './builder.ts';
import { ZooNet } from './builder.ts';
import {
  divisible,
  efficientBlocks,
  efficientV2Blocks,
  mnasBlocks,
  v1Steps,
  v2Blocks,
  v3Rows,
} from './mobileTables.ts';

interface BlockOptions {
  readonly kernel: number;
  readonly stride: number;
  /** Channels between expansion and projection; equal to the input's: no expansion. */
  readonly width: number;
  readonly out: number;
  /** Channels of the squeeze-and-excite bottleneck. */
  readonly excite?: number;
  /** Pads like TensorFlow. */
  readonly same?: boolean;
  /** The expansion is a full convolution and there is no depthwise one (Fused-MBConv). */
  readonly fused?: boolean;
}

function inverted(net: ZooNet, x: Tap, block: BlockOptions): Tap {
  const { kernel, stride, width, out, excite, fused = false } = block;
  const conv = block.same ? net.convSame.bind(net) : net.conv.bind(net);
  const before = x.dims[1] as number;
  let y = x;
  if (fused && width === before) {
    y = net.act(net.norm(conv(x, out, kernel, { stride })));
    return stride === 1 && before === out ? net.add(y, x) : y;
  }
  if (fused) y = net.act(net.norm(conv(x, width, kernel, { stride })));
  else {
    if (width !== before) y = net.convNormAct(y, width, 1);
    y = net.act(net.norm(conv(y, width, kernel, { stride, groups: width })));
  }
  if (excite !== undefined) y = net.squeezeExcite(y, excite);
  y = net.convNorm(y, out, 1);
  return stride === 1 && before === out ? net.add(y, x) : y;
}

interface WidthOptions {
  readonly alpha: number;
  readonly depth?: number;
  readonly size?: number;
  readonly classes?: number;
  readonly same?: boolean;
  /** The stem and the head keep their width when the network is made narrower or wider. */
  readonly fixedHead?: boolean;
}

/** MobileNet V2 (Sandler 2018). */
export function mobilenetV2(options: WidthOptions): OnnxModel {
  const { alpha, depth = 1, size = 224, classes = 1000, same = false, fixedHead = false } = options;
  const net = new ZooNet(size);
  const conv = same ? net.convSame.bind(net) : net.conv.bind(net);
  let x = net.act(net.norm(conv(net.input, fixedHead ? 32 : divisible(32 * alpha), 3, { stride: 2 })));
  v2Blocks.forEach(([expand, out, repeat, stride], stage) => {
    const last = stage === 0 || stage === v2Blocks.length - 1;
    const times = last ? repeat : Math.ceil(repeat * depth);
    for (let i = 0; i < times; i += 1) {
      const width = (x.dims[1] as number) * expand;
      x = inverted(net, x, {
        kernel: 3,
        stride: i === 0 ? stride : 1,
        width,
        out: divisible(out * alpha),
        same,
      });
    }
  });
  x = net.convNormAct(x, fixedHead ? 1280 : Math.max(1280, divisible(1280 * alpha)), 1);
  return net.finish(net.classifier(x, classes));
}

/** MobileNet V1 (Howard 2017). */
export function mobilenetV1({ alpha, size = 224, classes = 1001 }: WidthOptions): OnnxModel {
  const net = new ZooNet(size);
  let x = net.act(net.norm(net.convSame(net.input, divisible(32 * alpha), 3, { stride: 2 })));
  for (const [out, stride] of v1Steps) {
    const c = x.dims[1] as number;
    x = net.act(net.norm(net.convSame(x, c, 3, { stride, groups: c })));
    x = net.convNormAct(x, divisible(out * alpha), 1);
  }
  return net.finish(net.classifier(x, classes));
}

/**
 * MobileNet V3 (Howard 2019). timm derives the expansion from the input's channels, keeps stem and head unless told
 * otherwise, and its last layers are a convolution with bias and a classifier.
 */
export function mobilenetV3(
  kind: 'large' | 'small',
  options: WidthOptions & { minimal?: boolean },
): OnnxModel {
  const { alpha, size = 224, classes = 1000, same = false, fixedHead = false, minimal = false } = options;
  const net = new ZooNet(size);
  const conv = same ? net.convSame.bind(net) : net.conv.bind(net);
  const stem = fixedHead && alpha < 0.75 ? 16 : divisible(16 * (fixedHead ? 1 : alpha));
  let x = net.act(net.norm(conv(net.input, stem, 3, { stride: 2 })));
  const rows = v3Rows[kind];
  let plain = 16;
  rows.forEach(([kernel, width, out, excite, , stride]) => {
    // The published rows give widths at alpha 1; narrower nets keep the ratio to the block's own input.
    const wide = fixedHead ? divisible((x.dims[1] as number) * (width / plain)) : divisible(width * alpha);
    x = inverted(net, x, {
      kernel: minimal ? 3 : kernel,
      stride,
      width: wide,
      out: divisible(out * alpha),
      same,
      ...(excite && !minimal && { excite: divisible(wide / 4) }),
    });
    plain = out;
  });
  x = net.convNormAct(x, divisible((kind === 'large' ? 960 : 576) * alpha), 1);
  const head = kind === 'large' ? 1280 : 1024;
  const features = net.flatten(net.globalPool(x));
  const hidden = net.act(
    net.linear(features, fixedHead ? head : divisible(head * Math.max(alpha, fixedHead ? 1 : alpha))),
  );
  return net.finish(net.linear(hidden, classes));
}

/** EfficientNet (Tan 2019); Lite has neither squeeze-and-excite nor a wider stem and head. */
export function efficientnet(options: WidthOptions & { readonly lite?: boolean }): OnnxModel {
  const { alpha, depth = 1, size = 224, same = false, lite = false } = options;
  const net = new ZooNet(size);
  const conv = same ? net.convSame.bind(net) : net.conv.bind(net);
  const wide = (channels: number) => divisible(channels * alpha);
  let x = net.act(net.norm(conv(net.input, lite ? 32 : wide(32), 3, { stride: 2 })));
  efficientBlocks.forEach(([expand, out, repeat, stride, kernel], stage) => {
    const fixed = lite && (stage === 0 || stage === efficientBlocks.length - 1);
    const times = fixed ? repeat : Math.ceil(repeat * depth);
    for (let i = 0; i < times; i += 1) {
      const before = x.dims[1] as number;
      x = inverted(net, x, {
        kernel,
        stride: i === 0 ? stride : 1,
        width: before * expand,
        out: wide(out),
        same,
        ...(!lite && { excite: Math.max(1, Math.floor(before / 4)) }),
      });
    }
  });
  return net.finish(net.classifier(net.convNormAct(x, lite ? 1280 : wide(1280), 1)));
}

/** The nearest multiple of eight, whatever is lost. */
function nearest(value: number): number {
  return Math.max(8, Math.floor((value + 4) / 8) * 8);
}

/** EfficientNetV2 (Tan 2021); its stem has the width of its first stage, 32 for the B family. */
export function efficientnetV2(
  kind: keyof typeof efficientV2Blocks,
  options: Partial<WidthOptions> = {},
): OnnxModel {
  const { alpha = 1, depth = 1, size = 384, same = false } = options;
  const net = new ZooNet(size);
  const conv = same ? net.convSame.bind(net) : net.conv.bind(net);
  const rows = efficientV2Blocks[kind];
  const stem = kind === 'b' ? nearest(32 * alpha) : (rows[0]?.[4] ?? 24);
  let x = net.act(net.norm(conv(net.input, stem, 3, { stride: 2 })));
  for (const [fused, expand, kernel, stride, out, repeat] of rows) {
    for (let i = 0; i < Math.ceil(repeat * depth); i += 1) {
      const before = x.dims[1] as number;
      x = inverted(net, x, {
        kernel,
        stride: i === 0 ? stride : 1,
        width: before * expand,
        out: nearest(out * alpha),
        fused,
        same,
        ...(!fused && { excite: Math.max(1, Math.floor(before / 4)) }),
      });
    }
  }
  return net.finish(net.classifier(net.convNormAct(x, nearest(1280 * alpha), 1)));
}

/** MnasNet B1 (Tan 2019); A1 ("semnasnet") has squeeze-and-excite and other depths. */
export function mnasnet({ alpha, size = 224, fixedHead = true }: WidthOptions): OnnxModel {
  const net = new ZooNet(size);
  let x = net.convNormAct(net.input, divisible(32 * alpha), 3, { stride: 2 });
  const c = x.dims[1] as number;
  x = net.convNormAct(x, c, 3, { groups: c });
  x = net.convNorm(x, divisible(16 * alpha), 1);
  for (const [expand, out, repeat, stride, kernel] of mnasBlocks)
    for (let i = 0; i < repeat; i += 1) {
      const width = (x.dims[1] as number) * expand;
      x = inverted(net, x, { kernel, stride: i === 0 ? stride : 1, width, out: divisible(out * alpha) });
    }
  return net.finish(net.classifier(net.convNormAct(x, fixedHead ? 1280 : divisible(1280 * alpha), 1)));
}
