import { KerfError } from '../ir/errors.ts';
import { compareOutputs } from './compare.ts';
import type { Dataset } from './dataset.ts';
import { openDataset } from './dataset.ts';
import { inOrder } from './inOrder.ts';
import { boundInputs } from './modelInputs.ts';
import { inTop, mainOutput, splitRows } from './outputs.ts';
import type { Scores } from './outputs.ts';
import { randomDataset, sameInputs } from './random.ts';
import type { EvalReport } from './reports.ts';
import type { Runner, Session } from './runner.ts';
import type { JobOptions } from './session.ts';
import { withRunner } from './session.ts';

export interface EvaluateOptions extends JobOptions {
  readonly model: string;
  /** A dataset's path; without it, seeded random inputs, which can only tell agreement with a reference. */
  readonly data?: string;
  readonly reference?: string;
  /** At most this many samples, from the first on, or from behind those that are left out. */
  readonly samples?: number;
  /** Leaves out as many samples at the beginning. */
  readonly skip?: number;
  readonly seed?: number;
  readonly threads?: number;
  /** Numbers for free dimensions, by name; the others are 1. */
  readonly bind?: Readonly<Record<string, number>>;
}

const randomSamples = 64;
const progressEvery = 20;

/**
 * Accuracy on labels and closeness to a reference model, one sample per inference unless the model's batch is fixed
 * (with dynamic quantization a larger batch would change the result).
 * Throws `KerfError('bad-dataset' | 'runtime-refused' | 'runtime-crashed' | 'cancelled')`.
 */
export function evaluate(start: () => Runner, options: EvaluateOptions): Promise<EvalReport> {
  return withRunner(start, options.signal, async (runner) => {
    const { model, reference } = await openSides(runner, options);
    if (model.data.labels === undefined && reference === undefined)
      throw new KerfError(
        'bad-dataset',
        'no labels in the data and no reference model: nothing to evaluate',
        {
          file: model.data.source,
        },
      );
    return measure(model, reference, options);
  });
}

type Outputs = readonly (Scores | undefined)[];

/** A model with the data for its inputs. */
interface Side {
  readonly session: Session;
  readonly data: Dataset;
}

/**
 * Made-up inputs are the reference's, so that all models compared with it see the same values: an int8 input alone would
 * be fed its whole range. Only a batch that the model has and the reference leaves free decides the other way.
 */
async function openSides(
  runner: Runner,
  options: EvaluateOptions,
): Promise<{ model: Side; reference?: Side }> {
  const settings = options.threads === undefined ? {} : { threads: options.threads };
  const open = (path: string) => runner.open(path, settings);
  const own = await open(options.model);
  const other = options.reference === undefined ? undefined : await open(options.reference);
  const inputsOf = ({ info }: Session) => boundInputs(info.inputs, options.bind);
  const read = (session: Session, data: string): Side => ({
    session,
    data: without(openDataset(data, inputsOf(session)), options.skip ?? 0),
  });
  const { data } = options;
  if (data !== undefined) return { model: read(own, data), ...(other && { reference: read(other, data) }) };
  const settingsOfData = { seed: options.seed ?? 0, count: options.samples ?? randomSamples };
  const [source, follower] =
    other !== undefined && !ownBatchDecides(own, other) ? [other, own] : [own, other];
  const made = randomDataset(inputsOf(source), settingsOfData);
  const lead: Side = { session: source, data: made };
  if (follower === undefined) return { model: lead };
  const follow: Side = {
    session: follower,
    data: sameInputs(made, source.info.inputs, inputsOf(follower)),
  };
  return source === own ? { model: lead, reference: follow } : { model: follow, reference: lead };
}

/** The samples behind the first `skip`. */
function without(data: Dataset, skip: number): Dataset {
  if (skip === 0) return data;
  const { labels } = data;
  if (skip >= data.samples)
    throw new KerfError('bad-dataset', `there are ${data.samples} samples, none behind ${skip}`, {
      file: data.source,
    });
  return {
    ...data,
    samples: data.samples - skip,
    ...(labels && { labels: labels.slice(skip) }),
    feeds: (first, count) => data.feeds(first + skip, count),
  };
}

function ownBatchDecides(own: Session, other: Session): boolean {
  const batch = ({ info }: Session) => info.inputs[0]?.dims[0] ?? 1;
  return batch(own) > 1 && batch(other) < 0;
}

async function measure(
  model: Side,
  reference: Side | undefined,
  options: EvaluateOptions,
): Promise<EvalReport> {
  const { labels } = model.data;
  const samples = Math.min(options.samples ?? model.data.samples, model.data.samples);
  const comparison = compareOutputs();
  const hits = { top1: 0, top5: 0 };
  let main = 0;
  let classes = 0;
  const references = reference === undefined ? undefined : outputsOf(reference, samples);
  let index = 0;
  for await (const outputs of outputsOf(model, samples)) {
    main = mainOutput(outputs);
    const scores = outputs[main]?.data;
    if (labels !== undefined && scores !== undefined) {
      classes = scores.length;
      const label = labels[index] as number;
      if (label >= classes) throw badLabel(label, classes, model.data.source);
      if (inTop(scores, label, 1)) hits.top1 += 1;
      if (inTop(scores, label, 5)) hits.top5 += 1;
    }
    const wanted = await references?.next();
    if (wanted?.done === false) comparison.add(outputs, wanted.value);
    if (index % progressEvery === 0)
      options.onProgress?.(index / samples, `sample ${index + 1} of ${samples}`);
    index += 1;
  }
  const agreement = comparison.result(main);
  if (reference !== undefined && agreement === undefined)
    throw new KerfError('unsupported', 'the outputs of the two models differ in size', {
      file: options.model,
    });
  return {
    samples,
    data: model.data.source,
    ...(labels !== undefined && { top1: hits.top1 / samples }),
    ...(labels !== undefined && classes > 5 && { top5: hits.top5 / samples }),
    ...(agreement !== undefined && { reference: agreement }),
  };
}

/** The outputs of each sample. */
async function* outputsOf({ session, data }: Side, samples: number): AsyncGenerator<Outputs> {
  const rows = data.batch === 'free' ? 1 : data.batch;
  const batches = inOrder(Math.ceil(samples / rows), (index) => session.run(data.feeds(index * rows, rows)));
  let left = samples;
  for await (const tensors of batches) {
    const outputs = splitRows(session.info, tensors, rows).slice(0, left);
    left -= outputs.length;
    yield* outputs;
  }
}

function badLabel(label: number, classes: number, file: string): KerfError {
  return new KerfError('bad-dataset', `label ${label}, but the model knows ${classes} classes`, {
    file,
    place: 'labels',
  });
}
