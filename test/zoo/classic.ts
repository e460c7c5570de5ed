import type { OnnxModel } from '../../src/ir/model.ts';
import type { Tap } from './builder.ts';
import { ZooNet } from './builder.ts';

const vggCounts = {
  11: [1, 1, 2, 2, 2],
  13: [2, 2, 2, 2, 2],
  16: [2, 2, 3, 3, 3],
  19: [2, 2, 4, 4, 4],
} as const;

/** VGG (Simonyan 2015), with or without batch norm. */
export function vgg(depth: keyof typeof vggCounts, norm: boolean, size = 224): OnnxModel {
  const net = new ZooNet(size);
  let x = net.input;
  vggCounts[depth].forEach((count, stage) => {
    for (let i = 0; i < count; i += 1) {
      x = net.conv(x, Math.min(512, 64 * 2 ** stage), 3, { bias: true });
      if (norm) x = net.norm(x);
      x = net.act(x);
    }
    x = net.pool(x, 'MaxPool', 2);
  });
  x = net.act(net.linear(net.flatten(x), 4096));
  x = net.act(net.linear(x, 4096));
  return net.finish(net.linear(x, 1000));
}

/** AlexNet as torchvision has it ("One weird trick", Krizhevsky 2014). */
export function alexnet(): OnnxModel {
  const net = new ZooNet(224);
  let x = net.act(net.conv(net.input, 64, 11, { stride: 4, pad: 2, bias: true }));
  x = net.pool(x, 'MaxPool', 3, { stride: 2 });
  x = net.pool(net.act(net.conv(x, 192, 5, { bias: true })), 'MaxPool', 3, { stride: 2 });
  for (const out of [384, 256, 256]) x = net.act(net.conv(x, out, 3, { bias: true }));
  x = net.flatten(net.pool(x, 'MaxPool', 3, { stride: 2 }));
  for (const out of [4096, 4096]) x = net.act(net.linear(x, out));
  return net.finish(net.linear(x, 1000));
}

/** SqueezeNet 1.0 and 1.1 (Iandola 2016). */
export function squeezenet(version: '1.0' | '1.1'): OnnxModel {
  const net = new ZooNet(224);
  const pool = (x: Tap) => net.pool(x, 'MaxPool', 3, { stride: 2, ceil: true });
  const fire = (x: Tap, squeeze: number, expand: number) => {
    const middle = net.act(net.conv(x, squeeze, 1, { bias: true }));
    const small = net.act(net.conv(middle, expand, 1, { bias: true }));
    return net.concat([small, net.act(net.conv(middle, expand, 3, { bias: true }))]);
  };
  const old = version === '1.0';
  let x = net.act(net.conv(net.input, old ? 96 : 64, old ? 7 : 3, { stride: 2, pad: 0, bias: true }));
  x = pool(x);
  const widths = [16, 16, 32, 32, 48, 48, 64, 64];
  const poolAfter = old ? [2, 6] : [1, 3];
  widths.forEach((squeeze, index) => {
    x = fire(x, squeeze, squeeze * 4);
    if (poolAfter.includes(index)) x = pool(x);
  });
  return net.finish(net.flatten(net.globalPool(net.act(net.conv(x, 1000, 1, { bias: true })))));
}

/** DenseNet (Huang 2017). */
export function densenet(blocks: readonly number[], growth: number, initial: number, size = 224): OnnxModel {
  const net = new ZooNet(size);
  let x = net.convNormAct(net.input, initial, 7, { stride: 2 });
  x = net.pool(x, 'MaxPool', 3, { stride: 2, pad: 1 });
  blocks.forEach((count, index) => {
    for (let i = 0; i < count; i += 1) {
      const middle = net.act(net.norm(net.conv(net.act(net.norm(x)), 4 * growth, 1)));
      x = net.concat([x, net.conv(middle, growth, 3)]);
    }
    x = net.act(net.norm(x));
    if (index === blocks.length - 1) return;
    x = net.pool(net.conv(x, (x.dims[1] as number) / 2, 1), 'AveragePool', 2);
  });
  return net.finish(net.classifier(x));
}

/** ShuffleNet V2 (Ma 2018); the shuffle is a reshape and a transpose. */
export function shufflenetV2(widths: readonly [number, number, number, number]): OnnxModel {
  const net = new ZooNet(224);
  let x = net.pool(net.convNormAct(net.input, 24, 3, { stride: 2 }), 'MaxPool', 3, { stride: 2, pad: 1 });
  const depthwise = (y: Tap, stride: number) =>
    net.convNorm(y, y.dims[1] as number, 3, { stride, groups: y.dims[1] as number });
  [4, 8, 4].forEach((count, stage) => {
    const half = (widths[stage] as number) / 2;
    for (let i = 0; i < count; i += 1) {
      const stride = i === 0 ? 2 : 1;
      const c = x.dims[1] as number;
      const left = stride === 1 ? net.slice(x, 1, 0, c / 2) : net.convNormAct(depthwise(x, 2), half, 1);
      const right = stride === 1 ? net.slice(x, 1, c / 2, c / 2) : x;
      const branch = net.convNormAct(depthwise(net.convNormAct(right, half, 1), stride), half, 1);
      const [n = 1, channels = 1, h = 1, w = 1] = net.concat([left, branch]).dims;
      const joined = net.concat([left, branch]);
      x = net.reshape(
        net.transpose(net.reshape(joined, n, 2, channels / 2, h, w), 0, 2, 1, 3, 4),
        n,
        channels,
        h,
        w,
      );
    }
  });
  return net.finish(net.classifier(net.convNormAct(x, widths[3], 1)));
}

