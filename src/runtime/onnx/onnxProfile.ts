import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { InferenceSession as OrtSession } from 'onnxruntime-node';
import { KerfError } from '../../ir/errors.ts';
import type { LayerTime } from '../runner.ts';
import { median } from '../measure/statistics.ts';

/** One row of ONNX Runtime's Chrome trace; times in microseconds. */
interface TraceEvent {
  readonly cat: string;
  readonly name: string;
  readonly ts: number;
  readonly dur: number;
  readonly args?: { readonly op_name?: string; readonly provider?: string };
}

const warmup = 2;
const kernelSuffix = '_kernel_time';

/**
 * Median time of every kernel over `runs` inferences of a session of its own: profiling slows a session down, so the one
 * that is timed is never the one that is profiled. Names are ONNX Runtime's, after its own fusions.
 */
export async function profileOnnx(
  create: (extra: OrtSession.SessionOptions) => Promise<OrtSession>,
  run: (session: OrtSession) => Promise<void>,
  runs: number,
  folder: string,
): Promise<readonly LayerTime[]> {
  const session = await create({ enableProfiling: true, profileFilePrefix: join(folder, 'ort') });
  try {
    for (let index = 0; index < warmup + runs; index += 1) await run(session);
  } finally {
    session.endProfiling();
    await session.release();
  }
  // The runtime puts the date into the name and does not tell it.
  const [file] = await readdir(folder);
  if (file === undefined) throw new KerfError('runtime-refused', 'ONNX Runtime wrote no profile');
  return parseTrace(JSON.parse(await readFile(join(folder, file), 'utf8')) as TraceEvent[], runs);
}

/** Kernel times of the last `runs` inferences of a trace, in execution order. */
export function parseTrace(events: readonly TraceEvent[], runs: number): readonly LayerTime[] {
  const starts = events
    .filter((event) => event.cat === 'Session' && event.name === 'model_run')
    .map((event) => event.ts)
    .sort((a, b) => a - b)
    .slice(-runs);
  const from = starts[0];
  if (from === undefined) throw new KerfError('runtime-refused', "ONNX Runtime's profile holds no inference");
  const kernels = new Map<string, { name: string; op: string; provider: string; us: Float64Array }>();
  for (const { cat, name, ts, dur, args } of events) {
    if (cat !== 'Node' || ts < from || !name.endsWith(kernelSuffix)) continue;
    const op = args?.op_name ?? '';
    const own = name.slice(0, -kernelSuffix.length);
    const key = `${own} ${op}`;
    let kernel = kernels.get(key);
    if (kernel === undefined) {
      kernel = { name: own, op, provider: args?.provider ?? '', us: new Float64Array(starts.length) };
      kernels.set(key, kernel);
    }
    // Within a loop body a kernel runs several times per inference.
    const run = starts.findLastIndex((start) => start <= ts);
    kernel.us[run] = (kernel.us[run] as number) + dur;
  }
  return [...kernels.values()].map(({ name, op, provider, us }) => ({
    name,
    op,
    ms: median(us) / 1000,
    provider: provider.replace('ExecutionProvider', '').toLowerCase(),
  }));
}
