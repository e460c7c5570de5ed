import { Builder } from './builder.ts';
import type { Net } from './builder.ts';

interface ResnetOptions {
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
