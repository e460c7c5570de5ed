import type { Bytes } from '../../ir/bytes.ts';
import { memoryBytes } from '../../ir/bytes.ts';
import type { Damage } from '../../ir/errors.ts';
import { KerfError } from '../../ir/errors.ts';
import type { Graph, TfliteModel, TfliteSignature, Value } from '../../ir/model.ts';
import { decode } from './decode.ts';
import type { BufferSlot, GraphExtra, ModelExtra, Report } from './extra.ts';
import { slotOfData } from './extra.ts';
import { Names } from './names.ts';
import { readOperator } from './readOperator.ts';
import { readTensors } from './readTensor.ts';
import { blobOf, integersOf, rowsOf, scalarOf, textOf, type Row } from './row.ts';

const sources = new WeakMap<TfliteModel, Bytes>();

/** The file a model value was read from; absent as soon as the model was changed. */
export function sourceOf(model: TfliteModel): Bytes | undefined {
  return sources.get(model);
}

/**
 * Reads a TFLite model's structure; weights stay ranges of `bytes`. What is damaged is left out and reported.
 * Throws `KerfError('not-a-model' | 'truncated' | 'malformed')` when there is no model to be read.
 */
export function readTflite(bytes: Bytes): { model: TfliteModel; damage: readonly Damage[] } {
  checkIdentifier(bytes);
  const { root, damage: broken, extent } = decode(bytes, 'Model');
  const { report, damage, lost } = collectDamage(broken);
  if (rowsOf(root, 'subgraphs').length === 0) {
    const [first] = broken;
    if (first === undefined) throw new KerfError('malformed', 'the model has no subgraph');
    throw new KerfError('malformed', first.message, { place: first.place });
  }
  const slots = readSlots(root, bytes, report);
  const read = {
    dialect: 'tflite',
    graphs: readGraphs(root, bytes, slots, report) as [Graph, ...Graph[]],
    version: scalarOf(root, 'version'),
    description: textOf(root, 'description') ?? '',
    metadata: readMetadata(root, slots, report),
  } as const;
  const signatures = readSignatures(root, read.graphs, report);
  const extra: ModelExtra = {
    codec: 'tflite.model',
    row: root,
    slots,
    orphans: orphansOf(root, slots),
    tail: tailOf(bytes, extent, slots),
    usesHasRank: usesHasRank(root),
    lost: lost(),
  };
  const model: TfliteModel = { ...read, signatures, extra };
  sources.set(model, bytes);
  return { model, damage: damage() };
}

function usesHasRank(root: Row): boolean {
  return rowsOf(root, 'subgraphs').some((graph) =>
    rowsOf(graph, 'tensors').some((tensor) => scalarOf(tensor, 'has_rank') !== 0),
  );
}

/** Buffers that nothing refers to. */
function orphansOf(root: Row, slots: readonly BufferSlot[]): readonly BufferSlot[] {
  const used = new Set(integersOf(root, 'metadata_buffer'));
  for (const entry of rowsOf(root, 'metadata')) used.add(scalarOf(entry, 'buffer'));
  for (const graph of rowsOf(root, 'subgraphs'))
    for (const tensor of rowsOf(graph, 'tensors')) used.add(scalarOf(tensor, 'buffer'));
  return slots.filter((slot) => slot.index > 0 && !used.has(slot.index));
}

/** More places than this are counted, not listed. */
const damageKept = 500;

function collectDamage(broken: readonly Damage[]) {
  const listed: Damage[] = [...broken];
  let unlisted = 0;
  let lost: Damage | undefined;
  const note = (damage: Damage) => {
    if (listed.length < damageKept) listed.push(damage);
    else unlisted += 1;
  };
  const report: Report = {
    damage: (severity, place, message) => note({ severity, place, message }),
    lost: (place, message) => {
      const loss: Damage = { severity: 'error', place, message };
      lost ??= loss;
      note(loss);
    },
  };
  const rest = (): Damage => ({
    severity: 'error',
    place: '',
    message: `${unlisted} more places are damaged`,
  });
  return { report, damage: () => (unlisted === 0 ? listed : [...listed, rest()]), lost: () => lost };
}

function checkIdentifier(bytes: Bytes): void {
  if (bytes.length === 0) throw new KerfError('truncated', 'the file is empty', { place: 'byte 0' });
  const head = bytes.read(0, 12);
  const text = (from: number) => String.fromCharCode(...head.subarray(from, from + 4));
  if (text(4) === 'TFL3') return;
  const place = 'byte 4';
  if (head.length < 8)
    throw new KerfError('truncated', `a file of ${head.length} bytes is too short`, { place });
  if (text(8) === 'TFL3') {
    throw new KerfError('not-a-model', 'a size-prefixed flatbuffer; TFLite runtimes do not read it', {
      place,
    });
  }
  if (/^TFL\d$/.test(text(4)))
    throw new KerfError('not-a-model', `an old TFLite format, ${text(4)}; only TFL3 is read`, { place });
  throw new KerfError('not-a-model', 'not a TFLite model: the identifier "TFL3" is missing', { place });
}

