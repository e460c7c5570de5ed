import path from 'node:path';
import { analyse } from '../../analysis/analyse.ts';
import { encodeModel } from '../../formats/encode.ts';
import { writeParts } from '../../formats/io/writeParts.ts';
import { writeModelFile } from '../../formats/io/models.ts';
import { memoryBytes } from '../../ir/bytes.ts';
import { KerfError } from '../../ir/errors.ts';
import { optimizeMarkdown } from '../../optimize/report.ts';
import type { OptimizePorts } from '../../optimize/search.ts';
import type { DeviceProfile } from '../../devices/profile.ts';
import type { CandidatePlan } from '../../optimize/candidates.ts';
import { searchRecipes } from '../../optimize/search.ts';
import { sensitivityCsv, sensitivityNodeData } from '../../optimize/sensitivity/exports.ts';
import type { SensitivityReport } from '../../optimize/report.ts';
import { randomSamplesFor } from '../../optimize/samples.ts';
import { evaluate } from '../../runtime/measure/evaluate.ts';
import { quickLatency } from '../../runtime/measure/latency.ts';
import { startRunner } from '../../runtime/process/launch.ts';
import { checkBindings, withBindingHint } from '../bindings.ts';
import { compressedLength } from '../shipping/compress.ts';
import type { JobContext } from '../context.ts';
import { partOf, quietly } from '../context.ts';
import { mixedPrecision } from '../mixed/mixed.ts';
import type { HeldOut } from '../heldOut.ts';
import { heldOutOf } from '../heldOut.ts';
import { deviceNamed } from '../deviceFiles.ts';
import type { EngineMethods } from './method.ts';
import { recipeText } from '../recipeFiles.ts';
import { findNode } from '../nodeDetails.ts';
import { saidOfModel } from '../saidOfModel.ts';
import { sensitivityReport } from '../sensitivity/report.ts';
import { applyStep } from '../steps.ts';
import type { Held, ModelStore } from '../store.ts';

/** Enough to tell candidates apart within a point, little enough to wait for. */
const scoredSamples = 512;

export function searchMethods(
  store: ModelStore,
): Pick<EngineMethods, 'optimize' | 'sensitivity' | 'exportSensitivity'> {
  return {
    async optimize({ handle, device, data, bind, maxDrop, out, report: reportFile }, job) {
      const held = store.get(handle);
      const profile = deviceNamed(device);
      checkBindings(bind, [held.model]);
      const heldOut = heldOutOf(held.model, data, bind);
      const more = await mixedPlans(
        store,
        held,
        { data, bind, maxDrop, device: profile },
        partOf(job, 0, 0.4),
      );
      const { report, chosen } = await searchRecipes(
        held,
        profile,
        optimizePorts(store, held, { data, bind, heldOut }, partOf(job, 0.4, 1)),
        {
          dataLabel: 'seeded random inputs',
          more,
          ...(bind && { bind }),
          ...(data !== undefined && { scoredOn: scoredOn(heldOut) }),
          ...(data !== undefined && { data }),
          ...(maxDrop !== undefined && { maxDrop }),
        },
      );
      const done = { ...report, out: chosen === undefined ? null : (out ?? null) };
      if (chosen !== undefined && out !== undefined) {
        await writeModelFile(chosen.model, out);
        const recipe = recipePath(out);
        await writeText(
          recipe,
          recipeText(recipe, held.path, chosen.steps, `${path.basename(held.path)} on ${device}`),
        );
      }
      if (reportFile !== undefined)
        await writeText(reportFile, optimizeMarkdown(done, path.basename(held.path)));
      job.report(1, 'done');
      return done;
    },

    async sensitivity({ handle, csv, nodeData, ...request }, job) {
      const held = store.runnable(handle);
      checkBindings(request.bind, [held.model]);
      for (const layer of request.layers ?? []) findNode(held.model, layer);
      const report = await withBindingHint(held.model, request.bind, () =>
        saidOfModel(held.path, () => sensitivityReport(store, held, request, job)),
      );
      if (csv !== undefined) await writeText(csv, sensitivityCsv(report));
      if (nodeData !== undefined) await writeText(nodeData, nodeDataOf(held, report));
      return report;
    },

    async exportSensitivity({ handle, report, to, path: file }) {
      const text = to === 'csv' ? sensitivityCsv(report) : nodeDataOf(store.get(handle), report);
      await writeText(file, text);
      return { bytes: Buffer.byteLength(text) };
    },
  };
}

