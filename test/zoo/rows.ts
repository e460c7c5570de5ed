import type { OnnxModel } from '../../src/ir/model.ts';
import { alexnet, densenet, googlenet, inceptionV3, shufflenetV2, squeezenet, vgg } from './classic.ts';
import { efficientnet, efficientnetV2, mnasnet, mobilenetV1, mobilenetV2, mobilenetV3 } from './mobile.ts';
import type { ResnetOptions } from './residual.ts';
import { regnet, regnetStages, resnet } from './residual.ts';
import type { VitOptions } from './transformers.ts';
import { convnext, mixer, swin, vit } from './transformers.ts';

type Maker = (match: RegExpExecArray, size: number) => OnnxModel | undefined;

const depths: Readonly<Record<string, ResnetOptions['layers']>> = {
  '10': [1, 1, 1, 1],
  '14': [1, 1, 1, 1],
  '18': [2, 2, 2, 2],
  '26': [2, 2, 2, 2],
  '34': [3, 4, 6, 3],
  '50': [3, 4, 6, 3],
  '101': [3, 4, 23, 3],
  '152': [3, 8, 36, 3],
  '200': [3, 24, 36, 3],
};
const basic = new Set(['10', '18', '34']);
const stems: Readonly<Record<string, readonly [number, number, number]>> = {
  c: [32, 32, 64],
  d: [32, 32, 64],
  s: [64, 64, 128],
  t: [24, 32, 64],
};

function residual(
  depth: string,
  size: number,
  more: Partial<ResnetOptions> & { variant?: string } = {},
): OnnxModel | undefined {
  const layers = depths[depth];
  const { variant = '', ...rest } = more;
  const stem = stems[variant];
  return (
    layers &&
    resnet({
      layers,
      bottleneck: !basic.has(depth),
      size,
      ...(stem !== undefined && { stem }),
      averageDown: variant === 'd' || variant === 't',
      ...rest,
    })
  );
}

type Regnet = readonly [depth: number, initial: number, slope: number, multiplier: number, group: number];
const regnetX: Readonly<Record<string, Regnet>> = {
  '002': [13, 24, 36.44, 2.49, 8],
  '004': [22, 24, 24.48, 2.54, 16],
  '006': [16, 48, 36.97, 2.24, 24],
  '008': [16, 56, 35.73, 2.28, 16],
  '016': [18, 80, 34.01, 2.25, 24],
  '032': [25, 88, 26.31, 2.25, 48],
  '040': [23, 96, 38.65, 2.43, 40],
  '064': [17, 184, 60.83, 2.07, 56],
  '080': [23, 80, 49.56, 2.88, 120],
  '120': [19, 168, 73.36, 2.37, 112],
  '160': [22, 216, 55.59, 2.1, 128],
  '320': [23, 320, 69.86, 2.0, 168],
};
const regnetY: Readonly<Record<string, Regnet>> = {
  '002': [13, 24, 36.44, 2.49, 8],
  '004': [16, 48, 27.89, 2.09, 8],
  '006': [15, 48, 32.54, 2.32, 16],
  '008': [14, 56, 38.84, 2.4, 16],
  '016': [27, 48, 20.71, 2.65, 24],
  '032': [21, 80, 42.63, 2.66, 24],
  '040': [22, 96, 31.41, 2.24, 64],
  '064': [25, 112, 33.22, 2.27, 72],
  '080': [17, 192, 76.82, 2.19, 56],
  '120': [19, 168, 73.36, 2.37, 112],
  '160': [18, 200, 106.23, 2.48, 112],
  '320': [20, 232, 115.89, 2.53, 232],
};
const torchRegnets: Readonly<Record<string, string>> = {
  '400MF': '004',
  '800MF': '008',
  '1_6GF': '016',
  '3_2GF': '032',
  '8GF': '080',
  '16GF': '160',
  '32GF': '320',
};

function regnetOf(kind: string, code: string, size: number, torch: boolean): OnnxModel | undefined {
  const excite = kind.toLowerCase() === 'y';
  const settings = (excite ? regnetY : regnetX)[code];
  return settings && regnet({ ...regnetStages(settings, torch), groupWidth: settings[4], excite, size });
}

