import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { analyse } from '../../../src/analysis/analyse.ts';
import { precisionsOf, workOf } from '../../../src/devices/work.ts';
import { readModelFile } from '../../../src/formats/io/models.ts';
import { hasShared, samples, shared } from '../support/models.ts';

const files = [
  path.join(samples, 'digits.onnx'),
  path.join(samples, 'digits.tflite'),
  ...(hasShared
    ? ['vww_96_int8', 'kws_ref_model'].map((name) => path.join(shared, `models/tflite/${name}.tflite`))
    : []),
];

describe('precisions alone', () => {
  it.each(files.map((file) => [path.basename(file), file]))('%s: as in the work of the layers', (_, file) => {
    const { model } = readModelFile(file);
    const analysis = analyse(model);
    const alone = precisionsOf(model, analysis);
    expect(alone).toHaveLength(analysis.layers.length);
    expect(alone).toEqual(workOf(model, analysis).map(({ precision }) => precision));
    // Now that the work is known, it is where they come from.
    expect(precisionsOf(model, analysis)).toEqual(alone);
  });
});
