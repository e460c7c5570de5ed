import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { writeModelFile } from '../../../src/formats/io/models.ts';
import type { Model, ValueId } from '../../../src/ir/model.ts';
import { withMainGraph } from '../../../src/ir/model.ts';
import type { Calibrator, ObservedRange } from '../../../src/passes/pass.ts';
import { openDataset } from '../../../src/runtime/dataset.ts';
import { startRunner } from '../../../src/runtime/launch.ts';
import { randomDataset } from '../../../src/runtime/random.ts';
import type { HostTensor, Runner } from '../../../src/runtime/runner.ts';

const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'kerf-passes-'));
let written = 0;

/** Writes a model to a temporary file of its own. */
export async function temporaryFile(model: Model): Promise<string> {
  written += 1;
  const file = path.join(folder, `${written}.${model.dialect}`);
  await writeModelFile(model, file);
  return file;
}

export function removeTemporaryFiles(): void {
  fs.rmSync(folder, { recursive: true, force: true });
}

function floats(tensor: HostTensor): Float32Array | undefined {
  if (tensor.dtype !== 'float32') return undefined;
  return new Float32Array(tensor.data.slice().buffer);
}

/** A calibrator that makes the wanted values outputs and looks at every sample: slow, plain, and hard to get wrong. */
export function plainCalibrator(
  data: string | undefined,
  samples: number,
  runner: Runner = startRunner(),
): Calibrator {
  return {
    source: data ?? 'seeded random inputs',
    samples,
    async ranges(model, values) {
      const session = await runner.open(await temporaryFile(withOutputs(model, values)), {});
      const { inputs } = session.info;
      const set =
        data === undefined ? randomDataset(inputs, { seed: 3, count: samples }) : openDataset(data, inputs);
      const ranges = new Map<ValueId, ObservedRange>();
      for (let i = 0; i < Math.min(samples, set.samples); i += 1) {
        const feeds = set.feeds(i, 1);
        const results = { ...feeds, ...(await session.run(feeds)) };
        for (const id of values) widen(ranges, id, results[nameOf(model, id)]);
      }
      await session.close();
      return ranges;
    },
  };
}

function nameOf(model: Model, id: ValueId): string {
  return model.graphs[0].values.get(id)?.name ?? id;
}

function widen(ranges: Map<ValueId, ObservedRange>, id: ValueId, tensor: HostTensor | undefined): void {
  const values = tensor && floats(tensor);
  if (values === undefined) return;
  let { min, max } = ranges.get(id) ?? { min: Number.POSITIVE_INFINITY, max: Number.NEGATIVE_INFINITY };
  for (const value of values) {
    if (value < min) min = value;
    if (value > max) max = value;
  }
  ranges.set(id, { min, max });
}

function withOutputs(model: Model, values: readonly ValueId[]): Model {
  const graph = model.graphs[0];
  const extra = values.filter((id) => !graph.outputs.includes(id) && !graph.inputs.includes(id));
  const exposed = withMainGraph(model, { ...graph, outputs: [...graph.outputs, ...extra] });
  return exposed.dialect === 'tflite' ? { ...exposed, signatures: [] } : exposed;
}
