import { createHash } from 'node:crypto';
import { mkdirSync, readdirSync, rmSync, statSync, utimesSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { deserialize, serialize } from 'node:v8';
import { writeParts } from '../../formats/io/writeParts.ts';
import { allBytesOf } from '../../formats/io/models.ts';
import { forEachPiece, memoryBytes } from '../../ir/bytes.ts';
import type { Model, NodeId, ValueId } from '../../ir/model.ts';
import type { Calibrator, InputMoments, ObservedRange, Survey, SurveyPlan } from '../../passes/pass.ts';

interface CacheOptions {
  readonly folder: string;
  /** Digest of everything that is fed; asked for once, when something is looked up. */
  readonly dataDigest: () => string;
}

/** To be raised whenever observing gives other numbers than before: what an older Kerf kept is no longer found then. */
const generation = 3;
/** What the folder may hold; what was used longest ago goes first. */
const mostBytes = 2 ** 30;
/** Layers whose moments are asked for together: an interrupted calibration keeps the groups that were finished. */
const layersAtOnce = 16;
const pieceBytes = 4 * 2 ** 20;

/**
 * Keeps ranges, moments and surveys between runs, by the content of the model and of the data: the same question gets the same
 * answer without an inference. What cannot be written is not kept; what cannot be read is observed again.
 */
export function withCache(calibrator: Calibrator, { folder, dataDigest }: CacheOptions): Calibrator {
  const { survey } = calibrator;
  const digests = new WeakMap<Model, string>();
  let data: string | undefined;
  const keyOf = (model: Model, what: string): string => {
    data ??= dataDigest();
    let digest = digests.get(model);
    if (digest === undefined) {
      digest = digestOf(model);
      digests.set(model, digest);
    }
    return createHash('sha256')
      .update(`${generation}\n${digest}\n${data}\n${calibrator.samples}\n${what}`)
      .digest('hex');
  };
  return {
    ...calibrator,
    async ranges(model, values, momentum) {
      const kind = momentum === undefined ? 'ranges' : `ranges averaged by ${momentum}`;
      const file = join(folder, `${keyOf(model, `${kind}\n${[...values].sort().join('\n')}`)}.json`);
      const known = await read(file, rangesOf);
      if (known !== undefined) return known;
      const ranges = await calibrator.ranges(model, values, momentum);
      await keep(folder, file, spelled(ranges));
      return ranges;
    },
    async moments(model, layers, samples) {
      const found = new Map<NodeId, InputMoments>();
      const kind = samples === undefined ? 'moments' : `moments of ${samples}`;
      const fileOf = (id: NodeId) => join(folder, `${keyOf(model, `${kind}\n${id}`)}.bin`);
      const missing: NodeId[] = [];
      for (const id of layers) {
        const known = await read(fileOf(id), momentsOf);
        if (known === undefined) missing.push(id);
        else if (known !== 'none') found.set(id, known);
      }
      for (const group of groupsOf(missing)) {
        const fresh = await calibrator.moments(model, group, samples);
        for (const id of group) {
          const moments = fresh.get(id);
          if (moments !== undefined) found.set(id, moments);
          // A layer that has none is remembered as such.
          await keep(folder, fileOf(id), moments === undefined ? new Uint8Array() : bytesOf(moments));
        }
      }
      return new Map(layers.flatMap((id) => (found.has(id) ? [[id, found.get(id) as InputMoments]] : [])));
    },
    ...(survey && {
      async survey(model: Model, plan: SurveyPlan) {
        const file = join(folder, `${keyOf(model, `survey\n${JSON.stringify(plan)}`)}.v8`);
        const known = await read(file, (bytes) => deserialize(bytes) as Survey);
        if (known !== undefined) return known;
        const seen = await survey(model, plan);
        await keep(folder, file, serialize(seen));
        return seen;
      },
    }),
  };
}

function digestOf(model: Model): string {
  const hash = createHash('sha256').update(model.dialect);
  for (const part of allBytesOf(model)) forEachPiece(part, pieceBytes, (piece) => hash.update(piece));
  return hash.digest('hex');
}

/** One pass over the data each, so not too few at a time. */
function groupsOf(ids: readonly NodeId[]): readonly (readonly NodeId[])[] {
  const count = Math.ceil(ids.length / layersAtOnce);
  return Array.from({ length: count }, (_, i) => ids.slice(i * layersAtOnce, (i + 1) * layersAtOnce));
}

type Spelled = readonly [ValueId, string, string];

/** As text, because JSON has no infinity. */
function spelled(ranges: ReadonlyMap<ValueId, ObservedRange>): Uint8Array {
  const rows = [...ranges].map(([id, { min, max }]): Spelled => [id, String(min), String(max)]);
  return new TextEncoder().encode(JSON.stringify(rows));
}

function rangesOf(bytes: Uint8Array): ReadonlyMap<ValueId, ObservedRange> {
  const rows = JSON.parse(new TextDecoder().decode(bytes)) as readonly Spelled[];
  return new Map(rows.map(([id, min, max]) => [id, { min: Number(min), max: Number(max) }]));
}

/** groups, size and count, then mean and gram, all in float64. */
function bytesOf({ groups, size, count, mean, gram }: InputMoments): Uint8Array {
  const numbers = new Float64Array(3 + mean.length + gram.length);
  numbers.set([groups, size, count]);
  numbers.set(mean, 3);
  numbers.set(gram, 3 + mean.length);
  return new Uint8Array(numbers.buffer);
}

function momentsOf(bytes: Uint8Array): InputMoments | 'none' {
  if (bytes.length === 0) return 'none';
  const numbers = new Float64Array(bytes.slice().buffer);
  const [groups = 0, size = 0, count = 0] = numbers;
  const gramAt = 3 + groups * size;
  if (numbers.length !== gramAt + groups * size * size) throw new RangeError('not the moments of a layer');
  return { groups, size, count, mean: numbers.slice(3, gramAt), gram: numbers.slice(gramAt) };
}

async function read<T>(file: string, parse: (bytes: Uint8Array) => T): Promise<T | undefined> {
  try {
    const bytes = await readFile(file);
    const now = new Date();
    utimesSync(file, now, now);
    return parse(bytes);
  } catch {
    // Not there, not readable, or not what it should be: then it is observed.
    return undefined;
  }
}

async function keep(folder: string, file: string, bytes: Uint8Array): Promise<void> {
  try {
    mkdirSync(folder, { recursive: true });
    makeRoom(folder, bytes.length);
    await writeParts(file, [memoryBytes(bytes)]);
  } catch {
    // A full disk or a read-only home costs time in the next run, not this one's result.
  }
}

function makeRoom(folder: string, bytes: number): void {
  const files = readdirSync(folder).map((name) => ({
    file: join(folder, name),
    stat: statSync(join(folder, name)),
  }));
  let total = files.reduce((sum, each) => sum + each.stat.size, bytes);
  for (const { file, stat } of files.sort((a, b) => a.stat.mtimeMs - b.stat.mtimeMs)) {
    if (total <= mostBytes) return;
    rmSync(file, { force: true });
    total -= stat.size;
  }
}
