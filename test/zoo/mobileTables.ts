// The published tables of small networks for images, as their papers print them.

/** The nearest multiple of `by` that does not lose more than a tenth. */
export function divisible(value: number, by = 8): number {
  const rounded = Math.max(by, Math.floor((value + by / 2) / by) * by);
  return rounded < 0.9 * value ? rounded + by : rounded;
}

/** MobileNet V1 (Howard 2017): output channels and stride of each separable convolution. */
export const v1Steps: readonly (readonly [out: number, stride: number])[] = [
  [64, 1],
  [128, 2],
  [128, 1],
  [256, 2],
  [256, 1],
  [512, 2],
  ...Array.from({ length: 5 }, () => [512, 1] as const),
  [1024, 2],
  [1024, 1],
];

type Stage = readonly [expand: number, out: number, repeat: number, stride: number];

/** MobileNet V2 (Sandler 2018). */
export const v2Blocks: readonly Stage[] = [
  [1, 16, 1, 1],
  [6, 24, 2, 2],
  [6, 32, 3, 2],
  [6, 64, 4, 2],
  [6, 96, 3, 1],
  [6, 160, 3, 2],
  [6, 320, 1, 1],
];

type V3Row = readonly [
  kernel: number,
  width: number,
  out: number,
  excite: boolean,
  swish: boolean,
  stride: number,
];

/** MobileNet V3 (Howard 2019). */
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

export const v3Rows = { large: v3Large, small: v3Small } as const;

type KernelStage = readonly [...Stage, kernel: number];

/** EfficientNet B0 (Tan 2019). */
export const efficientBlocks: readonly KernelStage[] = [
  [1, 16, 1, 1, 3],
  [6, 24, 2, 2, 3],
  [6, 40, 2, 2, 5],
  [6, 80, 3, 2, 3],
  [6, 112, 3, 1, 5],
  [6, 192, 4, 2, 5],
  [6, 320, 1, 1, 3],
];

/** MnasNet B1 (Tan 2019). */
export const mnasBlocks: readonly KernelStage[] = [
  [3, 24, 3, 2, 3],
  [3, 40, 3, 2, 5],
  [6, 80, 3, 2, 5],
  [6, 96, 2, 1, 3],
  [6, 192, 4, 2, 5],
  [6, 320, 1, 1, 3],
];

type EfficientV2Row = readonly [
  fused: boolean,
  expand: number,
  kernel: number,
  stride: number,
  out: number,
  repeat: number,
];

/** EfficientNetV2 (Tan 2021). */
export const efficientV2Blocks: Readonly<Record<'s' | 'm' | 'l' | 'xl' | 'b', readonly EfficientV2Row[]>> = {
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
