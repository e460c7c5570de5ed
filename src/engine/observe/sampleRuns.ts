import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { analyse } from '../../analysis/analyse.ts';
import { writeModelFile } from '../../formats/io/models.ts';
import { KerfError } from '../../ir/errors.ts';
import type { Model } from '../../ir/model.ts';
import type { Dataset } from '../../runtime/data/dataset.ts';
import { inOrder } from '../../runtime/measure/inOrder.ts';
import type { Runner, Session, Tensors } from '../../runtime/runner.ts';
import type { JobOptions } from '../../runtime/process/session.ts';
import { withRunner } from '../../runtime/process/session.ts';
import { requireWeights } from '../requireWeights.ts';
import type { Visit } from './runs.ts';
import { before } from './runs.ts';

const mostSamplesAtOnce = 16;
const bytesAtOnce = 2 ** 20;
/** Where each run gives back as much however many samples it has. */
const largeBytesAtOnce = 2 ** 22;

/** Runs over samples of a dataset. */
export interface Job {
  readonly start: () => Runner;
  readonly data: Dataset;
  /** From `first` on, up to this many. */
  readonly samples: number;
  readonly first?: number;
  /** Samples in one run, where their size allows. */
  readonly atOnce?: number;
  readonly options: JobOptions;
  readonly optimization?: 'basic' | 'all';
  /** The process to run in; one of its own without it. */
  readonly runner?: Runner;
  /** As many as there are processors without it. */
  readonly threads?: number;
}

/** Multiply-accumulates of one sample that take one thread about as long as decoding a picture takes this process. */
const lightWork = 1e9;

/** Threads of a small model wait busily for the next samples, and this process is busy making those. */
export function threadsFor(
  model: Model,
  bind: Readonly<Record<string, number>> | undefined,
): Pick<Job, 'threads'> {
  if (model.dialect === 'tflite') return {};
  const { macs } = analyse(model, bind === undefined ? {} : { bind }).totals;
  return macs !== undefined && macs < lightWork ? { threads: 1 } : {};
}

/** See `RunSamples`; everything runs in a runner process. */
export async function runSamples(
  {
    start,
    data,
    samples: end,
    first: begin = 0,
    atOnce = mostSamplesAtOnce,
    options,
    optimization = 'basic',
    runner: shared,
    threads,
  }: Job,
  models: readonly [Model, ...Model[]],
  [from, to]: readonly [number, number],
  visit: Visit,
): Promise<void> {
  for (const model of models) requireWeights(model);
  const folder = await mkdtemp(join(tmpdir(), 'kerf-calibration-'));
  const work = async (runner: Runner) => {
    const sessions: Session[] = [];
    for (const [index, model] of models.entries()) {
      const file = join(folder, `model${index}.${model.dialect}`);
      await writeModelFile(model, file);
      // Fusions beyond the basic ones would change the arithmetic behind the observed values.
      sessions.push(await runner.open(file, { optimization, ...(threads !== undefined && { threads }) }));
    }
    const samples = end - begin;
    const { step, done: firstRun } =
      data.batch === 'free'
        ? await batchFor(data, sessions, { begin, most: Math.min(atOnce, samples) })
        : { step: data.batch };
    const batches = inOrder(Math.ceil(samples / step), async (batch) => {
      if (batch === 0 && firstRun !== undefined) return firstRun;
      const first = begin + batch * step;
      const feeds = data.feeds(first, data.batch === 'free' ? Math.min(step, end - first) : step);
      return inTurn(sessions, feeds);
    });
    let done = 0;
    for await (const { feeds, tensors } of batches) {
      const seen = Math.min(step, samples - done);
      visit(tensors, feeds, seen);
      done += seen;
      const fraction = from + ((to - from) * done) / samples;
      options.onProgress?.(fraction, `calibrating: ${done} of ${samples} samples`);
    }
    await Promise.all(sessions.map((session) => session.close()));
  };
  try {
    await (shared === undefined ? withRunner(start, options.signal, work) : work(shared));
  } catch (error) {
    throw inWordsOfTheReader(error, folder);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** One run: what was fed, and the outputs of the last model. */
interface Ran {
  readonly feeds: Tensors;
  readonly tensors: Tensors;
}

/** Runs the models one after another, each with the outputs of the one before it beside the samples. */
async function inTurn(sessions: readonly Session[], samples: Tensors): Promise<Ran> {
  let feeds = samples;
  let tensors: Tensors = {};
  for (const [index, session] of sessions.entries()) {
    if (index > 0) {
      const earlier = Object.entries(tensors).map(([name, tensor]) => [before(name), tensor]);
      feeds = { ...samples, ...Object.fromEntries(earlier) };
    }
    const known = session.info.inputs.flatMap(({ name }) => (feeds[name] ? [[name, feeds[name]]] : []));
    tensors = await session.run(Object.fromEntries(known));
  }
  return { feeds, tensors };
}

/** The file that was observed is gone by the time someone reads of it. */
function inWordsOfTheReader(error: unknown, folder: string): unknown {
  if (!KerfError.is(error) || error.file?.startsWith(folder) !== true) return error;
  const message = error.message.replace(` from ${error.file}`, '').replaceAll(error.file, 'the model');
  return new KerfError(
    error.reason,
    `calibration: ${message}`,
    error.place === undefined ? {} : { place: error.place },
  );
}

/**
 * Ranges do not depend on the batch, and one of several samples saves most of the cost of small calls. Many exporters
 * write a batch of 1 into the body of a model whose inputs have a free one; such a model takes one sample at a time.
 * Gives the first run, too, where it came off.
 */
async function batchFor(
  data: Dataset,
  sessions: readonly Session[],
  { begin, most }: { readonly begin: number; readonly most: number },
): Promise<{ readonly step: number; readonly done?: Ran }> {
  const bytes = Object.values(data.feeds(begin)).reduce((sum, tensor) => sum + tensor.data.length, 0);
  const room = most > mostSamplesAtOnce ? largeBytesAtOnce : bytesAtOnce;
  const step = Math.min(most, Math.floor(room / Math.max(bytes, 1)));
  if (step <= 1) return { step: 1 };
  try {
    return { step, done: await inTurn(sessions, data.feeds(begin, step)) };
  } catch (error) {
    if (KerfError.is(error, 'runtime-refused')) return { step: 1 };
    throw error;
  }
}
