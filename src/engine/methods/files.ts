import { analyse } from '../../analysis/analyse.ts';
import { compareModels } from '../../analysis/compare.ts';
import { writeModelFile } from '../../formats/io/models.ts';
import { writeParts } from '../../formats/io/writeParts.ts';
import { memoryBytes } from '../../ir/bytes.ts';
import { KerfError } from '../../ir/errors.ts';
import type { Dialect } from '../../ir/model.ts';
import type { Converted } from '../../passes/convert/onnxModel.ts';
import { convertOnnx, tidied } from '../../passes/convert/onnxModel.ts';
import { tfliteToOnnx } from '../../passes/convert/toOnnx/convert.ts';
import type { PassContext } from '../../passes/pass.ts';
import { defaultSeed } from '../calibration.ts';
import type { JobContext } from '../context.ts';
import { exporters } from '../exporters.ts';
import type { EngineMethods } from './method.ts';
import type { Held, ModelStore } from '../store.ts';
import { shippedOf } from '../shipping/shipped.ts';
import { headline } from './models.ts';

/** The dialect that a target file name asks for. */
function targetDialect(path: string): Dialect {
  if (path.endsWith('.onnx')) return 'onnx';
  if (path.endsWith('.tflite')) return 'tflite';
  throw new KerfError('bad-option', 'the output must end with .onnx or .tflite', { file: path });
}

export function fileMethods(
  store: ModelStore,
): Pick<EngineMethods, 'diff' | 'shipped' | 'convert' | 'export'> {
  return {
    shipped({ handle, against, quality }, job) {
      const former = against === undefined ? undefined : store.get(against).model;
      return shippedOf(store.get(handle).model, former, job, quality);
    },

    diff({ a, b }) {
      const [before, after] = [store.get(a), store.get(b)];
      return {
        ...compareModels(before.model, after.model),
        before: headline(store, before),
        after: headline(store, after),
      };
    },

    async convert({ handle, path, signature }, job) {
      const held = store.get(handle);
      const target = targetDialect(path);
      const { model, notes } = await convertModel(held, target, job, signature);
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
  held: Held,
  target: Dialect,
  job: JobContext,
  signature: string | undefined,
): Promise<Converted> {
  const { model } = held;
  if (model.dialect === target) return { model, notes: ['the model already has this format; it was copied'] };
  if (signature !== undefined && model.dialect === 'onnx')
    throw new KerfError('bad-option', 'signatures belong to TFLite models; this is ONNX', {
      file: held.path,
    });
  const context: PassContext = { seed: defaultSeed, step: job.step };
  try {
    if (model.dialect === 'onnx') return await convertOnnx(model, context);
    const converted = tfliteToOnnx(model, signature === undefined ? {} : { signature });
    return { model: await tidied(converted.model, context), notes: converted.notes };
  } catch (error) {
    if (!KerfError.is(error)) throw error;
    throw new KerfError(error.reason, error.message, {
      file: held.path,
      ...(error.place && { place: error.place }),
    });
  }
}