type Branch = readonly (readonly [out: number, kernel: number | readonly [number, number]])[];

/** GoogLeNet with batch norm and without auxiliary heads (Szegedy 2015), as torchvision has it. */
export function googlenet(): OnnxModel {
  const net = new ZooNet(224);
  const chain = (x: Tap, steps: Branch) =>
    steps.reduce((y, [out, kernel]) => net.convNormAct(y, out, kernel), x);
  const pool = (x: Tap, kernel: number) => net.pool(x, 'MaxPool', kernel, { stride: 2, ceil: true });
  let x = pool(net.convNormAct(net.input, 64, 7, { stride: 2 }), 3);
  x = pool(
    chain(x, [
      [64, 1],
      [192, 3],
    ]),
    3,
  );
  const inception = (a: number, b: [number, number], c: [number, number], d: number) => {
    const pooled = net.pool(x, 'MaxPool', 3, { stride: 1, pad: 1 });
    x = net.concat([
      chain(x, [[a, 1]]),
      chain(x, [
        [b[0], 1],
        [b[1], 3],
      ]),
      chain(x, [
        [c[0], 1],
        [c[1], 3],
      ]),
      chain(pooled, [[d, 1]]),
    ]);
  };
  inception(64, [96, 128], [16, 32], 32);
  inception(128, [128, 192], [32, 96], 64);
  x = pool(x, 3);
  inception(192, [96, 208], [16, 48], 64);
  inception(160, [112, 224], [24, 64], 64);
  inception(128, [128, 256], [24, 64], 64);
  inception(112, [144, 288], [32, 64], 64);
  inception(256, [160, 320], [32, 128], 128);
  x = pool(x, 2);
  inception(256, [160, 320], [32, 128], 128);
  inception(384, [192, 384], [48, 128], 128);
  return net.finish(net.classifier(x));
}

/** Inception V3 (Szegedy 2016) without the auxiliary head. */
export function inceptionV3(): OnnxModel {
  const net = new ZooNet(299);
  const chain = (y: Tap, steps: Branch) =>
    steps.reduce((z, [out, kernel]) => net.convNormAct(z, out, kernel), y);
  let x = net.convNormAct(net.input, 32, 3, { stride: 2, pad: 0 });
  x = net.convNormAct(net.convNormAct(x, 32, 3, { pad: 0 }), 64, 3);
  x = net.pool(x, 'MaxPool', 3, { stride: 2 });
  x = net.convNormAct(net.convNormAct(x, 80, 1), 192, 3, { pad: 0 });
  x = net.pool(x, 'MaxPool', 3, { stride: 2 });
  const average = (y: Tap) => net.pool(y, 'AveragePool', 3, { stride: 1, pad: 1 });
  for (const pooled of [32, 64, 64])
    x = net.concat([
      chain(x, [[64, 1]]),
      chain(x, [
        [48, 1],
        [64, 5],
      ]),
      chain(x, [
        [64, 1],
        [96, 3],
        [96, 3],
      ]),
      chain(average(x), [[pooled, 1]]),
    ]);
  const down = { stride: 2, pad: 0 };
  const stem = chain(x, [
    [64, 1],
    [96, 3],
  ]);
  x = net.concat([
    net.convNormAct(x, 384, 3, down),
    net.convNormAct(stem, 96, 3, down),
    net.pool(x, 'MaxPool', 3, { stride: 2 }),
  ]);
  const row = [1, 7] as const;
  const column = [7, 1] as const;
  for (const c of [128, 160, 160, 192])
    x = net.concat([
      chain(x, [[192, 1]]),
      chain(x, [
        [c, 1],
        [c, row],
        [192, column],
      ]),
      chain(x, [
        [c, 1],
        [c, column],
        [c, row],
        [c, column],
        [192, row],
      ]),
      chain(average(x), [[192, 1]]),
    ]);
  const left = net.convNormAct(net.convNormAct(x, 192, 1), 320, 3, down);
  const right = chain(x, [
    [192, 1],
    [192, row],
    [192, column],
  ]);
  x = net.concat([left, net.convNormAct(right, 192, 3, down), net.pool(x, 'MaxPool', 3, { stride: 2 })]);
  for (let i = 0; i < 2; i += 1) {
    const a = chain(x, [[384, 1]]);
    const b = chain(x, [
      [448, 1],
      [384, 3],
    ]);
    const both = (y: Tap) => [net.convNormAct(y, 384, [1, 3]), net.convNormAct(y, 384, [3, 1])];
    x = net.concat([chain(x, [[320, 1]]), ...both(a), ...both(b), chain(average(x), [[192, 1]])]);
  }
  return net.finish(net.classifier(x));
}
