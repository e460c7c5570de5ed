import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { analyse } from '../../analysis/analyse.ts';
import { targetFor } from '../../devices/targets/registry.ts';
import { readModelFile } from '../../formats/io/models.ts';
import { KerfError } from '../../ir/errors.ts';
import type { NodeId, TfliteModel } from '../../ir/model.ts';
import { startRunner } from '../../runtime/process/launch.ts';
import { randomDataset } from '../../runtime/data/random.ts';
import { withRunner } from '../../runtime/process/session.ts';
import type { AuditReport } from '../audit/report.ts';
import { auditReport } from '../audit/report.ts';
import { tfliteAuditReport } from '../audit/tfliteReport.ts';
import type { JobContext } from '../context.ts';
import type { EngineMethods } from './method.ts';
import type { ModelStore } from '../store.ts';

/** The fusion audit: which layers of a model its runtime runs on integers here, and why the others stay float. */
export function auditMethods(store: ModelStore): Pick<EngineMethods, 'audit'> {
  return {
    async audit({ handle }, job) {
      const held = store.get(handle);
      const { model } = held;
      if (model.dialect === 'tflite') return auditTflite(model, await store.fileOf(held), job);
      const rules = targetFor(process.arch === 'arm64' ? 'ort-arm' : 'ort-x86-vnni', 'onnx');
      const folder = await mkdtemp(join(tmpdir(), 'kerf-audit-'));
      try {
        const optimizedModelPath = join(folder, 'optimized.onnx');
        job.report(0.1, 'asking ONNX Runtime for its graph');
        const file = await store.fileOf(held);
        const runtime = await withRunner(startRunner, job.signal, async (runner) => {
          // Integer fusions are all done at this level; the next one only changes layouts, and names with them.
          const session = await runner.open(file, { optimization: 'extended', optimizedModelPath });
          return `${session.info.runtime} ${session.info.version}`;
        });
        const optimized = readModelFile(optimizedModelPath).model;
        if (optimized.dialect !== 'onnx') throw new KerfError('internal', 'the optimized model is no ONNX');
        return auditReport(model, analyse(model), optimized, rules, runtime);
      } finally {
        await rm(folder, { recursive: true, force: true });
      }
    },
  };
}

/**
 * LiteRT shows no graph, but tells of a model whether XNNPACK runs all of it: so every operator is asked about alone. Models that
 * only the other interpreter runs are judged by their types and the rules.
 */
async function auditTflite(model: TfliteModel, file: string, job: JobContext): Promise<AuditReport> {
  const rules = targetFor('xnnpack', 'tflite');
  job.report(0.1, 'asking LiteRT about every operator');
  const { runtime, families } = await withRunner(startRunner, job.signal, async (runner) => {
    const session = await runner.open(file, {});
    const data = randomDataset(session.info.inputs, { seed: 1, count: 1 });
    const known = session.info.runtime === 'litert' ? await session.profile(data.feeds(0), 1) : [];
    const { nodes } = model.graphs[0];
    const found = new Map<NodeId, 'xnnpack' | 'reference'>();
    for (const { node = -1, provider } of known) {
      const id = nodes[node]?.id;
      if (id !== undefined) found.set(id, provider === 'xnnpack' ? 'xnnpack' : 'reference');
    }
    return { runtime: `${session.info.runtime} ${session.info.version}`, families: found };
  });
  return tfliteAuditReport(model, analyse(model), rules, runtime, families);
}
