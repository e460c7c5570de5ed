import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { analyse } from '../../../../src/analysis/analyse.ts';
import type { TfliteModel, Value } from '../../../../src/ir/model.ts';
import { tensorType } from '../../../../src/ir/types.ts';
import { startRunner } from '../../../../src/runtime/process/launch.ts';
import { readModel, rewritten } from '../../formats/tflite/support.ts';
import { hasShared, modelFiles } from '../../support/models.ts';
import { useSourceRunner } from '../../support/runner.ts';

const batch = 3;

/** The model with another batch at its inputs and every other declared shape left as it was. */
function widened(model: TfliteModel): TfliteModel {
  const [graph, ...rest] = model.graphs;
  const values = new Map(graph.values);
  for (const id of graph.inputs) {
    const { signature: _signature, ...value } = values.get(id) as Value;
    const type = value.type?.kind === 'tensor' ? value.type : tensorType('float32', []);
    values.set(id, { ...value, type: tensorType(type.dtype, [batch, ...(type.shape ?? []).slice(1)]) });
  }
  return { ...model, graphs: [{ ...graph, values }, ...rest] };
}

/** A stored shape, a state or a damaged tensor ties these models to the batch they have. */
const tiedToTheirBatch = new Set([
  'digits.tflite',
  'dtln.tflite',
  'keyword_scrambled_8bit.tflite',
  'mobilenet_v2_q.tflite',
  'person_detect.tflite',
  'person_detect_vela.tflite',
  'trained_lstm.tflite',
  'trained_lstm_int8.tflite',
]);

const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'kerf-batch-'));
const runner = startRunner();
beforeAll(useSourceRunner);
afterAll(() => {
  runner.kill();
  fs.rmSync(folder, { recursive: true, force: true });
});

describe.runIf(hasShared)('shapes after a change of the batch, as the interpreter infers them', () => {
  for (const file of modelFiles('.tflite')) {
    const name = path.basename(file);
    if (tiedToTheirBatch.has(name)) continue;
    it(name, async () => {
      const model = widened(readModel(file));
      const copy = path.join(folder, name);
      fs.writeFileSync(copy, rewritten(model));
      const session = await runner.open(copy, { runtime: 'tflite' });
      const [graph] = model.graphs;
      const types = analyse(model).types.get(graph);
      const shapes = graph.outputs
        .map((id) => types?.get(id))
        .map((type) => type?.kind === 'tensor' && type.shape);
      expect(shapes).toEqual(session.info.outputs.map((output) => output.dims));
      await session.close();
    });
  }
});
