import { readFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { analyse } from '../../../src/analysis/analyse.ts';
import { readModelFile } from '../../../src/formats/io/models.ts';
import { hasShared, shared } from '../support/models.ts';

/** Skeleton file to the row of the published table. */
const rows: Readonly<Record<string, string>> = {
  resnet18: 'ResNet18_Quantize.IMAGENET1K_FBGEMM_V1',
  resnet50: 'ResNet50.IMAGENET1K_V1',
  mobilenet_v2: 'MobileNet_V2.IMAGENET1K_V1',
  mobilenet_v3_large: 'MobileNet_V3_Large_Quantize.IMAGENET1K_QNNPACK_V1',
  densenet201: 'DenseNet201.IMAGENET1K_V1',
  efficientnet_b0: 'EfficientNet_B0.IMAGENET1K_V1',
  squeezenet1_1: 'SqueezeNet1_1.IMAGENET1K_V1',
  swin_t: 'Swin_T.IMAGENET1K_V1',
  vit_b_16: 'ViT_B_16.IMAGENET1K_V1',
};

function published(model: string): { params: number; gmacs: number } {
  const table = readFileSync(path.join(shared, 'truth/flops.csv'), 'utf8').split('\n');
  const [, , , params, gmacs] = (table.find((line) => line.startsWith(`${model},`)) ?? '').split(',');
  return { params: Number(params), gmacs: Number(gmacs) };
}

describe.runIf(hasShared)('torchvision', () => {
  for (const [file, row] of Object.entries(rows)) {
    it(`${file}: parameters within 1 %, multiply-accumulates to the published digits`, () => {
      const { model } = readModelFile(path.join(shared, `models/skeletons/${file}.onnx`));
      const { totals } = analyse(model);
      const truth = published(row);
      expect(Math.abs(totals.params / truth.params - 1)).toBeLessThan(0.01);
      expect((totals.macs ?? 0) / 1e9).toBeCloseTo(truth.gmacs, 3);
    });
  }

  it('ViT-B/16 has exactly 17.563828 GMAC: the linear layers and both attention products', () => {
    const { model } = readModelFile(path.join(shared, 'models/skeletons/vit_b_16.onnx'));
    const tokens = 197;
    const width = 768;
    const patches = 196 * 16 * 16 * 3 * width;
    const block = 4 * tokens * width * width + 2 * tokens * width * 4 * width + 2 * tokens * tokens * width;
    expect(analyse(model).totals.macs).toBe(patches + 12 * block + width * 1000);
  });

  /** torchvision's parameters plus, where there is batch norm, the running mean and variance of every channel. */
  it.each([
    ['light_resnet50', 25_557_032 + 2 * 26_560],
    ['light_densenet121', 7_978_856 + 2 * 83_648],
    ['light_squeezenet', 1_235_496],
  ])('%s, whose weights are given by shape alone, has exactly %d parameters', (file, params) => {
    const { model } = readModelFile(path.join(shared, `models/onnx/${file}.onnx`));
    expect(analyse(model).totals.params).toBe(params);
  });

  it.each([
    ['own/cifar_resnet.onnx', 12_501_632],
    ['tflite/pretrainedResnet.tflite', 12_501_632],
    ['tflite/pretrainedResnet_quant.tflite', 12_501_632],
    ['tflite/vww_96_float.tflite', 7_489_664],
    ['tflite/vww_96_int8.tflite', 7_489_664],
    ['tflite/kws_ref_model.tflite', 2_656_768],
    ['tflite/ad01_int8.tflite', 264_192],
  ])('MLPerf Tiny: %s has %d multiply-accumulates', (file, macs) => {
    const { model } = readModelFile(path.join(shared, 'models', file));
    expect(analyse(model).totals.macs).toBe(macs);
  });
});
