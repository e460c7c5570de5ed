import type { Attribute, FunctionDef, Graph, Node, OnnxModel, Value } from '../../ir/model.ts';
import type { Bytes } from '../../ir/bytes.ts';
import type { Damage } from '../../ir/errors.ts';
import { KerfError } from '../../ir/errors.ts';
import type { Leftover } from './origin.ts';
import { setOrigin } from './origin.ts';
import { readAttribute } from './readAttribute.ts';
import type { ReadContext } from './readContext.ts';
import { readGraph, readInfo, readNode } from './readGraph.ts';
import type { ExternalResolver } from './readTensor.ts';
import { readEntry } from './readTensor.ts';
import { verifyGraphs } from './verify.ts';
import { WireReader } from './wire.ts';

/** Fields of `ModelProto` beyond those the IR names, for the writer. */
export interface ModelLeftover extends Leftover {
  readonly domain: string;
  readonly modelVersion: number | bigint | undefined;
  readonly docString: string | undefined;
}

interface Draft {
  irVersion: number;
  producerName: string;
  producerVersion: string;
  domain: string;
  modelVersion: number | bigint | undefined;
  docString: string | undefined;
  graph: Graph | undefined;
  readonly opsets: Map<string, number>;
  readonly metadata: [string, string][];
  readonly functions: FunctionDef[];
  readonly unknown: Bytes[];
  fields: number;
}

/**
 * Reads an ONNX model: structure only, weights stay lazy. What is damaged is reported and the rest is kept.
 * Throws `KerfError('not-a-model')` when the bytes hold no graph at all.
 */
export function readOnnx(
  bytes: Bytes,
  resolve: ExternalResolver,
): { model: OnnxModel; damage: readonly Damage[] } {
  const damage: Damage[] = [];
  const context: ReadContext = {
    resolve,
    damage,
    nodeIds: new Set(),
    graph: (within, end, place) => readGraph(within, end, place, context),
  };
  const draft: Draft = {
    irVersion: 0,
    producerName: '',
    producerVersion: '',
    domain: '',
    modelVersion: undefined,
    docString: undefined,
    graph: undefined,
    opsets: new Map(),
    metadata: [],
    functions: [],
    unknown: [],
    fields: 0,
  };
  const reader = new WireReader(bytes);
  try {
    while (reader.pos < bytes.length) readModelField(reader, bytes.length, context, draft);
  } catch (error) {
    if (!KerfError.is(error) || draft.fields === 0) throw notAModel(error);
    damage.push({ severity: 'error', place: error.place ?? 'model', message: error.message });
  }
  if (draft.graph === undefined) throw notAModel(damage[0]);
  const model = modelOf(draft, draft.graph);
  setOrigin(model, bytes);
  damage.push(...verifyGraphs(model));
  return { model, damage };
}

function notAModel(cause: unknown): KerfError {
  const why =
    cause instanceof Error || (typeof cause === 'object' && cause !== null && 'message' in cause)
      ? ` (${String((cause as { message: unknown }).message)})`
      : '';
  const place = KerfError.is(cause) && cause.place !== undefined ? { place: cause.place } : {};
  return new KerfError('not-a-model', `no ONNX graph could be read${why}`, place);
}

function readModelField(reader: WireReader, end: number, context: ReadContext, draft: Draft): void {
  const start = reader.pos;
  const { field, type } = reader.tag(end);
  const within = () => reader.length(end) + reader.pos;
  if (field === 1) draft.irVersion = reader.varint(end);
  else if (field === 2) draft.producerName = reader.text(end);
  else if (field === 3) draft.producerVersion = reader.text(end);
  else if (field === 4) draft.domain = reader.text(end);
  else if (field === 5) draft.modelVersion = reader.varint64(end);
  else if (field === 6) draft.docString = reader.text(end);
  else if (field === 7) draft.graph = readMainGraph(reader, end, context, draft.graph);
  else if (field === 8) readOpset(reader, within(), draft.opsets);
  else if (field === 14) draft.metadata.push(readEntry(reader, within()));
  else if (field === 25)
    draft.functions.push(readFunction(reader, within(), draft.functions.length, context));
  else {
    reader.skip(type, end);
    draft.unknown.push(reader.bytes.slice(start, reader.pos - start));
  }
  draft.fields += 1;
}

