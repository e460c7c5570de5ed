import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { analyse } from '../../analysis/analyse.ts';
import { targetFor, targetOfDevice } from '../../devices/targets/registry.ts';
import type { TargetRules, WeightShift } from '../../devices/targets/target.ts';
import { readModelFile } from '../../formats/io/models.ts';
import { KerfError } from '../../ir/errors.ts';
import { isInteger } from '../../ir/dtype.ts';
import type { NodeId, OnnxModel, TfliteModel } from '../../ir/model.ts';
import { readIntegers } from '../../ir/numbers.ts';
import { indexOf } from '../../ir/walk.ts';
import { readableConstant } from '../../passes/support/constants.ts';
import { startRunner } from '../../runtime/process/launch.ts';
import { randomDataset } from '../../runtime/data/random.ts';
import { withRunner } from '../../runtime/process/session.ts';
import type { AuditReport } from '../audit/report.ts';
import { auditReport } from '../audit/report.ts';
import { tfliteAuditReport } from '../audit/tfliteReport.ts';
import type { JobContext } from '../context.ts';
import { hostTargets } from '../hostTargets.ts';
import type { EngineMethods } from './method.ts';
import type { ModelStore } from '../store.ts';

/** The fusion audit: which layers of a model its runtime runs on integers here, and why the others stay float. */
export function auditMethods(store: ModelStore): Pick<EngineMethods, 'audit'> {
  return {
    async audit({ handle }, job) {
      const held = store.runnable(handle);
      const { model } = held;
      if (model.dialect === 'tflite') return auditTflite(model, await store.fileOf(held), job);
      const rules = rulesHere(model);
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
 * The rules of this machine. Weights are only expected in the form of its fastest kernels where some have it: others may be
 * slower with it, and the cure should not bind a file to this machine.
 */
function rulesHere(model: OnnxModel): TargetRules {
  const host = targetOfDevice({ targets: hostTargets() }, 'onnx') ?? targetFor('x86', 'onnx');
  return host.weights.shift === undefined || hasShifted(model, host.weights.shift)
    ? host
    : targetFor('x86', 'onnx');
}

function hasShifted({ graphs: [graph] }: OnnxModel, { zeroPoint, operators }: WeightShift): boolean {
  const { producer } = indexOf(graph);
  return graph.nodes.some(({ op, inputs }) => {
    const weight = operators.includes(op) ? producer.get(inputs[1] ?? '') : undefined;
    const zeros = readableConstant(graph, weight?.op === 'DequantizeLinear' ? weight.inputs[2] : undefined);
    return zeros !== undefined && isInteger(zeros.dtype) && readIntegers(zeros).includes(zeroPoint);
  });
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