const efficientScale = [
  [1, 1],
  [1, 1.1],
  [1.1, 1.2],
  [1.2, 1.4],
  [1.4, 1.8],
  [1.6, 2.2],
  [1.8, 2.6],
  [2, 3.1],
  [2.2, 3.6],
] as const;

function efficientOf(
  level: number,
  size: number,
  more: { same?: boolean; lite?: boolean } = {},
): OnnxModel | undefined {
  const scale = efficientScale[level];
  return scale && efficientnet({ alpha: scale[0], depth: scale[1], size, ...more });
}

const convnexts: Readonly<
  Record<string, { width: number; depths: readonly [number, number, number, number] }>
> = {
  atto: { width: 40, depths: [2, 2, 6, 2] },
  femto: { width: 48, depths: [2, 2, 6, 2] },
  pico: { width: 64, depths: [2, 2, 6, 2] },
  nano: { width: 80, depths: [2, 2, 8, 2] },
  tiny: { width: 96, depths: [3, 3, 9, 3] },
  small: { width: 96, depths: [3, 3, 27, 3] },
  base: { width: 128, depths: [3, 3, 27, 3] },
  large: { width: 192, depths: [3, 3, 27, 3] },
  xlarge: { width: 256, depths: [3, 3, 27, 3] },
  xxlarge: { width: 384, depths: [3, 4, 30, 3] },
};

function convnextOf(name: string, size: number, response = false): OnnxModel | undefined {
  const found = convnexts[name.toLowerCase()];
  if (found === undefined) return undefined;
  const { width, depths: stages } = found;
  return convnext({ depths: stages, widths: [width, 2 * width, 4 * width, 8 * width], size, response });
}

const vits: Readonly<Record<string, Pick<VitOptions, 'width' | 'depth' | 'heads'>>> = {
  tiny: { width: 192, depth: 12, heads: 3 },
  small: { width: 384, depth: 12, heads: 6 },
  medium: { width: 512, depth: 12, heads: 8 },
  base: { width: 768, depth: 12, heads: 12 },
  large: { width: 1024, depth: 24, heads: 16 },
  huge: { width: 1280, depth: 32, heads: 16 },
};

function vitOf(
  name: string,
  patch: string,
  size: number,
  more: Partial<VitOptions> = {},
): OnnxModel | undefined {
  const found = vits[name];
  return found && vit({ ...found, patch: Number(patch), size, ...more });
}

const swins = {
  tiny: { width: 96, depths: [2, 2, 6, 2], heads: [3, 6, 12, 24] },
  small: { width: 96, depths: [2, 2, 18, 2], heads: [3, 6, 12, 24] },
  base: { width: 128, depths: [2, 2, 18, 2], heads: [4, 8, 16, 32] },
  large: { width: 192, depths: [2, 2, 18, 2], heads: [6, 12, 24, 48] },
} as const;
const torchSwins = { T: 'tiny', S: 'small', B: 'base' } as const;

const shuffles: Readonly<Record<string, readonly [number, number, number, number]>> = {
  X0_5: [48, 96, 192, 1024],
  X1_0: [116, 232, 464, 1024],
  X1_5: [176, 352, 704, 1024],
  X2_0: [244, 488, 976, 2048],
};

const percent = (text: string) => Number(text) / 100;
const v2b = [
  [1, 1],
  [1, 1.1],
  [1.1, 1.2],
  [1.2, 1.4],
] as const;

