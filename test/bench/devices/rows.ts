import { bulk } from './builder.ts';
import {
  alexnet,
  autoEncoder,
  densenet121,
  dsCnn,
  googlenet,
  resnet,
  resnet8,
  shufflenetV2,
  squeezenet11,
  vgg,
  vit,
} from './classicNets.ts';
import {
  efficientnetB0,
  efficientnetLite,
  mnasnet,
  mobilenetV1,
  mobilenetV2,
  mobilenetV3,
} from './mobileNets.ts';
import type { Net } from './builder.ts';

/** GMACs and millions of parameters of detectors at 640 px: Ultralytics model pages and the Hailo zoo (OPS / 2). */
const detectors: Readonly<Record<string, readonly [number, number]>> = {
  yolov5s: [8.25, 7.2],
  yolov5m: [24.5, 21.2],
  yolov6s: [22.65, 18.5],
  yolov6m: [42.9, 34.9],
  yolov7tiny: [6.87, 6.2],
  yolov8s: [14.3, 11.2],
  yolov8m: [39.45, 25.9],
  yolov10n: [3.35, 2.3],
  yolov10s: [10.8, 7.2],
  yolo11n: [3.25, 2.6],
  yolo11s: [10.75, 9.4],
  yolo11m: [34.0, 20.1],
  yolo11x: [97.45, 56.9],
  yoloxs: [13.4, 9.0],
  yoloxm: [36.9, 25.3],
  efficientnetedgetpus: [2.36, 5.4],
  efficientnetedgetpum: [3.66, 6.9],
};

const tiny: readonly (readonly [RegExp, () => Net])[] = [
  [/MLPerf Tiny IC/, resnet8],
  [/MLPerf Tiny VWW/, () => mobilenetV1(0.25, 96, 3, 2)],
  [/MLPerf Tiny KWS/, dsCnn],
  [/MLPerf Tiny AD/, autoEncoder],
  [/^person_detect/, () => mobilenetV1(0.25, 96, 1, 3)],
];

const families: readonly (readonly [RegExp, (size: number, match: RegExpMatchArray) => Net])[] = [
  [/^mobilenet[-_ ]?v2(_100|-12|_1\.0)?(_int8)?$/, (size) => mobilenetV2(1, size)],
  [/^mobilenet[-_ ]?v1[-_ ]([\d.]+)/, (size, m) => mobilenetV1(Number(m[1]), size)],
  [/^mobilenet[-_ ]?v2[-_ ]([\d.]+)/, (size, m) => mobilenetV2(Number(m[1]), size)],
  [/^mobilenet[-_ ]?v3[-_ ]large[-_]minimalistic/, (size) => mobilenetV3('large', 1, size, true)],
  [
    /^mobilenet[-_ ]?v3[-_ ](large|small)(?:_100|_224_([\d.]+))?/,
    (size, m) => mobilenetV3(m[1] === 'small' ? 'small' : 'large', Number(m[2] ?? 1), size),
  ],
  [/^efficientnet[-_]lite([0-4])/, (_, m) => efficientnetLite(Number(m[1]) as 0 | 1 | 2 | 3 | 4)],
  [/^efficientnet[-_]b0/, (size) => efficientnetB0(size)],
  [/^mnasnet/, (size) => mnasnet(size)],
  [/^mobilenet(_v1| v1)?(_int8)?$/, (size) => mobilenetV1(1, size)],
  [/^mobilenetv3_large/, (size) => mobilenetV3('large', 1, size)],
  [/^mobilenet_v3(_int8)?$/, (size) => mobilenetV3('large', 1, size)],
  [/^wideresnet50/, (size) => resnet({ depth: 50, width: 2, size })],
  [/^resnext50/, (size) => resnet({ depth: 50, width: 2, groups: 32, size })],
  [/^resnet[-_ ]?(?:v1[-_ ])?(18|34|50|101|152)(?:[-_ ]?v1|_int8)?$/, (size, m) => residual(m[1], size)],
  [/^resnet50$/, (size) => residual('50', size)],
  [/^vgg-?(16|19)/, (size, m) => vgg(m[1] === '19' ? 19 : 16, size)],
  [/^alexnet/, () => alexnet()],
  [/^squeezenet([-_ ]?v?1\.1)?(_int8)?$/, (size) => squeezenet11(size)],
  [/^(googlenet|inception v1|inception_v1)/, (size) => googlenet(size)],
  [/^densenet[-_]?(121)?$/, (size) => densenet121(size)],
  [/^shufflenet[-_]v2/, (size) => shufflenetV2(size)],
  [/^(vit$|vit_base$)/, (size) => vit(768, 12, 12, size)],
  [/^vit_tiny_patch16|^deit_tiny/, (size) => vit(192, 12, 3, size)],
  [/^vit_small_patch16/, (size) => vit(384, 12, 6, size)],
];

function residual(depth: string | undefined, size: number): Net {
  const depths = { 18: 18, 34: 34, 50: 50, 101: 101, 152: 152 } as const;
  return resnet({ depth: depths[Number(depth) as keyof typeof depths], size });
}

/** The architecture a row of the table speaks of; `undefined` when it is none that we can write down. */
export function netOf(row: Readonly<Record<string, string>>): Net | undefined {
  const model = row['model'] ?? '';
  for (const [pattern, make] of tiny) if (pattern.test(model)) return make();
  const name = model.toLowerCase().replace(/ \(imagenet\)| fft \(food-101\)| 1\.0x$/g, '');
  const detector = detectors[name.replace(/[-_]/g, '')];
  if (detector !== undefined) return bulk(detector[0] * 1e9, detector[1] * 1e6);
  const size = sizeOf(row['input'] ?? '');
  for (const [pattern, make] of families) {
    const match = pattern.exec(name);
    if (match !== null) return checked(make(size, match), Number(row['macs_M']));
  }
  return undefined;
}

/** Refuses an architecture whose MACs are not those of the row: the name means another variant there. */
function checked(net: Net, published: number): Net | undefined {
  if (!(published > 0)) return net;
  const macs = net.reduce((sum, work) => sum + (work.macs ?? 0), 0) / 1e6;
  const near = Math.abs(macs / published - 1) < 0.13 || Math.abs(macs - published) < 2;
  return near ? net : undefined;
}

/** The side of the input picture: the most frequent number above 16, 224 when the row says nothing. */
function sizeOf(input: string): number {
  const numbers = [...input.matchAll(/\d+/g)].map(Number).filter((value) => value > 16);
  return numbers[0] ?? 224;
}
