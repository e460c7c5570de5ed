import { KerfError } from '../../ir/errors.ts';
import type { Model } from '../../ir/model.ts';
import type { Dataset } from '../../runtime/data/dataset.ts';
import { openDataset } from '../../runtime/data/dataset.ts';
import { boundInputs, inputsOf } from '../../runtime/modelInputs.ts';
import { splitRows } from '../../runtime/outputs.ts';
import { randomDataset } from '../../runtime/data/random.ts';
import type { SessionInfo, TensorInfo, Tensors } from '../../runtime/runner.ts';
import type { Opening, Part } from './parts.ts';
import { openPart } from './parts.ts';

export interface DataOptions {
  /** A dataset's path; seeded random inputs without it. */
  readonly data?: string;
  readonly seed: number;
  /** At most this many samples, from the first on. */
  readonly samples: number;
  readonly bind?: Readonly<Record<string, number>>;
}

/** The whole model as it is fed here. */
export interface Whole {
  readonly part: Part;
  readonly info: SessionInfo;
  readonly data: Dataset;
  readonly samples: number;
  /** Samples per inference. */
  readonly rows: number;
  /** Whether parts of the model take any number of samples at once. */
  readonly anyBatch: boolean;
}

const mostRows = 16;
/** More input bytes than this in one inference gain nothing any more. */
const bytesAtOnce = 2 ** 20;
/** Batches may change the order of additions, nothing else. */
const tolerance = 1e-3;

/**
 * Loads the model, for several samples at once where that gives the same outputs: exporters write a batch of 1 into
 * models whose operators would take any.
 */
export async function openWhole(
  model: Model,
  opening: Omit<Opening, 'anyBatch'>,
  options: DataOptions,
): Promise<Whole> {
  const inputs = boundInputs(inputsOf(model), options.bind);
  const plain = await openAs(model, opening, options, inputs);
  if (plain.data.batch !== 1 && plain.data.batch !== 'free') return plain;
  const rows = rowsFor(inputs, options.samples);
  if (model.dialect !== 'onnx' || rows <= 1) return plain;
  const batched = await tryBatch(model, opening, options, { inputs, rows });
  if (batched === undefined || !(await agree(plain, batched))) {
    await batched?.part.close();
    return plain;
  }
  await plain.part.close();
  return batched;
}

async function openAs(
  model: Model,
  opening: Omit<Opening, 'anyBatch'>,
  options: DataOptions,
  inputs: readonly TensorInfo[],
  rows?: number,
): Promise<Whole> {
  const { data: path, seed } = options;
  const data =
    path === undefined ? randomDataset(inputs, { seed, count: options.samples }) : openDataset(path, inputs);
  const anyBatch = rows !== undefined;
  const ends = { inputs: [], outputs: model.graphs[0].outputs };
  const part = await openPart(model, ends, { ...opening, anyBatch });
  if (part === undefined) throw new KerfError('unsupported', 'the model has no outputs to compare');
  return {
    part,
    info: part.session.info,
    data,
    samples: Math.min(options.samples, data.samples),
    rows: rows ?? (data.batch === 'free' ? 1 : data.batch),
    anyBatch,
  };
}

async function tryBatch(
  model: Model,
  opening: Omit<Opening, 'anyBatch'>,
  options: DataOptions,
  { inputs, rows }: { readonly inputs: readonly TensorInfo[]; readonly rows: number },
): Promise<Whole | undefined> {
  if (inputs.some(({ dims }) => dims.length === 0 || Math.abs(dims[0] ?? 0) !== 1)) return undefined;
  const open = inputs.map((input) => ({ ...input, dims: [-1, ...input.dims.slice(1)] }));
  try {
    const whole = await openAs(model, opening, options, open, rows);
    return whole.data.batch === 'free' ? whole : undefined;
  } catch (error) {
    if (KerfError.is(error, 'runtime-refused')) return undefined;
    throw error;
  }
}

async function agree(plain: Whole, batched: Whole): Promise<boolean> {
  let together: Tensors;
  try {
    together = await batched.part.session.run(batched.data.feeds(0, batched.rows));
  } catch (error) {
    if (KerfError.is(error, 'runtime-refused')) return false;
    throw error;
  }
  const rows = splitRows(batched.info, together, batched.rows);
  for (const row of [0, batched.rows - 1]) {
    const alone = splitRows(plain.info, await plain.part.session.run(plain.data.feeds(row, 1)), 1)[0] ?? [];
    if (!alone.every((wanted, at) => near(wanted?.data, rows[row]?.[at]?.data))) return false;
  }
  return true;
}

function near(a: Float64Array | undefined, b: Float64Array | undefined): boolean {
  if (a === undefined || b === undefined || a.length !== b.length) return a === b;
  const scale = a.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
  return a.every((value, at) => Math.abs(value - (b[at] as number)) <= tolerance * scale);
}

function rowsFor(inputs: readonly TensorInfo[], samples: number): number {
  const bytes = inputs.reduce(
    (sum, { dims }) => sum + 4 * dims.reduce((size, dim) => size * Math.max(1, dim), 1),
    0,
  );
  return Math.min(mostRows, samples, Math.max(1, Math.floor(bytesAtOnce / Math.max(1, bytes))));
}
