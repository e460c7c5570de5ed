import type { ReadContext } from './readContext.ts';
import type { Attribute, Graph, Node, NodeId, Value, ValueId } from '../../ir/model.ts';
import type { Bytes } from '../../ir/bytes.ts';
import { KerfError } from '../../ir/errors.ts';
import type { Tensor } from '../../ir/tensor.ts';
import { tensorType } from '../../ir/types.ts';
import type { ValueType } from '../../ir/types.ts';
import { readAttribute } from './readAttribute.ts';
import { readTensor } from './readTensor.ts';
import { readType } from './readType.ts';
import type { GraphLeftover, Leftover } from './origin.ts';
import { setInfoOrigin, setOrigin } from './origin.ts';
import type { WireReader } from './wire.ts';

interface Draft {
  name: string;
  readonly nodes: Node[];
  readonly inputs: ValueId[];
  readonly outputs: ValueId[];
  readonly values: Map<ValueId, Value>;
  readonly initializers: ValueId[];
  readonly valueInfos: ValueId[];
  readonly unknown: Bytes[];
}

/**
 * Reads a `GraphProto` in `[reader.pos, end)`. Damage is reported in the context; what could be read is kept.
 */
export function readGraph(reader: WireReader, end: number, place: string, context: ReadContext): Graph {
  const payload = reader.bytes.slice(reader.pos, end - reader.pos);
  const draft: Draft = {
    name: '',
    nodes: [],
    inputs: [],
    outputs: [],
    values: new Map(),
    initializers: [],
    valueInfos: [],
    unknown: [],
  };
  try {
    while (reader.pos < end) readField(reader, end, place, context, draft);
  } catch (error) {
    if (!KerfError.is(error)) throw error;
    context.damage.push({
      severity: 'error',
      place: `${place}, ${error.place ?? ''}`,
      message: error.message,
    });
    reader.pos = end;
  }
  const extra: GraphLeftover = {
    fields: draft.unknown,
    initializers: draft.initializers,
    valueInfos: draft.valueInfos,
  };
  const { name, nodes, inputs, outputs, values } = draft;
  const graph: Graph = { name, nodes, inputs, outputs, values, extra };
  setOrigin(graph, payload);
  return graph;
}

function readField(reader: WireReader, end: number, place: string, context: ReadContext, draft: Draft): void {
  const start = reader.pos;
  const { field, type } = reader.tag(end);
  const within = () => reader.length(end) + reader.pos;
  if (field === 1) {
    draft.nodes.push(readNode(reader, within(), `${place}.node[${draft.nodes.length}]`, context));
  } else if (field === 2) draft.name = reader.text(end);
  else if (field === 5) addInitializer(reader, within(), place, context, draft);
  else if (field === 11) addInfo(reader, within(), draft, draft.inputs);
  else if (field === 12) addInfo(reader, within(), draft, draft.outputs);
  else if (field === 13) addInfo(reader, within(), draft, draft.valueInfos);
  else {
    reader.skip(type, end);
    draft.unknown.push(reader.bytes.slice(start, reader.pos - start));
  }
}

function addInitializer(
  reader: WireReader,
  end: number,
  place: string,
  context: ReadContext,
  draft: Draft,
): void {
  const at = `${place}.initializer[${draft.initializers.length}]`;
  const { name, tensor, damage } = readTensor(reader, end, context.resolve);
  for (const message of damage) context.damage.push({ severity: 'error', place: `${at} '${name}'`, message });
  const known = draft.values.get(name);
  if (known?.constant !== undefined) {
    context.damage.push({ severity: 'error', place: at, message: `'${name}' is initialized twice` });
    return;
  }
  draft.initializers.push(name);
  draft.values.set(name, withConstant(known ?? { id: name, name }, tensor));
}

function withConstant(value: Value, constant: Tensor): Value {
  return { ...value, type: value.type ?? tensorType(constant.dtype, constant.dims), constant };
}

function addInfo(reader: WireReader, end: number, draft: Draft, list: ValueId[]): void {
  const info = readInfo(reader, end);
  list.push(info.name);
  const known = draft.values.get(info.name);
  draft.values.set(info.name, known === undefined ? info : { ...known, ...info });
}

/** Reads a `ValueInfoProto`: a value without a constant. */
export function readInfo(reader: WireReader, end: number): Value {
  const payload = reader.bytes.slice(reader.pos, end - reader.pos);
  let name = '';
  let type: ValueType | undefined;
  const unknown: Bytes[] = [];
  while (reader.pos < end) {
    const start = reader.pos;
    const { field, type: wireType } = reader.tag(end);
    if (field === 1) name = reader.text(end);
    else if (field === 2) type = readType(reader, reader.length(end) + reader.pos);
    else {
      reader.skip(wireType, end);
      unknown.push(reader.bytes.slice(start, reader.pos - start));
    }
  }
  if (type !== undefined) setInfoOrigin(type, name, payload);
  const extra: Leftover | undefined = unknown.length > 0 ? { fields: unknown } : undefined;
  return { id: name, name, ...(type && { type }), ...(extra && { extra }) };
}

/** Reads a `NodeProto` in `[reader.pos, end)`. */
export function readNode(reader: WireReader, end: number, place: string, context: ReadContext): Node {
  const payload = reader.bytes.slice(reader.pos, end - reader.pos);
  const inputs: (string | null)[] = [];
  const outputs: (string | null)[] = [];
  const attributes = new Map<string, Attribute>();
  const unknown: Bytes[] = [];
  const text = { name: '', op: '', domain: '', overload: '' };
  while (reader.pos < end) {
    const start = reader.pos;
    const { field, type } = reader.tag(end);
    if (field === 1) inputs.push(reader.text(end) || null);
    else if (field === 2) outputs.push(reader.text(end) || null);
    else if (field === 3) text.name = reader.text(end);
    else if (field === 4) text.op = reader.text(end);
    else if (field === 5) {
      const [key, value] = readAttribute(reader, reader.length(end) + reader.pos, place, context);
      attributes.set(key, value);
    } else if (field === 7) text.domain = reader.text(end);
    else if (field === 8) text.overload = reader.text(end);
    else {
      reader.skip(type, end);
      unknown.push(reader.bytes.slice(start, reader.pos - start));
    }
  }
  const extra: { extra?: Leftover } = unknown.length > 0 ? { extra: { fields: unknown } } : {};
  const id = uniqueId(
    text.name || outputs.find((output) => output !== null) || `${text.op}`,
    context.nodeIds,
  );
  const overload = text.overload === '' ? {} : { overload: text.overload };
  const domain = text.domain === 'ai.onnx' ? '' : text.domain;
  const node: Node = {
    id,
    name: text.name,
    op: text.op,
    domain,
    ...overload,
    inputs,
    outputs,
    attributes,
    ...extra,
  };
  setOrigin(node, payload);
  return node;
}

function uniqueId(base: string, taken: Set<NodeId>): NodeId {
  let id = base;
  for (let suffix = 2; taken.has(id); suffix += 1) id = `${base}~${suffix}`;
  taken.add(id);
  return id;
}
