import { analyse } from '../../analysis/analyse.ts';
import { compareModels } from '../../analysis/compare.ts';
import { writeModelFile } from '../../formats/io/models.ts';
import { writeParts } from '../../formats/io/files.ts';
import { memoryBytes } from '../../ir/bytes.ts';
import { KerfError } from '../../ir/errors.ts';
import type { Dialect, Model } from '../../ir/model.ts';
import { onnxToTflite } from '../../passes/convert/toTflite/convert.ts';
import { tfliteToOnnx } from '../../passes/convert/toOnnx/convert.ts';
import { layout } from '../../passes/layout/layout.ts';
import { simplify } from '../../passes/simplify/simplify.ts';
import { defaultSeed } from '../calibration.ts';
import type { JobContext } from '../context.ts';
import { exporters } from '../exporters.ts';
import type { EngineMethods } from '../methods.ts';
import { applyStep } from '../steps.ts';
import type { Held, ModelStore } from '../store.ts';
import { headline } from './models.ts';

/** The dialect that a target file name asks for. */
function targetDialect(path: string): Dialect {
  if (path.endsWith('.onnx')) return 'onnx';
  if (path.endsWith('.tflite')) return 'tflite';
  throw new KerfError('bad-option', 'the output must end with .onnx or .tflite', { file: path });
}

export function fileMethods(store: ModelStore): Pick<EngineMethods, 'diff' | 'convert' | 'export'> {
  return {
    diff({ a, b }) {
      const [before, after] = [store.get(a), store.get(b)];
      return {
        ...compareModels(before.model, after.model),
        before: headline(store, before),
        after: headline(store, after),
      };
    },

    async convert({ handle, path }, job) {
      const held = store.get(handle);
      const target = targetDialect(path);
      const { model, notes } = await convertModel(store, held, target, job);
      return { ...(await writeModelFile(model, path)), notes };
    },

    async export({ handle, to, path, steps }) {
      const found = store.get(handle);
      const held = steps === undefined ? found : { ...found, steps };
      const exporter = exporters[to];
      if (exporter === undefined) {
        throw new KerfError(
          'bad-option',
          `cannot export to '${to}' (known: ${Object.keys(exporters).join(', ')})`,
        );
      }
      const text = exporter(held, analyse(held.model), path);
      const bytes = await writeParts(path, [memoryBytes(new TextEncoder().encode(text))]);
      return { path, bytes };
    },
  };
}

/** Converts by way of the passes that the converters rely on. */
async function convertModel(
  store: ModelStore,
  held: Held,
  target: Dialect,
  job: JobContext,
): Promise<{ model: Model; notes: readonly string[] }> {
  const { model } = held;
  if (model.dialect === target) return { model, notes: ['the model already has this format; it was copied'] };
  try {
    if (model.dialect === 'tflite') return await tidied(tfliteToOnnx(model));
    let ready = held;
    for (const pass of ['simplify', 'fuse']) ready = (await applyStep(store, ready, { pass }, job)).held;
    if (ready.model.dialect !== 'onnx') throw new KerfError('internal', 'a pass changed the dialect');
    return await tidied(onnxToTflite(ready.model, analyse(ready.model)));
  } catch (error) {
    if (!KerfError.is(error)) throw error;
    throw new KerfError(error.reason, error.message, {
      file: held.path,
      ...(error.place && { place: error.place }),
    });
  }
}

interface Converted {
  readonly model: Model;
  readonly notes: readonly string[];
}

/** Without the transposes and reshapes that only stand between two layouts. */
async function tidied({ model, notes }: Converted): Promise<Converted> {
  let tidy = model;
  for (const pass of [layout, simplify])
    tidy = (await pass.run(tidy, {}, { seed: defaultSeed, step: async () => {} })).model;
  return { model: tidy, notes };
}