/** A graph cut short by the end of the file is read as far as it goes. */
function readMainGraph(
  reader: WireReader,
  end: number,
  context: ReadContext,
  earlier: Graph | undefined,
): Graph {
  const place = reader.pos;
  const length = reader.varint(end);
  if (length > end - reader.pos) {
    context.damage.push({
      severity: 'error',
      place: `byte ${place}`,
      message: `the graph claims ${length} bytes but the file ends after ${end - reader.pos}: it is truncated`,
    });
  }
  const graph = readGraph(reader, Math.min(end, reader.pos + length), 'graph', context);
  return earlier === undefined ? graph : merged(earlier, graph);
}

/** Protocol buffers may hold a message in pieces: repeated fields concatenate (protobuf encoding specification). */
function merged(first: Graph, second: Graph): Graph {
  return {
    name: second.name || first.name,
    inputs: [...first.inputs, ...second.inputs],
    outputs: [...first.outputs, ...second.outputs],
    nodes: [...first.nodes, ...second.nodes],
    values: new Map([...first.values, ...second.values]),
  };
}

function modelOf(draft: Draft, graph: Graph): OnnxModel {
  const { irVersion, producerName, producerVersion, opsets, metadata, functions } = draft;
  const extra: ModelLeftover = {
    fields: draft.unknown,
    domain: draft.domain,
    modelVersion: draft.modelVersion,
    docString: draft.docString,
  };
  return {
    dialect: 'onnx',
    graphs: [graph],
    irVersion,
    opsets,
    producerName,
    producerVersion,
    metadata,
    functions,
    extra,
  };
}

function readOpset(reader: WireReader, end: number, opsets: Map<string, number>): void {
  let domain = '';
  let version = 0;
  while (reader.pos < end) {
    const { field, type } = reader.tag(end);
    if (field === 1) domain = reader.text(end);
    else if (field === 2) version = Number(reader.varint64(end));
    else reader.skip(type, end);
  }
  opsets.set(domain === 'ai.onnx' ? '' : domain, version);
}

function readFunction(reader: WireReader, end: number, index: number, context: ReadContext): FunctionDef {
  const payload = reader.bytes.slice(reader.pos, end - reader.pos);
  const place = `functions[${index}]`;
  const text = { name: '', domain: '', overload: '' };
  const inputs: string[] = [];
  const outputs: string[] = [];
  const attributes: string[] = [];
  const defaults = new Map<string, Attribute>();
  const opsets = new Map<string, number>();
  const nodes: Node[] = [];
  const values = new Map<string, Value>();
  const unknown: Bytes[] = [];
  while (reader.pos < end) {
    const start = reader.pos;
    const { field, type } = reader.tag(end);
    const within = () => reader.length(end) + reader.pos;
    if (field === 1) text.name = reader.text(end);
    else if (field === 4) inputs.push(reader.text(end));
    else if (field === 5) outputs.push(reader.text(end));
    else if (field === 6) attributes.push(reader.text(end));
    else if (field === 7) nodes.push(readNode(reader, within(), `${place}.node[${nodes.length}]`, context));
    else if (field === 12) {
      const info = readInfo(reader, within());
      values.set(info.id, info);
    } else if (field === 9) readOpset(reader, within(), opsets);
    else if (field === 10) text.domain = reader.text(end);
    else if (field === 11) {
      const [name, value] = readAttribute(reader, within(), place, context);
      defaults.set(name, value);
    } else if (field === 13) text.overload = reader.text(end);
    else {
      reader.skip(type, end);
      unknown.push(reader.bytes.slice(start, reader.pos - start));
    }
  }
  for (const id of [...inputs, ...outputs]) if (!values.has(id)) values.set(id, { id, name: id });
  const graph: Graph = { name: text.name, inputs, outputs, nodes, values };
  const def: FunctionDef = { ...text, attributes, defaults, opsets, graph, extra: { fields: unknown } };
  setOrigin(def, payload);
  return def;
}
