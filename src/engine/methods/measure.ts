import { analyse } from '../../analysis/analyse.ts';
import { estimateOn } from '../../devices/estimate.ts';
import { KerfError } from '../../ir/errors.ts';
import type { Model } from '../../ir/model.ts';
import { benchmark } from '../../runtime/measure/bench.ts';
import { evaluate } from '../../runtime/measure/evaluate.ts';
import { kernelLayers } from '../../runtime/measure/kernelLayers.ts';
import { startRunner } from '../../runtime/process/launch.ts';
import { checkBindings } from '../bindings.ts';
import { deviceNamed } from '../deviceFiles.ts';
import type { EngineMethods } from './method.ts';
import { rememberProbe } from '../hostDevice.ts';
import { forwardProgress } from '../context.ts';
import type { ModelStore } from '../store.ts';

/** A refusal may come from free dimensions, which count as 1 unless bound: the message then names them. */
async function withBindingHint<T>(model: Model, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    const { freeDimensions } = analyse(model);
    if (!KerfError.is(error, 'runtime-refused') || freeDimensions.length === 0) throw error;
    const hint = `${error.message} (free dimensions are 1 unless bound: ${freeDimensions.join(', ')})`;
    throw new KerfError(error.reason, hint, error.file === undefined ? {} : { file: error.file });
  }
}

export function measureMethods(store: ModelStore): Pick<EngineMethods, 'estimate' | 'bench' | 'evaluate'> {
  return {
    estimate({ handle, device, bind }) {
      const held = store.get(handle);
      checkBindings(bind, [held.model]);
      const analysis = analyse(held.model, bind === undefined ? {} : { bind });
      const options = { fileBytes: store.fileBytes(held) };
      const report = estimateOn(deviceNamed(device), held.model, analysis, options);
      const { freeDimensions } = analysis;
      if (freeDimensions.length === 0) return report;
      const note = `Costs that depend on free dimensions are unknown until these are bound: ${freeDimensions.join(', ')}.`;
      return { ...report, notes: [...report.notes, note] };
    },

    async bench({ handle, against, options = {} }, job) {
      const held = store.get(handle);
      const other = against === undefined ? undefined : store.get(against);
      checkBindings(options.bind, other === undefined ? [held.model] : [held.model, other.model]);
      const bench = async () =>
        benchmark(startRunner, {
          ...options,
          model: await store.fileOf(held),
          layerOf: kernelLayers(held.model),
          ...(other && { against: await store.fileOf(other), againstLayerOf: kernelLayers(other.model) }),
          ...forwardProgress(job),
        });
      const report = await withBindingHint(held.model, bench);
      if (options.bind === undefined) await rememberProbe(held.model, analyse(held.model), report.latencyMs);
      return report;
    },

    async evaluate({ handle, data, reference, samples, bind }, job) {
      const held = store.get(handle);
      const other = reference === undefined ? undefined : store.get(reference);
      checkBindings(bind, other === undefined ? [held.model] : [held.model, other.model]);
      return evaluate(startRunner, {
        model: await store.fileOf(held),
        ...(data !== undefined && { data }),
        ...(other && { reference: await store.fileOf(other) }),
        ...(samples !== undefined && { samples }),
        ...(bind && { bind }),
        ...forwardProgress(job),
      });
    },
  };
}
