import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { InferenceSession } from 'onnxruntime-node';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { analyse } from '../../../src/analysis/analyse.ts';
import { readModelFile } from '../../../src/formats/io/models.ts';
import { modelFiles } from '../support/models.ts';

let folder = '';
beforeAll(() => {
  folder = mkdtempSync(path.join(tmpdir(), 'kerf-optimized-'));
});
afterAll(() => rmSync(folder, { recursive: true }));

const names = [
  'digits.onnx',
  'cifar_resnet.onnx',
  'cifar_mobilenet.onnx',
  'cifar_vit.onnx',
  'ultraface.onnx',
];
const files = modelFiles('.onnx').filter((file) => names.includes(path.basename(file)));

/** Graphs that ONNX Runtime fused hold its own operators (FusedConv, blocked channels, LayerNormalization, Gelu). */
describe('a model that ONNX Runtime has optimized does the same work', () => {
  for (const file of files) {
    for (const level of ['basic', 'extended', 'all'] as const) {
      it(`${path.basename(file)} at level ${level}`, async () => {
        const optimized = path.join(folder, `${level}-${path.basename(file)}`);
        const session = await InferenceSession.create(file, {
          graphOptimizationLevel: level,
          optimizedModelFilePath: optimized,
          logSeverityLevel: 4,
        });
        await session.release();
        const before = analyse(readModelFile(file).model);
        const after = analyse(readModelFile(optimized).model);
        expect(after.unresolved).toEqual([]);
        if (level === 'all') {
          // Channels are padded to whole blocks there, and the padding is multiplied too.
          expect(after.totals.macs).toBeGreaterThanOrEqual(before.totals.macs ?? Number.NaN);
          expect(after.totals.macs).toBeLessThan(1.3 * (before.totals.macs ?? Number.NaN));
        } else {
          expect(after.totals.macs).toBe(before.totals.macs);
          expect(after.totals.params).toBeLessThanOrEqual(before.totals.params);
        }
      });
    }
  }
});