function readSlots(root: Row, bytes: Bytes, report: Report): readonly BufferSlot[] {
  return rowsOf(root, 'buffers').map((row, index) => {
    const offset = scalarOf(row, 'offset');
    const size = scalarOf(row, 'size');
    let data = blobOf(row, 'data');
    let lost = data === undefined ? row.problem : undefined;
    if (offset > 1) {
      const fits = offset + size <= bytes.length;
      lost = fits ? undefined : `its ${size} bytes at ${offset} lie outside the file`;
      if (lost !== undefined) report.lost(`buffers[${index}]`, lost);
      data = fits ? bytes.slice(offset, size) : undefined;
    }
    if (lost !== undefined) return { index, row, lost: `buffer ${index} cannot be read: ${lost}` };
    if (data === undefined || data.length === 0) return { index, row };
    if (index === 0) report.damage('warning', 'buffers[0]', 'must be empty but holds data');
    const slot: BufferSlot = { index, row, data };
    slotOfData.set(data, slot);
    return slot;
  });
}

function readGraphs(root: Row, bytes: Bytes, slots: readonly BufferSlot[], report: Report): readonly Graph[] {
  const rows = rowsOf(root, 'subgraphs');
  const groups = rowsOf(root, 'external_buffer_groups').map((row) => textOf(row, 'name') ?? '');
  const externalBuffers = new Map(
    rowsOf(root, 'external_buffers').map((row) => [
      scalarOf(row, 'id'),
      { length: scalarOf(row, 'length'), group: groups[scalarOf(row, 'group')] ?? '' },
    ]),
  );
  const tensors = { slots, usesHasRank: usesHasRank(root), externalBuffers, report };
  const codes = rowsOf(root, 'operator_codes');
  const names = new Names();
  return rows.map((row, index) => {
    const place = `subgraphs[${index}]`;
    const fed = new Set(integersOf(row, 'inputs') ?? []);
    for (const operator of rowsOf(row, 'operators'))
      for (const output of integersOf(operator, 'outputs') ?? []) fed.add(output);
    const values = readTensors(rowsOf(row, 'tensors'), tensors, place, fed);
    return readGraph(row, values, { bytes, codes, names, report }, place);
  });
}

function readGraph(
  row: Row,
  values: readonly Value[],
  source: Parameters<typeof readOperator>[2],
  place: string,
): Graph {
  const ends = (name: string) =>
    (integersOf(row, name) ?? []).flatMap((index) => {
      const id = values[index]?.id;
      if (id === undefined && index !== -1)
        source.report.lost(`${place}.${name}`, `refers to tensor ${index} of ${values.length}`);
      return id === undefined ? [] : [id];
    });
  const as: Graph = {
    name: textOf(row, 'name') ?? '',
    inputs: ends('inputs'),
    outputs: ends('outputs'),
    nodes: rowsOf(row, 'operators').map((operator, index) =>
      readOperator(operator, values, source, `${place}.operators[${index}]`, index),
    ),
    values: new Map(values.map((value) => [value.id, value])),
  };
  const extra: GraphExtra = { codec: 'tflite.subgraph', row, as };
  return { ...as, extra };
}

function readMetadata(root: Row, slots: readonly BufferSlot[], report: Report): TfliteModel['metadata'] {
  return rowsOf(root, 'metadata').flatMap((row, index) => {
    const buffer = scalarOf(row, 'buffer');
    const slot = slots[buffer];
    const name = textOf(row, 'name') ?? '';
    if (slot !== undefined) return [{ name, data: slot.data ?? emptyData(slot) }];
    report.lost(`metadata[${index}]`, `"${name}" refers to buffer ${buffer} of ${slots.length}`);
    return [];
  });
}

const emptyDatas = new WeakMap<BufferSlot, Bytes>();

/** The content of an empty buffer that metadata refers to, one object per buffer. */
function emptyData(slot: BufferSlot): Bytes {
  let data = emptyDatas.get(slot);
  if (data === undefined) {
    data = memoryBytes(new Uint8Array(0));
    slotOfData.set(data, slot);
    emptyDatas.set(slot, data);
  }
  return data;
}

function readSignatures(root: Row, graphs: readonly Graph[], report: Report): readonly TfliteSignature[] {
  return rowsOf(root, 'signature_defs').map((row, index) => {
    const graph = scalarOf(row, 'subgraph_index');
    const ids = [...(graphs[graph]?.values.keys() ?? [])];
    const maps = (name: string) =>
      rowsOf(row, name).flatMap((entry) => {
        const tensor = scalarOf(entry, 'tensor_index');
        const id = ids[tensor];
        const key = textOf(entry, 'name') ?? '';
        if (id !== undefined) return [[key, id] as const];
        const place = `signature_defs[${index}].${name}`;
        report.lost(place, `"${key}" refers to tensor ${tensor} of ${ids.length}`);
        return [];
      });
    return {
      key: textOf(row, 'signature_key') ?? '',
      graph,
      inputs: maps('inputs'),
      outputs: maps('outputs'),
    };
  });
}

/** What follows the flatbuffer and its outside buffers. Its alignment padding alone is nothing to keep. */
function tailOf(bytes: Bytes, extent: number, slots: readonly BufferSlot[]): ModelExtra['tail'] {
  const end = slots.reduce((last, slot) => {
    const offset = scalarOf(slot.row, 'offset');
    return offset > 1 ? Math.max(last, offset + scalarOf(slot.row, 'size')) : last;
  }, extent);
  if (end >= bytes.length) return undefined;
  const data = bytes.slice(end, bytes.length - end);
  if (data.length < 16 && data.read().every((byte) => byte === 0)) return undefined;
  return { data, offset: end };
}
