import { analyse } from '../../analysis/analyse.ts';
import { estimateOn } from '../../devices/estimate.ts';
import type { DeviceProfile } from '../../devices/profile.ts';
import { encodeModel } from '../../formats/encode.ts';
import { KerfError } from '../../ir/errors.ts';
import type { Model, Node, NodeId } from '../../ir/model.ts';
import { kept } from '../../optimize/mixed/plan.ts';
import type { MixedLayer, MixedOption } from '../../optimize/mixed/report.ts';
import { stepOfScheme } from '../../optimize/sensitivity/schemes.ts';
import type { JobContext } from '../context.ts';
import { partOf } from '../context.ts';
import { subjectOf } from '../sensitivity/subject.ts';
import { measureOneByOne } from '../sensitivity/variants.ts';

interface OptionRequest {
  readonly schemes: readonly string[];
  readonly data?: string;
  readonly bind?: Readonly<Record<string, number>>;
  readonly samples: number;
  /** For latencies. */
  readonly device?: DeviceProfile;
}

interface LayerOptions {
  readonly layers: readonly Omit<MixedLayer, 'chosen'>[];
  readonly targets: readonly Node[];
  readonly inferences: number;
  /** Schemes that the model or the pass does not take, and layers that refuse one. */
  readonly notes: readonly string[];
}

/** Measures every layer under every scheme: what it does to the outputs, to the file and to the estimate. */
export async function layerOptions(
  model: Model,
  request: OptionRequest,
  job: JobContext,
): Promise<LayerOptions> {
  const targets = new Map<NodeId, Node>();
  const options = new Map<NodeId, MixedOption[]>();
  const notes: string[] = [];
  let inferences = 0;
  const { schemes } = request;
  for (const [at, scheme] of schemes.entries()) {
    const part = partOf(job, at / schemes.length, (at + 1) / schemes.length, `${scheme}: `);
    try {
      const found = await optionsOf(model, scheme, request, part);
      inferences += found.inferences;
      notes.push(...found.notes);
      for (const node of found.targets) targets.set(node.id, node);
      for (const [id, option] of found.options) options.set(id, [...(options.get(id) ?? []), option]);
    } catch (error) {
      if (!KerfError.is(error) || !['unsupported', 'bad-option'].includes(error.reason)) throw error;
      notes.push(`${scheme}: ${error.message}`);
    }
  }
  const order = model.graphs[0].nodes.filter(({ id }) => targets.has(id));
  const asIs: MixedOption = { scheme: kept, sqnrDb: null, bytes: 0, latencyMs: 0 };
  const layers = order.map(({ id, name, op }) => ({
    id,
    name: name === '' ? id : name,
    op,
    options: [asIs, ...(options.get(id) ?? [])],
  }));
  return { layers, targets: order, inferences, notes };
}

async function optionsOf(model: Model, scheme: string, request: OptionRequest, job: JobContext) {
  const { data, bind, samples, device } = request;
  const step = stepOfScheme(scheme, model.dialect, data);
  const settings = { samples, ...(bind && { bind }) };
  const subject = await subjectOf(model, step, settings, job);
  const costs = new Map<NodeId, { bytes: number; latencyMs: number | null }>();
  const base = costOf(subject.model, device);
  const onChange = (id: NodeId, changed: Model) => {
    const own = costOf(changed, device);
    const latencyMs =
      own.latencyMs === null || base.latencyMs === null ? null : own.latencyMs - base.latencyMs;
    costs.set(id, { bytes: own.bytes - base.bytes, latencyMs });
  };
  const variants = { samples, onChange, ...(data !== undefined && { data }), ...(bind && { bind }) };
  const { figures, refused, inferences } = await measureOneByOne(subject, variants, job);
  const options = new Map<NodeId, MixedOption>();
  for (const [id, { sqnrDb }] of figures) {
    const cost = costs.get(id);
    if (cost !== undefined) options.set(id, { scheme, sqnrDb, ...cost });
  }
  return {
    targets: subject.targets,
    options,
    inferences: inferences + subject.calibrated(),
    notes: [...refused].map(([id, reason]) => `${scheme}: ${id}: ${reason}`),
  };
}

function costOf(
  model: Model,
  device: DeviceProfile | undefined,
): { bytes: number; latencyMs: number | null } {
  const bytes = encodeModel(model).reduce((sum, part) => sum + part.length, 0);
  if (device === undefined) return { bytes, latencyMs: null };
  return { bytes, latencyMs: estimateOn(device, model, analyse(model), { fileBytes: bytes }).latencyMs };
}
