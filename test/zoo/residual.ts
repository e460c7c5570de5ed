import type { OnnxModel } from '../../src/ir/model.ts';
import type { Tap } from './builder.ts';
import { ZooNet } from './builder.ts';
import { divisible } from './mobileTables.ts';

export interface ResnetOptions {
  readonly layers: readonly [number, number, number, number];
  readonly bottleneck: boolean;
  readonly size?: number;
  readonly groups?: number;
  readonly baseWidth?: number;
  /** `deep` stems have three 3×3 convolutions, of these widths. */
  readonly stem?: readonly [number, number, number];
  /** The shortcut averages before its 1×1 convolution (ResNet-D). */
  readonly averageDown?: boolean;
  readonly excite?: boolean;
}

/** ResNet, ResNeXt and Wide ResNet (He 2016, Xie 2017, Zagoruyko 2016), and the variants of He 2019. */
export function resnet(options: ResnetOptions): OnnxModel {
  const { layers, bottleneck, size = 224, stem } = options;
  const net = new ZooNet(size);
  let x = net.input;
  if (stem === undefined) x = net.convNormAct(x, 64, 7, { stride: 2 });
  else {
    x = net.convNormAct(x, stem[0], 3, { stride: 2 });
    x = net.convNormAct(x, stem[1], 3);
    x = net.convNormAct(x, stem[2], 3);
  }
  x = net.pool(x, 'MaxPool', 3, { stride: 2, pad: 1 });
  layers.forEach((count, stage) => {
    for (let block = 0; block < count; block += 1) {
      const stride = block === 0 && stage > 0 ? 2 : 1;
      x = bottleneck
        ? bottleneckBlock(net, x, 64 * 2 ** stage, stride, options)
        : basicBlock(net, x, 64 * 2 ** stage, stride, options);
    }
  });
  return net.finish(net.classifier(x));
}

function shortcut(net: ZooNet, x: Tap, out: number, stride: number, averageDown: boolean): Tap {
  if (x.dims[1] === out && stride === 1) return x;
  if (!averageDown) return net.convNorm(x, out, 1, { stride });
  const pooled = stride === 1 ? x : net.pool(x, 'AveragePool', 2, { stride, ceil: true });
  return net.convNorm(pooled, out, 1);
}

function basicBlock(net: ZooNet, x: Tap, planes: number, stride: number, options: ResnetOptions): Tap {
  let y = net.convNormAct(x, planes, 3, { stride });
  y = net.convNorm(y, planes, 3);
  if (options.excite) y = net.squeezeExcite(y, exciteWidth(planes));
  return net.act(net.add(y, shortcut(net, x, planes, stride, options.averageDown ?? false)));
}

function bottleneckBlock(net: ZooNet, x: Tap, planes: number, stride: number, options: ResnetOptions): Tap {
  const { groups = 1, baseWidth = 64 } = options;
  const width = Math.floor((planes * baseWidth) / 64) * groups;
  let y = net.convNormAct(x, width, 1);
  y = net.convNormAct(y, width, 3, { stride, groups });
  y = net.convNorm(y, planes * 4, 1);
  if (options.excite) y = net.squeezeExcite(y, exciteWidth(planes * 4));
  return net.act(net.add(y, shortcut(net, x, planes * 4, stride, options.averageDown ?? false)));
}

/** A sixteenth, in steps of eight. */
function exciteWidth(channels: number): number {
  return Math.max(8, Math.round(channels / 16 / 8) * 8);
}

interface RegnetOptions {
  readonly depths: readonly number[];
  readonly widths: readonly number[];
  readonly groupWidth: number;
  readonly excite: boolean;
  readonly size?: number;
}

/** RegNetX and RegNetY (Radosavovic 2020): bottlenecks of ratio 1 with groups of one width. */
export function regnet({ depths, widths, groupWidth, excite, size = 224 }: RegnetOptions): OnnxModel {
  const net = new ZooNet(size);
  let x = net.convNormAct(net.input, 32, 3, { stride: 2 });
  depths.forEach((depth, stage) => {
    const width = widths[stage] as number;
    for (let block = 0; block < depth; block += 1) {
      const stride = block === 0 ? 2 : 1;
      const before = x.dims[1] as number;
      let y = net.convNormAct(x, width, 1);
      y = net.convNormAct(y, width, 3, { stride, groups: width / Math.min(groupWidth, width) });
      if (excite) y = net.squeezeExcite(y, Math.round(before / 4));
      y = net.convNorm(y, width, 1);
      const keep = before === width && stride === 1 ? x : net.convNorm(x, width, 1, { stride });
      x = net.act(net.add(y, keep));
    }
  });
  return net.finish(net.classifier(x));
}

/** Rounds halves to even, as the papers' code does. */
function roundEven(value: number): number {
  const down = Math.floor(value);
  if (value - down !== 0.5) return Math.round(value);
  return down % 2 === 0 ? down : down + 1;
}

/**
 * Stage depths and widths from the five numbers that describe a RegNet. Widths must be multiples of the group's:
 * torchvision does not let them lose more than a tenth, timm rounds to the nearest.
 */
export function regnetStages(
  numbers: readonly [depth: number, initial: number, slope: number, multiplier: number, group: number],
  keepTenth: boolean,
): { depths: number[]; widths: number[] } {
  const [depth, initial, slope, multiplier, group] = numbers;
  const quantized = Array.from({ length: depth }, (_, block) => {
    const power = roundEven(Math.log((initial + slope * block) / initial) / Math.log(multiplier));
    return roundEven((initial * multiplier ** power) / 8) * 8;
  });
  const widths = [...new Set(quantized)];
  const depths = widths.map((width) => quantized.filter((each) => each === width).length);
  const fitting = widths.map((width) => {
    const own = Math.min(group, width);
    return keepTenth ? divisible(width, own) : roundEven(width / own) * own;
  });
  return { depths, widths: fitting };
}
