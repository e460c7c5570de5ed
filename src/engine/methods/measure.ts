import { analyse } from '../../analysis/analyse.ts';
import { estimateOn } from '../../devices/estimate.ts';
import { benchmark } from '../../runtime/measure/bench.ts';
import { evaluate } from '../../runtime/measure/evaluate.ts';
import { kernelLayers } from '../../runtime/measure/kernelLayers.ts';
import { startRunner } from '../../runtime/process/launch.ts';
import { checkBindings, withBindingHint } from '../bindings.ts';
import { deviceNamed } from '../deviceFiles.ts';
import type { EngineMethods } from './method.ts';
import { rememberProbe } from '../hostDevice.ts';
import { forwardProgress } from '../context.ts';
import type { ModelStore } from '../store.ts';

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
      const held = store.runnable(handle);
      const other = against === undefined ? undefined : store.runnable(against);
      checkBindings(options.bind, other === undefined ? [held.model] : [held.model, other.model]);
      const bench = async () =>
        benchmark(startRunner, {
          ...options,
          model: await store.fileOf(held),
          layerOf: kernelLayers(held.model),
          ...(other && { against: await store.fileOf(other), againstLayerOf: kernelLayers(other.model) }),
          ...forwardProgress(job),
        });
      const report = await withBindingHint(held.model, options.bind, bench);
      if (options.bind === undefined) await rememberProbe(held.model, analyse(held.model), report.latencyMs);
      return report;
    },

    async evaluate({ handle, data, reference, samples, bind }, job) {
      const held = store.runnable(handle);
      const other = reference === undefined ? undefined : store.runnable(reference);
      checkBindings(bind, other === undefined ? [held.model] : [held.model, other.model]);
      return withBindingHint(held.model, bind, async () =>
        evaluate(startRunner, {
          model: await store.fileOf(held),
          ...(data !== undefined && { data }),
          ...(other && { reference: await store.fileOf(other) }),
          ...(samples !== undefined && { samples }),
          ...(bind && { bind }),
          ...forwardProgress(job),
        }),
      );
    },
  };
}
