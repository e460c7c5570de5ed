import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { hasShared, shared } from '../support/models.ts';
import { agrees, count, readPublished } from '../../zoo/published.ts';
import { networkOf } from '../../zoo/rows.ts';

/** Parameters and GMACs as torchvision's weight tables give them. */
const torchvision: readonly (readonly [name: string, size: number, params: number, gmacs: number])[] = [
  ['ResNet50.', 224, 25_557_032, 4.089],
  ['ResNeXt101_64X4D.', 224, 83_455_272, 15.46],
  ['VGG13_BN.', 224, 133_053_736, 11.308],
  ['DenseNet201.', 224, 20_013_928, 4.291],
  ['ShuffleNet_V2_X1_0.', 224, 2_278_604, 0.145],
  ['SqueezeNet1_0.', 224, 1_248_424, 0.819],
  ['MobileNet_V2.', 224, 3_504_872, 0.301],
  ['EfficientNet_B0.', 224, 5_288_548, 0.386],
  ['EfficientNet_V2_S.', 384, 21_458_488, 8.366],
  ['RegNet_Y_8GF.', 224, 39_381_472, 8.473],
  ['ConvNeXt_Small.', 224, 50_223_688, 8.684],
  ['Swin_S.', 224, 49_606_258, 8.741],
];

describe('published parameters and multiply-accumulates', () => {
  it.each(torchvision)('%s at %d', (name, size, params, gmacs) => {
    const model = networkOf(name, size);
    if (model === undefined) throw new Error(`${name} is not built`);
    const own = count(model, 'torchvision');
    expect(own.params).toBe(params);
    expect(own.macs / 1e9).toBeCloseTo(gmacs, 3);
  });

  /** Rows that say something else than their architecture does; docs/analysis.md explains each. */
  const explained = [
    'Inception_V3_Quantize.IMAGENET1K_FBGEMM_V1',
    'timm/vit_small_patch8_224',
    'mobilenet_v3 Small dm=0.75',
    'mobilenet_v3 Small minimalistic',
  ];
  it.runIf(hasShared)(
    'every row whose network is built here agrees within 1 %, but for those explained',
    () => {
      const off: string[] = [];
      let rows = 0;
      for (const row of readPublished(path.join(shared, 'truth/flops.csv'))) {
        const model = row.size === undefined ? undefined : networkOf(row.name, row.size);
        if (model === undefined || row.params === undefined || row.gmacs === undefined) continue;
        rows += 1;
        const own = count(model, row.convention);
        const right =
          agrees(own.params, row.params, row, row.paramDigit) &&
          agrees(own.inConvention / 1e9, row.gmacs, row, row.macDigit);
        if (!right) off.push(row.name);
      }
      expect(off).toEqual(explained);
      expect(rows).toBeGreaterThan(400);
      expect(off.length / rows).toBeLessThan(0.03);
    },
  );
});
