import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { createCalibrator } from '../../../src/engine/calibrator.ts';
import { writeModelFile } from '../../../src/formats/io/models.ts';
import type { Model, NodeId, ValueId } from '../../../src/ir/model.ts';
import type { Calibrator, CrossMoments, InputMoments, ObservedRange } from '../../../src/passes/pass.ts';
import { denseLayerOf } from '../../../src/passes/support/denseLayer.ts';
import { startRunner } from '../../../src/runtime/process/launch.ts';

const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'kerf-passes-'));
process.on('exit', () => fs.rmSync(folder, { recursive: true, force: true }));
let written = 0;

/** Writes a model to a temporary file of its own. */
export async function temporaryFile(model: Model): Promise<string> {
  written += 1;
  const file = path.join(folder, `${written}.${model.dialect}`);
  await writeModelFile(model, file);
  return file;
}

/** The engine's calibrator on a dataset, or on seeded random inputs. */
export function calibratorFor(model: Model, data?: string, samples?: number): Calibrator {
  return createCalibrator(startRunner, model, {
    seed: 5,
    ...(data !== undefined && { data }),
    ...(samples !== undefined && { samples }),
  });
}

/** Ranges given by hand; every value that is not named has the same range. */
export function givenRanges(
  ranges: Readonly<Record<ValueId, readonly [number, number]>>,
  others: ObservedRange | undefined = { min: -1, max: 1 },
): Calibrator {
  return {
    source: 'the test',
    samples: 1,
    async ranges(_model, values) {
      const found = new Map<ValueId, ObservedRange>();
      for (const id of values) {
        const range = ranges[id];
        if (range !== undefined) found.set(id, { min: range[0], max: range[1] });
        else if (others !== undefined) found.set(id, others);
      }
      return found;
    },
    async histograms() {
      throw new Error('ranges by hand have no histograms');
    },
    /** White inputs around zero. */
    async moments(model, layers) {
      const found = new Map<NodeId, InputMoments>();
      for (const node of model.graphs[0].nodes) {
        const size = (layers.includes(node.id) && denseLayerOf(model, node)?.inputs) || 0;
        if (size === 0 || size > 2304) continue;
        const gram = new Float64Array(size * size).map((_, i) => (i % (size + 1) === 0 ? 1 : 0));
        found.set(node.id, { groups: 1, size, count: 1, mean: new Float64Array(size), gram });
      }
      return found;
    },
    /** The inputs of both are the same. */
    async crossMoments(_reference, current, pairs) {
      const found = new Map<NodeId, CrossMoments>();
      const ids = pairs.map((pair) => pair.current);
      for (const [id, seen] of await this.moments(current, ids)) {
        const { size, mean, gram } = seen;
        found.set(id, { ...seen, referenceSize: size, referenceMean: mean, cross: gram });
      }
      return found;
    },
    /** Nothing is known of single channels. */
    async channels() {
      return new Map();
    },
  };
}
