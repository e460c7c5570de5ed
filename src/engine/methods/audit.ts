import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { analyse } from '../../analysis/analyse.ts';
import { targetFor } from '../../devices/targets/registry.ts';
import { readModelFile } from '../../formats/io/models.ts';
import { KerfError } from '../../ir/errors.ts';
import { startRunner } from '../../runtime/launch.ts';
import { withRunner } from '../../runtime/session.ts';
import { auditReport } from '../audit/report.ts';
import type { EngineMethods } from '../methods.ts';
import type { ModelStore } from '../store.ts';

/** The fusion audit: which layers of a model ONNX Runtime runs on integers here, and why the others stay float. */
export function auditMethods(store: ModelStore): Pick<EngineMethods, 'audit'> {
  return {
    async audit({ handle }, job) {
      const held = store.get(handle);
      const { model } = held;
      if (model.dialect !== 'onnx') {
        const message =
          'LiteRT does not show the graph it runs; check with a target lists what has no integer kernel there';
        throw new KerfError('unsupported', message);
      }
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
