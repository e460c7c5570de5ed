import type { OnnxModel } from '../../src/ir/model.ts';
import type { Tap } from './builder.ts';
import { divisible, ZooNet } from './builder.ts';

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

const v2Blocks = [
  [1, 16, 1, 1],
  [6, 24, 2, 2],
  [6, 32, 3, 2],
  [6, 64, 4, 2],
  [6, 96, 3, 1],
  [6, 160, 3, 2],
  [6, 320, 1, 1],
] as const;

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
  const steps = [
    [64, 1],
    [128, 2],
    [128, 1],
    [256, 2],
    [256, 1],
    [512, 2],
    ...Array.from({ length: 5 }, () => [512, 1]),
    [1024, 2],
    [1024, 1],
  ];
  for (const [out = 0, stride = 1] of steps) {
    const c = x.dims[1] as number;
    x = net.act(net.norm(net.convSame(x, c, 3, { stride, groups: c })));
    x = net.convNormAct(x, divisible(out * alpha), 1);
  }
  return net.finish(net.classifier(x, classes));
}

type V3Row = readonly [kernel: number, width: number, out: number, excite: boolean, stride: number];

const v3Large: readonly V3Row[] = [
  [3, 16, 16, false, 1],
  [3, 64, 24, false, 2],
  [3, 72, 24, false, 1],
  [5, 72, 40, true, 2],
  [5, 120, 40, true, 1],
  [5, 120, 40, true, 1],
  [3, 240, 80, false, 2],
  [3, 200, 80, false, 1],
  [3, 184, 80, false, 1],
  [3, 184, 80, false, 1],
  [3, 480, 112, true, 1],
  [3, 672, 112, true, 1],
  [5, 672, 160, true, 2],
  [5, 960, 160, true, 1],
  [5, 960, 160, true, 1],
];

const v3Small: readonly V3Row[] = [
  [3, 16, 16, true, 2],
  [3, 72, 24, false, 2],
  [3, 88, 24, false, 1],
  [5, 96, 40, true, 2],
  [5, 240, 40, true, 1],
  [5, 240, 40, true, 1],
  [5, 120, 48, true, 1],
  [5, 144, 48, true, 1],
  [5, 288, 96, true, 2],
  [5, 576, 96, true, 1],
  [5, 576, 96, true, 1],
];

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
  const rows = kind === 'large' ? v3Large : v3Small;
  let plain = 16;
  rows.forEach(([kernel, width, out, excite, stride]) => {
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

const efficientBlocks = [
  [1, 16, 1, 1, 3],
  [6, 24, 2, 2, 3],
  [6, 40, 2, 2, 5],
  [6, 80, 3, 2, 3],
  [6, 112, 3, 1, 5],
  [6, 192, 4, 2, 5],
  [6, 320, 1, 1, 3],
] as const;

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

type V2Row = readonly [
  fused: boolean,
  expand: number,
  kernel: number,
  stride: number,
  out: number,
  repeat: number,
];

const efficientV2: Readonly<Record<'s' | 'm' | 'l' | 'xl' | 'b', readonly V2Row[]>> = {
  s: [
    [true, 1, 3, 1, 24, 2],
    [true, 4, 3, 2, 48, 4],
    [true, 4, 3, 2, 64, 4],
    [false, 4, 3, 2, 128, 6],
    [false, 6, 3, 1, 160, 9],
    [false, 6, 3, 2, 256, 15],
  ],
  m: [
    [true, 1, 3, 1, 24, 3],
    [true, 4, 3, 2, 48, 5],
    [true, 4, 3, 2, 80, 5],
    [false, 4, 3, 2, 160, 7],
    [false, 6, 3, 1, 176, 14],
    [false, 6, 3, 2, 304, 18],
    [false, 6, 3, 1, 512, 5],
  ],
  l: [
    [true, 1, 3, 1, 32, 4],
    [true, 4, 3, 2, 64, 7],
    [true, 4, 3, 2, 96, 7],
    [false, 4, 3, 2, 192, 10],
    [false, 6, 3, 1, 224, 19],
    [false, 6, 3, 2, 384, 25],
    [false, 6, 3, 1, 640, 7],
  ],
  xl: [
    [true, 1, 3, 1, 32, 4],
    [true, 4, 3, 2, 64, 8],
    [true, 4, 3, 2, 96, 8],
    [false, 4, 3, 2, 192, 16],
    [false, 6, 3, 1, 256, 24],
    [false, 6, 3, 2, 512, 32],
    [false, 6, 3, 1, 640, 8],
  ],
  b: [
    [true, 1, 3, 1, 16, 1],
    [true, 4, 3, 2, 32, 2],
    [true, 4, 3, 2, 48, 2],
    [false, 4, 3, 2, 96, 3],
    [false, 6, 3, 1, 112, 5],
    [false, 6, 3, 2, 192, 8],
  ],
};

/** The nearest multiple of eight, whatever is lost. */
function nearest(value: number): number {
  return Math.max(8, Math.floor((value + 4) / 8) * 8);
}

/** EfficientNetV2 (Tan 2021); its stem has the width of its first stage, 32 for the B family. */
export function efficientnetV2(
  kind: keyof typeof efficientV2,
  options: Partial<WidthOptions> = {},
): OnnxModel {
  const { alpha = 1, depth = 1, size = 384, same = false } = options;
  const net = new ZooNet(size);
  const conv = same ? net.convSame.bind(net) : net.conv.bind(net);
  const rows = efficientV2[kind];
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
  const blocks = [
    [3, 24, 3, 2, 3],
    [3, 40, 3, 2, 5],
    [6, 80, 3, 2, 5],
    [6, 96, 2, 1, 3],
    [6, 192, 4, 2, 5],
    [6, 320, 1, 1, 3],
  ] as const;
  for (const [expand, out, repeat, stride, kernel] of blocks)
    for (let i = 0; i < repeat; i += 1) {
      const width = (x.dims[1] as number) * expand;
      x = inverted(net, x, { kernel, stride: i === 0 ? stride : 1, width, out: divisible(out * alpha) });
    }
  return net.finish(net.classifier(net.convNormAct(x, fixedHead ? 1280 : divisible(1280 * alpha), 1)));
}
