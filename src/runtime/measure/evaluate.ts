import { KerfError } from '../../ir/errors.ts';
import { compareOutputs } from './compare.ts';
import type { Dataset } from '../data/dataset.ts';
import { openDataset } from '../data/dataset.ts';
import { inOrder } from './inOrder.ts';
import { boundInputs } from '../modelInputs.ts';
import { inTop, mainOutput, splitRows } from '../outputs.ts';
import type { Scores } from '../outputs.ts';
import { randomDataset, sameInputs } from '../data/random.ts';
import type { EvalReport } from './reports.ts';
import { carryingStates } from './carried.ts';
import { pairOutputs, statesOf, withSharedScales } from './pairing.ts';
import type { Runner, Session, TensorInfo } from '../runner.ts';
import type { JobOptions } from '../process/session.ts';
import { withRunner } from '../process/session.ts';

interface EvaluateOptions extends JobOptions {
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
    const { model, reference, notes } = await openSides(runner, options);
    if (model.data.labels === undefined && reference === undefined)
      throw new KerfError(
        'bad-dataset',
        'no labels in the data and no reference model: nothing to evaluate',
        {
          file: model.data.source,
        },
      );
    const report = await measure(model, reference, options);
    const said = [...notes, ...(report.notes ?? [])];
    return said.length === 0 ? report : { ...report, notes: said };
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
): Promise<{ model: Side; reference?: Side; notes: readonly string[] }> {
  const { own, other, notes } = await openSessions(runner, options);
  const inputsOf = ({ info }: Session) => boundInputs(info.inputs, options.bind);
  const read = (session: Session, data: string): Side => ({
    session,
    data: without(openDataset(data, inputsOf(session)), options.skip ?? 0),
  });
  const { data } = options;
  if (data !== undefined)
    return { model: read(own, data), ...(other && { reference: read(other, data) }), notes };
  const settingsOfData = { seed: options.seed ?? 0, count: options.samples ?? randomSamples };
  const [source, follower] =
    other !== undefined && !ownBatchDecides(own, other) ? [other, own] : [own, other];
  const made = randomDataset(inputsOf(source), settingsOfData);
  const lead: Side = { session: source, data: made };
  if (follower === undefined) return { model: lead, notes };
  const follow: Side = {
    session: follower,
    data: sameInputs(made, source.info.inputs, inputsOf(follower)),
  };
  return source === own
    ? { model: lead, reference: follow, notes }
    : { model: follow, reference: lead, notes };
}

/** States that one of both models hands out are carried from sample to sample, as the other does by itself. */
async function openSessions(
  runner: Runner,
  options: EvaluateOptions,
): Promise<{ own: Session; other?: Session; notes: readonly string[] }> {
  const settings = options.threads === undefined ? {} : { threads: options.threads };
  const own = await runner.open(options.model, settings);
  if (options.reference === undefined) return { own, notes: [] };
  const other = await runner.open(options.reference, settings);
  const [mine, theirs] = [statesOf(own, other), statesOf(other, own)];
  const states = [...mine, ...theirs];
  const note = `states are carried from sample to sample, from zeros on: ${states.join(', ')}`;
  return {
    own: mine.length > 0 ? carryingStates(own, mine) : own,
    other: theirs.length > 0 ? carryingStates(other, theirs) : other,
    notes: states.length > 0 ? [note] : [],
  };
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
  const pairing = reference && pairOutputs(model.session.info.outputs, reference.session.info.outputs);
  const [own, wantedFrom] = pairing && reference ? sharingScales(model, reference, pairing.places) : [model];
  const hits = { top1: 0, top5: 0 };
  let main = 0;
  let classes = 0;
  const references = wantedFrom === undefined ? undefined : outputsOf(wantedFrom, samples);
  let index = 0;
  for await (const outputs of outputsOf(own, samples)) {
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
    if (wanted?.done === false && pairing !== undefined)
      comparison.add(
        pairing.places.map((place) => (place === undefined ? undefined : outputs[place])),
        wanted.value,
      );
    if (index % progressEvery === 0)
      options.onProgress?.(index / samples, `sample ${index + 1} of ${samples}`);
    index += 1;
  }
  const agreement = comparison.result(pairing?.places.indexOf(main) ?? main);
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
    ...(pairing !== undefined && pairing.notes.length > 0 && { notes: pairing.notes }),
  };
}

/** Both sides with the scales of their outputs, where only one file states them. */
function sharingScales(
  model: Side,
  reference: Side,
  places: readonly (number | undefined)[],
): readonly [Side, Side] {
  const [mine, theirs] = [model, reference].map(({ session }) => session.info.outputs) as [
    readonly TensorInfo[],
    readonly TensorInfo[],
  ];
  const back = mine.map((_, place) => {
    const at = places.indexOf(place);
    return at < 0 ? undefined : at;
  });
  const withOutputs = (side: Side, outputs: readonly TensorInfo[]): Side => ({
    ...side,
    session: { ...side.session, info: { ...side.session.info, outputs } },
  });
  return [
    withOutputs(model, withSharedScales(mine, theirs, back)),
    withOutputs(reference, withSharedScales(theirs, mine, places)),
  ];
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
