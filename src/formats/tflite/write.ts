import type { Bytes } from '../../ir/bytes.ts';
import { KerfError } from '../../ir/errors.ts';
import type { Graph, TfliteModel, TfliteSignature, ValueId } from '../../ir/model.ts';
import { encode } from './encode.ts';
import { graphExtra, modelExtra } from './extra.ts';
import { sourceOf } from './read.ts';
import { cell, integersOf, row, rowsOf, textOf, withCells, type Cell, type Row } from './row.ts';
import { moveZip } from './zip.ts';
import { type BufferPlan, planBuffers } from './writeBuffers.ts';
import { type CodePlan, planCodes, writeOperator } from './writeOperator.ts';
import { type IndexOf, writeTensor } from './writeTensor.ts';

/**
 * The file of a model as parts to be written one after another. A model that is still the value it was read as gives
 * the very bytes of its file; a changed one is written anew, and what the IR does not model is carried over.
 * Throws `KerfError('unsupported')` where that would lose something, and `KerfError('missing-weights')`.
 */
export function encodeTflite(model: TfliteModel): readonly Bytes[] {
  const source = sourceOf(model);
  if (source !== undefined) return [source];
  const extra = modelExtra(model);
  if (extra?.lost !== undefined) {
    const { message, place } = extra.lost;
    throw new KerfError('unsupported', `a damaged file cannot be written again: ${message}`, { place });
  }
  const buffers = planBuffers(model);
  const base = extra?.row ?? row('Model');
  const codes = planCodes(model, rowsOf(base, 'operator_codes'));
  const usesHasRank = extra?.usesHasRank ?? true;
  const indices = model.graphs.map((graph) => tensorIndices(graph));
  const graphs = model.graphs.map((graph, index) =>
    writeGraph(graph, buffers, codes, indices[index] as IndexOf, usesHasRank),
  );
  const root = withCells(base, [
    ['version', cell.scalar(model.version)],
    ['operator_codes', cell.rows(codes.rows)],
    ['subgraphs', cell.rows(graphs)],
    ...descriptionCell(model, base),
    ['buffers', cell.rows(buffers.rows)],
    ['metadata_buffer', metadataIndices(base, buffers)],
    ['metadata', metadataCell(model, base, buffers)],
    ['signature_defs', signaturesCell(model, base, indices)],
  ]);
  const parts = encode(root, { identifier: 'TFL3', outside: buffers.outside });
  if (extra?.tail === undefined) return parts;
  const length = parts.reduce((total, part) => total + part.length, 0);
  return [...parts, moveZip(extra.tail.data, extra.tail.offset, length)];
}

function tensorIndices(graph: Graph): IndexOf {
  const indices = new Map<ValueId, number>();
  for (const id of graph.values.keys()) indices.set(id, indices.size);
  return (id) => {
    const index = indices.get(id);
    if (index !== undefined) return index;
    throw new KerfError('malformed', `nothing is known of the tensor "${id}"`, { place: graph.name });
  };
}

function writeGraph(
  graph: Graph,
  buffers: BufferPlan,
  codes: CodePlan,
  indexOf: IndexOf,
  usesHasRank: boolean,
): Row {
  const extra = graphExtra(graph);
  const base = extra?.row ?? row('SubGraph');
  const tensors = [...graph.values.values()].map((value) =>
    writeTensor(value, buffers, indexOf, usesHasRank),
  );
  const operators = graph.nodes.map((node) => writeOperator(node, codes, indexOf));
  const ends = (side: 'inputs' | 'outputs') => {
    const absent = graph[side].length === 0 && extra !== undefined && !base.cells.has(side);
    return absent ? undefined : cell.integers(graph[side].map(indexOf));
  };
  const named = extra === undefined ? graph.name !== '' : graph.name !== extra.as.name;
  return withCells(base, [
    ['tensors', cell.rows(tensors)],
    ['inputs', ends('inputs')],
    ['outputs', ends('outputs')],
    ['operators', operators.length > 0 || base.cells.has('operators') ? cell.rows(operators) : undefined],
    ...(named ? [['name', cell.text(graph.name)] as const] : []),
  ]);
}

