import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { analyse } from '../../../src/analysis/analyse.ts';
import { readModelFile, writeModelFile } from '../../../src/formats/io/models.ts';
import type { TfliteModel, ValueId } from '../../../src/ir/model.ts';
import { withMainGraph } from '../../../src/ir/model.ts';
import { startRunner } from '../../../src/runtime/process/launch.ts';
import { randomDataset } from '../../../src/runtime/data/random.ts';
import type { Runner, Tensors } from '../../../src/runtime/runner.ts';
import { modelFiles } from '../support/models.ts';
import { useSourceRunner } from '../support/runner.ts';
import { temporaryFolder } from '../support/temporary.ts';

const folder = temporaryFolder();
let runner: Runner;
beforeAll(async () => {
  await useSourceRunner();
  runner = startRunner();
});
afterAll(() => runner.kill());

/** Every value an operator makes, as an output of the model; signatures would have to list them too. */
function exposed(model: TfliteModel): { model: TfliteModel; made: readonly ValueId[] } {
  const [graph] = model.graphs;
  const made = graph.nodes.flatMap((node) => node.outputs.filter((id): id is ValueId => id !== null));
  const outputs = made.filter((id) => graph.values.get(id)?.type?.kind === 'tensor');
  return { model: { ...withMainGraph(model, { ...graph, outputs }), signatures: [] }, made: outputs };
}

/** The damage that these models have: what no runtime takes has no shapes to compare with. */
const refused = new Set(['person_detect.tflite', 'person_detect_vela.tflite']);

describe('shapes of a run of every TFLite model at hand', () => {
  for (const file of modelFiles('.tflite')) {
    const name = path.basename(file);
    if (refused.has(name)) continue;
    it(name, async () => {
      const original = readModelFile(file).model as TfliteModel;
      const { model, made } = exposed(original);
      const copy = path.join(folder, name);
      await writeModelFile(model, copy);
      const session = await runner.open(copy, {});
      const results: Tensors = await session.run(
        randomDataset(session.info.inputs, { seed: 3, count: 1 }).feeds(0),
      );
      await session.close();
      const types = analyse(original).types.get(original.graphs[0]);
      const inferred = made.map((id) => {
        const type = types?.get(id);
        return type?.kind === 'tensor' ? `${id}: ${type.dtype} ${type.shape}` : `${id}: unknown`;
      });
      const observed = made.map((id, index) => {
        const output = session.info.outputs[index];
        const tensor = output && results[output.name];
        return `${id}: ${tensor?.dtype} ${tensor?.dims}`;
      });
      expect(made.length).toBeGreaterThan(0);
      expect(inferred).toEqual(observed);
    });
  }
});