/** Sensitivity of larger models takes longer than all other candidates together: `kerf mixed` is there for them. */
const mostMacsForMixed = 1e8;

/** A plan with a precision for each layer, where data can tell what it costs and the device has both. */
async function mixedPlans(
  store: ModelStore,
  held: Held,
  {
    data,
    bind,
    maxDrop = 1,
    device,
  }: Omit<SearchData, 'heldOut'> & { maxDrop: number | undefined; device: DeviceProfile },
  job: JobContext,
): Promise<readonly CandidatePlan[]> {
  const { macs } = analyse(held.model).totals;
  if (data === undefined || macs === undefined || macs > mostMacsForMixed) return [];
  if (device.precisions.int8 === undefined || device.integerOnly) return [];
  const budget = { kind: 'accuracy', drop: maxDrop } as const;
  const request = { schemes: ['int8', 'int4'], budget, data, ...(bind && { bind }) };
  try {
    const { report } = await mixedPrecision(store, held, request, job);
    return report.recipe.length === 0
      ? []
      : [{ title: 'Mixed: 8-bit layers and 4-bit weights', steps: report.recipe }];
  } catch (error) {
    // No such plan for a model that does not run here, or has no layer to choose for.
    if (KerfError.is(error, 'unsupported') || KerfError.is(error, 'runtime-refused')) return [];
    throw error;
  }
}

function scoredOn({ skip }: HeldOut): string {
  return skip > 0
    ? `scored on samples behind the first ${skip}, which calibration sees`
    : 'scored on the samples it was calibrated with';
}

/** Under the names that `kerf export --to model-explorer` gives, and those that Model Explorer reads from the file itself. */
function nodeDataOf({ model }: Held, report: SensitivityReport): string {
  const [graph] = model.graphs;
  const outputs = new Map(
    graph.nodes.flatMap(({ id, outputs: [first] }) => (first == null ? [] : [[id, first] as const])),
  );
  return sensitivityNodeData(
    report,
    graph.name || 'graph 0',
    model.dialect === 'tflite' ? outputs : undefined,
  );
}

/** `model.onnx` keeps its recipe in `model.kerf.json`. */
function recipePath(model: string): string {
  return path.join(path.dirname(model), `${path.basename(model, path.extname(model))}.kerf.json`);
}

function writeText(file: string, text: string): Promise<number> {
  return writeParts(file, [memoryBytes(new TextEncoder().encode(text))]);
}

function required<T>(value: T | undefined): T {
  if (value === undefined)
    throw new KerfError('internal', 'an evaluation against a reference gave no agreement');
  return value;
}

/** What the search runs models on. */
interface SearchData {
  readonly data: string | undefined;
  readonly bind: Readonly<Record<string, number>> | undefined;
  readonly heldOut: HeldOut;
}

function optimizePorts(
  store: ModelStore,
  original: Held,
  { data, bind, heldOut }: SearchData,
  job: JobContext,
): OptimizePorts<Held> {
  const quietJob = quietly(job);
  return {
    modelOf: (held) => held.model,
    analyse: (held) => analyse(held.model, bind && { bind }),
    apply: async (held, step) => (await applyStep(store, held, step, quietJob)).held,
    sizes: async (held) => ({
      fileBytes: store.fileBytes(held),
      compressedBytes: await compressedLength(encodeModel(held.model), quietJob),
    }),
    measure: async (held) => {
      const options = { signal: job.signal, ...(data !== undefined && { data }), ...(bind && { bind }) };
      return (await quickLatency(startRunner, await store.fileOf(held), options)).medianMs;
    },
    score: async (held) => {
      const report = await evaluate(startRunner, {
        model: await store.fileOf(held),
        reference: await store.fileOf(original),
        samples: data === undefined ? randomSamplesFor(analyse(original.model).totals.macs) : scoredSamples,
        signal: job.signal,
        ...(data !== undefined && { data, skip: heldOut.skip }),
        ...(bind && { bind }),
      });
      if (report.top1 !== undefined) return { value: report.top1, kind: 'top1' };
      return { value: required(report.reference).agreement, kind: 'agreement' };
    },
    progress: job.step,
  };
}