function descriptionCell(model: TfliteModel, base: Row): readonly (readonly [string, Cell])[] {
  if ((textOf(base, 'description') ?? '') === model.description) return [];
  return [['description', cell.text(model.description)]];
}

/** The deprecated list of metadata buffers. */
function metadataIndices(base: Row, buffers: BufferPlan): Cell | undefined {
  const old = integersOf(base, 'metadata_buffer');
  if (old === undefined) return undefined;
  return cell.integers(old.flatMap((index) => buffers.indexOfSlot(index) ?? []));
}

function metadataCell(model: TfliteModel, base: Row, buffers: BufferPlan): Cell | undefined {
  const metadata = model.metadata.filter(({ name }) => holds(name, model));
  if (metadata.length === 0) return base.cells.has('metadata') ? cell.rows([]) : undefined;
  const old = rowsOf(base, 'metadata');
  return cell.rows(
    metadata.map(({ name, data }) => {
      const kept = old.find((each) => (textOf(each, 'name') ?? '') === name);
      const entry = kept ?? row('Metadata', [['name', cell.text(name)]]);
      return withCells(entry, [['buffer', cell.scalar(buffers.indexOfData(data))]]);
    }),
  );
}

/**
 * Whether metadata still describes the model. A memory plan names tensors by index and is left out once they changed;
 * compressed weights do too, but cannot do without it.
 */
function holds(name: string, model: TfliteModel): boolean {
  if (name !== 'OfflineMemoryAllocation' && name !== 'COMPRESSION_METADATA') return true;
  const same = model.graphs.every((graph) => {
    const before = graphExtra(graph)?.as;
    if (before === undefined || before.values.size !== graph.values.size) return false;
    const now = [...graph.values.values()];
    return [...before.values.values()].every(
      (value, index) => value.id === now[index]?.id && value.type === now[index]?.type,
    );
  });
  if (!same && name === 'COMPRESSION_METADATA') {
    const message = 'the weights are compressed by tensor index, and the tensors have changed';
    throw new KerfError('unsupported', message, { place: `metadata "${name}"` });
  }
  return same;
}

function signaturesCell(model: TfliteModel, base: Row, indices: readonly IndexOf[]): Cell | undefined {
  if (model.signatures.length === 0) return base.cells.has('signature_defs') ? cell.rows([]) : undefined;
  const old = rowsOf(base, 'signature_defs');
  return cell.rows(
    model.signatures.map((signature) => {
      const kept = old.find((each) => (textOf(each, 'signature_key') ?? '') === signature.key);
      return writeSignature(signature, kept, model, indices);
    }),
  );
}

function writeSignature(
  signature: TfliteSignature,
  kept: Row | undefined,
  model: TfliteModel,
  indices: readonly IndexOf[],
): Row {
  const graph = model.graphs[signature.graph];
  const indexOf = indices[signature.graph];
  if (graph === undefined || indexOf === undefined) {
    throw new KerfError('malformed', `refers to subgraph ${signature.graph} of ${model.graphs.length}`, {
      place: `signature "${signature.key}"`,
    });
  }
  const maps = (name: 'inputs' | 'outputs'): Cell | undefined => {
    if (signature[name].length === 0 && kept?.cells.has(name) !== true) return undefined;
    return cell.rows(
      signature[name].map(([key, id]) =>
        row('TensorMap', [
          ['name', cell.text(key)],
          ['tensor_index', cell.scalar(indexOf(currentEnd(graph, name, id)))],
        ]),
      ),
    );
  };
  return withCells(kept ?? row('SignatureDef', [['signature_key', cell.text(signature.key)]]), [
    ['inputs', maps('inputs')],
    ['outputs', maps('outputs')],
    ['subgraph_index', cell.unless(0, signature.graph)],
  ]);
}

/** A signature names graph inputs and outputs; where a pass put another value in one's place, it names that one. */
function currentEnd(graph: Graph, side: 'inputs' | 'outputs', id: ValueId): ValueId {
  if (graph[side].includes(id)) return id;
  const before = graphExtra(graph)?.as[side] ?? [];
  const position = before.length === graph[side].length ? before.indexOf(id) : -1;
  return graph[side][position] ?? id;
}