/** Rows of published tables by name, and the networks behind them. */
const makers: readonly (readonly [RegExp, Maker])[] = [
  // torchvision
  [/^ResNet(18|34|50|101|152)(?:_Quantize)?\./, ([, depth = ''], size) => residual(depth, size)],
  [
    /^ResNeXt(\d+)_(\d+)X(\d+)D(?:_Quantize)?\./,
    ([, depth = '', groups, width], size) =>
      residual(depth, size, { groups: Number(groups), baseWidth: Number(width) }),
  ],
  [/^Wide_ResNet(\d+)_2\./, ([, depth = ''], size) => residual(depth, size, { baseWidth: 128 })],
  [/^VGG(\d+)(_BN)?\./, ([, depth, norm], size) => vgg(Number(depth) as 11, norm !== undefined, size)],
  [/^AlexNet\./, () => alexnet()],
  [/^SqueezeNet1_([01])\./, ([, minor]) => squeezenet(minor === '0' ? '1.0' : '1.1')],
  [/^DenseNet121\./, () => densenet([6, 12, 24, 16], 32, 64)],
  [/^DenseNet161\./, () => densenet([6, 12, 36, 24], 48, 96)],
  [/^DenseNet169\./, () => densenet([6, 12, 32, 32], 32, 64)],
  [/^DenseNet201\./, () => densenet([6, 12, 48, 32], 32, 64)],
  [/^GoogLeNet\./, () => googlenet()],
  [/^Inception_V3(?:_Quantize)?\./, () => inceptionV3()],
  [
    /^ShuffleNet_V2_(X\d_\d)(?:_Quantize)?\./,
    ([, code = '']) => shuffles[code] && shufflenetV2(shuffles[code]),
  ],
  [/^MobileNet_V2(?:_Quantize)?\./, (_, size) => mobilenetV2({ alpha: 1, size })],
  [
    /^MobileNet_V3_(Large|Small)(?:_Quantize)?\./,
    ([, kind], size) => mobilenetV3(kind === 'Large' ? 'large' : 'small', { alpha: 1, size }),
  ],
  [/^MNASNet(\d)_(\d+)\./, ([, whole, part], size) => mnasnet({ alpha: Number(`${whole}.${part}`), size })],
  [/^EfficientNet_B(\d)\./, ([, level], size) => efficientOf(Number(level), size)],
  [
    /^EfficientNet_V2_([SML])\./,
    ([, kind = 'S'], size) => efficientnetV2(kind.toLowerCase() as 's', { size }),
  ],
  [
    /^RegNet_([XY])_(\w+?)\./,
    ([, kind = '', code = ''], size) => regnetOf(kind, torchRegnets[code] ?? '', size, true),
  ],
  [/^ConvNeXt_(\w+)\./, ([, name = ''], size) => convnextOf(name, size)],
  [
    /^ViT_([BLH])_(\d+)\./,
    ([, kind, patch = ''], size) =>
      vitOf(kind === 'B' ? 'base' : kind === 'L' ? 'large' : 'huge', patch, size),
  ],
  [/^Swin_([TSB])\./, ([, kind], size) => swin({ ...swins[torchSwins[kind as 'T']], window: 7, size })],
  // timm
  [
    /^timm\/(?:tv_)?(se)?resnet(\d+)([cdst]?)$/,
    ([, excite, depth = '', variant = ''], size) =>
      residual(depth, size, { variant, excite: excite !== undefined }),
  ],
  [
    /^timm\/(se)?resnext(\d+)(d?)_(\d+)x(\d+)d$/,
    ([, excite, depth = '', variant = '', groups, width], size) =>
      residual(depth, size, {
        variant,
        excite: excite !== undefined,
        groups: Number(groups),
        baseWidth: Number(width),
      }),
  ],
  [/^timm\/wide_resnet(\d+)_2$/, ([, depth = ''], size) => residual(depth, size, { baseWidth: 128 })],
  [/^timm\/vgg(\d+)(_bn)?$/, ([, depth, norm], size) => vgg(Number(depth) as 11, norm !== undefined, size)],
  [/^timm\/densenet161$/, () => densenet([6, 12, 36, 24], 48, 96)],
  [/^timm\/densenet201$/, () => densenet([6, 12, 48, 32], 32, 64)],
  [/^timm\/mobilenetv2_(\d{3})$/, ([, alpha = ''], size) => mobilenetV2({ alpha: percent(alpha), size })],
  [/^timm\/mobilenetv2_110d$/, (_, size) => mobilenetV2({ alpha: 1.1, depth: 1.2, size, fixedHead: true })],
  [/^timm\/mobilenetv2_120d$/, (_, size) => mobilenetV2({ alpha: 1.2, depth: 1.4, size, fixedHead: true })],
  [
    /^timm\/(tf_)?mobilenetv3_(large|small)_(minimal_)?(\d{3})$/,
    ([, same, kind, minimal, alpha = ''], size) =>
      mobilenetV3(kind as 'large', {
        alpha: percent(alpha),
        size,
        fixedHead: true,
        same: same !== undefined,
        minimal: minimal !== undefined,
      }),
  ],
  [/^timm\/mnasnet_(\d{3})$/, ([, alpha = ''], size) => mnasnet({ alpha: percent(alpha), size })],
  [
    /^timm\/(tf_)?efficientnet_b(\d)$/,
    ([, same, level], size) => efficientOf(Number(level), size, { same: same !== undefined }),
  ],
  [
    /^timm\/(tf_)?efficientnet_lite(\d)$/,
    ([, same, level], size) => efficientOf(Number(level), size, { same: same !== undefined, lite: true }),
  ],
  [
    /^timm\/(tf_)?efficientnetv2_(s|m|l|xl)$/,
    ([, same, kind], size) => efficientnetV2(kind as 's', { size, same: same !== undefined }),
  ],
  [
    /^timm\/tf_efficientnetv2_b(\d)$/,
    ([, level], size) => {
      const scale = v2b[Number(level)];
      return scale && efficientnetV2('b', { alpha: scale[0], depth: scale[1], size, same: true });
    },
  ],
  [
    /^timm\/regnet([xy])_(\d{3})(_tv)?$/,
    ([, kind = '', code = '', torch], size) => regnetOf(kind, code, size, torch !== undefined),
  ],
  [/^timm\/convnext_(\w+)$/, ([, name = ''], size) => convnextOf(name, size)],
  [/^timm\/convnextv2_(\w+)$/, ([, name = ''], size) => convnextOf(name, size, true)],
  [
    /^timm\/vit_(tiny|small|base|large|huge)_patch(\d+)_(\d+)$/,
    ([, name = '', patch = ''], size) => vitOf(name, patch, size),
  ],
  [
    /^timm\/vit_(tiny|small|medium|base|large|huge)_patch(\d+)_clip_(\d+)$/,
    ([, name = '', patch = ''], size) => vitOf(name, patch, size, { preNorm: true, patchBias: false }),
  ],
  [
    /^timm\/vit_(base|huge)_patch(\d+)_gap_(\d+)$/,
    ([, name = '', patch = ''], size) => vitOf(name, patch, size, { averaged: true, extraTokens: 0 }),
  ],
  [
    /^timm\/deit_(tiny|small|base)_(distilled_)?patch(\d+)_(\d+)$/,
    ([, name = '', distilled, patch = ''], size) =>
      vitOf(name, patch, size, distilled === undefined ? {} : { extraTokens: 2, distilled: true }),
  ],
  [
    /^timm\/deit3_(small|medium|base|large|huge)_patch(\d+)_(\d+)$/,
    ([, name = '', patch = ''], size) => vitOf(name, patch, size, { layerScale: true }),
  ],
  [
    /^timm\/mixer_([sbl])(16|32)_224$/,
    ([, kind, patch], size) => {
      const [width, depth] = ({ s: [512, 8], b: [768, 12], l: [1024, 24] } as const)[kind as 's'];
      return mixer({ patch: Number(patch), width, depth, size });
    },
  ],
  [
    /^timm\/swin_(tiny|small|base|large)_patch4_window(\d+)_(\d+)$/,
    ([, name, window], size) => swin({ ...swins[name as 'tiny'], window: Number(window), size }),
  ],
  // TF-slim
  [/^MobileNet_v1_([\d.]+)_(\d+)$/, ([, alpha], size) => mobilenetV1({ alpha: Number(alpha), size })],
  [
    /^mobilenet_v2_([\d.]+)_(\d+)$/,
    ([, alpha], size) => mobilenetV2({ alpha: Number(alpha), size, classes: 1001, same: true }),
  ],
  [
    /^mobilenet_v3 (Large|Small) dm=([\d.]+)$/,
    ([, kind = '', alpha], size) =>
      mobilenetV3(kind.toLowerCase() as 'large', {
        alpha: Number(alpha),
        size,
        classes: 1001,
        same: true,
        fixedHead: true,
      }),
  ],
  [
    /^mobilenet_v3 (Large|Small) minimalistic$/,
    ([, kind = ''], size) =>
      mobilenetV3(kind.toLowerCase() as 'large', {
        alpha: 1,
        size,
        classes: 1001,
        same: true,
        fixedHead: true,
        minimal: true,
      }),
  ],
];

/** The network that a row's name and input size describe, or `undefined` when it is not among those built here. */
export function networkOf(name: string, size: number): OnnxModel | undefined {
  for (const [pattern, make] of makers) {
    const match = pattern.exec(name);
    if (match !== null) return make(match, size);
  }
  return undefined;
}
