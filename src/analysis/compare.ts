import type { ChangeClass, Comparison } from './comparison.ts';
import type { Attribute, Graph, Model, Node, Quantization, ValueId } from '../ir/model.ts';
import type { Tensor } from '../ir/tensor.ts';
import type { ValueType } from '../ir/types.ts';
import { formatShape } from '../ir/types.ts';
import { analyse } from './analyse.ts';
import { classifyAcross } from './compareAcross.ts';
import { groupDifferences } from './compareGroups.ts';
import { typeText } from './cost.ts';
import type { Matching } from './match.ts';
import { matchGraphs, originOf } from './match.ts';
import { matchAcross } from './matchAcross.ts';

/** One side of a comparison. */
interface Side {
  readonly model: Model;
  readonly graph: Graph;
  readonly types: ReadonlyMap<ValueId, ValueType>;
}

/**
 * Compares two models. Layers are matched by name, then by structure, then by the content of their weights; weights by
 * type, dimensions and bytes, read in pieces. Layers of nested bodies and functions are compared as attributes of their
 * owner. Models of different formats are aligned by the order and amounts of their work, and compared in what does not
 * depend on the format.
 */
export function compareModels(a: Model, b: Model): Comparison {
  const across = a.dialect !== b.dialect;
  const [left, right] = [sideOf(a), sideOf(b)];
  const matching = across ? matchAcross(a, b) : matchGraphs(a, b);
  const unread: string[] = [];
  const changed: { id: string; classes: readonly ChangeClass[] }[] = [];
  for (const [from, to] of matching.forward) {
    const classes = across
      ? classifyAcross(a, from, b, to)
      : classify({ left, right, matching, unread }, from, to);
    if (classes.length > 0) changed.push({ id: from.id, classes });
  }
  const notes = across
    ? ['attributes and wiring, which the formats say differently; what only moves or converts data']
    : [];
  const comparison: Comparison = {
    added: right.graph.nodes.filter((node) => !matching.backward.has(node)).map((node) => node.id),
    removed: left.graph.nodes.filter((node) => !matching.forward.has(node)).map((node) => node.id),
    changed,
    unchanged: matching.forward.size - changed.length,
    renamed: left.graph.nodes.flatMap((node) => {
      const other = matching.forward.get(node)?.id ?? node.id;
      return other === node.id ? [] : [[node.id, other] as const];
    }),
    groups: [],
    notCovered: [...notes, ...notCovered(a, b, unread)],
  };
  return { ...comparison, groups: groupDifferences(a, b, comparison) };
}

function sideOf(model: Model): Side {
  const graph = model.graphs[0];
  return { model, graph, types: analyse(model).types.get(graph) ?? new Map() };
}

function notCovered(a: Model, b: Model, unread: readonly string[]): readonly string[] {
  const notes: string[] = [];
  if (a.graphs.length > 1 || b.graphs.length > 1) notes.push('subgraphs beyond the main graph');
  if (a.dialect === 'onnx' && b.dialect === 'onnx' && a.functions.length + b.functions.length > 0) {
    notes.push('bodies of model-local functions');
  }
  if (unread.length > 0) notes.push(`weights that cannot be read: ${unread.join(', ')}`);
  return notes;
}

interface Pairing {
  readonly left: Side;
  readonly right: Side;
  readonly matching: Matching;
  /** Names of weights whose bytes could not be compared. */
  readonly unread: string[];
}

function classify(pairing: Pairing, a: Node, b: Node): readonly ChangeClass[] {
  const classes = new Set<ChangeClass>();
  if (a.op !== b.op || a.domain !== b.domain) classes.add('op');
  if (!sameAttributes(a.attributes, b.attributes)) classes.add('attribute');
  compareOutputs(pairing, a, b, classes);
  for (let index = 0; index < Math.max(a.inputs.length, b.inputs.length); index += 1) {
    compareOperands(pairing, a.inputs[index] || null, b.inputs[index] || null, classes);
  }
  return [...classes];
}

function compareOutputs({ left, right }: Pairing, a: Node, b: Node, classes: Set<ChangeClass>): void {
  if (a.outputs.length !== b.outputs.length) classes.add('wiring');
  a.outputs.forEach((id, index) => {
    const other = b.outputs[index];
    if (!id || !other) return;
    const [from, to] = [left.types.get(id), right.types.get(other)];
    if (typeText(from) !== typeText(to)) classes.add('type');
    if (shapeOf(from) !== shapeOf(to)) classes.add('shape');
    const scales = [
      left.graph.values.get(id)?.quantization,
      right.graph.values.get(other)?.quantization,
    ] as const;
    if (!sameQuantization(...scales)) classes.add('quantization');
  });
}

function shapeOf(type: ValueType | undefined): string {
  return type?.kind === 'tensor' ? formatShape(type.shape) : (type?.kind ?? 'unknown');
}

function compareOperands(
  pairing: Pairing,
  a: ValueId | null,
  b: ValueId | null,
  classes: Set<ChangeClass>,
): void {
  if (a === null || b === null) {
    if (a !== b) classes.add('wiring');
    return;
  }
  const { left, right, matching } = pairing;
  const from = originOf(a, left.graph, left.model);
  const to = originOf(b, right.graph, right.model);
  if (from.conversions !== to.conversions) classes.add('quantization');
  const [old, now] = [left.graph.values.get(from.value), right.graph.values.get(to.value)];
  if (old?.constant !== undefined || now?.constant !== undefined) {
    if (old?.constant === undefined || now?.constant === undefined) classes.add('wiring');
    else if (!sameTensor(old.constant, now.constant, () => pairing.unread.push(from.value)))
      classes.add('weights');
    if (!sameQuantization(old?.quantization, now?.quantization)) classes.add('quantization');
    return;
  }
  const expected = from.node === undefined ? undefined : matching.forward.get(from.node);
  if (expected !== to.node || slotOf(from.node, from.value, left) !== slotOf(to.node, to.value, right)) {
    classes.add('wiring');
  }
}

/** Which output of its producer, or which graph input, a value is. */
function slotOf(node: Node | undefined, value: ValueId, side: Side): number {
  return node === undefined ? side.graph.inputs.indexOf(value) : node.outputs.indexOf(value);
}

function sameQuantization(a: Quantization | undefined, b: Quantization | undefined): boolean {
  if (a === b) return true;
  const [left, right] = [a, b].map((each) =>
    each === undefined || each.scale.length === 0 ? undefined : each,
  );
  if (left === undefined || right === undefined) return left === right;
  return (
    left.axis === right.axis &&
    left.scale.length === right.scale.length &&
    left.scale.every((scale, index) => scale === right.scale[index]) &&
    left.zeroPoint.every((point, index) => point === right.zeroPoint[index])
  );
}

const pieceBytes = 1 << 20;

/** Same type, dimensions and bytes; `unreadable` is told when only the first two could be compared. */
function sameTensor(a: Tensor, b: Tensor, unreadable: () => void): boolean {
  if (a === b) return true;
  if (a.dtype !== b.dtype || a.dims.join() !== b.dims.join()) return false;
  if (a.data === b.data) return true;
  if (a.data.missing !== undefined || b.data.missing !== undefined) {
    unreadable();
    return true;
  }
  if (a.data.length !== b.data.length || !sameStrings(a.strings, b.strings)) return false;
  for (let offset = 0; offset < a.data.length; offset += pieceBytes) {
    if (!sameBytes(a.data.read(offset, pieceBytes), b.data.read(offset, pieceBytes))) return false;
  }
  return true;
}

function sameBytes(a: Uint8Array, b: Uint8Array): boolean {
  if (a.length !== b.length) return false;
  for (let index = 0; index < a.length; index += 1) if (a[index] !== b[index]) return false;
  return true;
}

function sameStrings(a: readonly Uint8Array[] = [], b: readonly Uint8Array[] = []): boolean {
  return a.length === b.length && a.every((text, index) => sameBytes(text, b[index] as Uint8Array));
}

type Attributes = ReadonlyMap<string, Attribute>;

function sameAttributes(a: Attributes, b: Attributes): boolean {
  if (a.size !== b.size) return false;
  return [...a].every(([name, value]) => {
    const other = b.get(name);
    return other !== undefined && sameAttribute(value, other);
  });
}

function sameAttribute(a: Attribute, b: Attribute): boolean {
  if (a.kind !== b.kind) return false;
  const list = (each: unknown): readonly unknown[] => (Array.isArray(each) ? each : [each]);
  const [left, right] = [list(a.value), list(b.value)];
  return left.length === right.length && left.every((item, index) => sameItem(a.kind, item, right[index]));
}

function sameItem(kind: Attribute['kind'], a: unknown, b: unknown): boolean {
  if (a === b) return true;
  switch (kind) {
    case 'string':
    case 'strings':
      return sameBytes(a as Uint8Array, b as Uint8Array);
    case 'tensor':
    case 'tensors':
      return sameTensor(a as Tensor, b as Tensor, () => undefined);
    case 'graph':
    case 'graphs':
      return sameGraph(a as Graph, b as Graph);
    case 'bytes': {
      const [left, right] = [a, b] as [Tensor['data'], Tensor['data']];
      return left.length === right.length && sameBytes(left.read(), right.read());
    }
    case 'type':
    case 'types':
      return JSON.stringify(a) === JSON.stringify(b);
    case 'int':
    case 'ints':
      return String(a) === String(b);
    default:
      return Object.is(a, b);
  }
}

/** Bodies are the same when they have the same nodes on the same names and the same constants. */
function sameGraph(a: Graph, b: Graph): boolean {
  if (a.nodes.length !== b.nodes.length || a.outputs.join() !== b.outputs.join()) return false;
  const nodes = a.nodes.every((node, index) => {
    const other = b.nodes[index] as Node;
    const names = (each: Node) => JSON.stringify([each.op, each.domain, each.inputs, each.outputs]);
    return names(node) === names(other) && sameAttributes(node.attributes, other.attributes);
  });
  return (
    nodes &&
    [...a.values].every(([id, value]) => {
      const other = b.values.get(id)?.constant;
      if (value.constant === undefined || other === undefined) return value.constant === other;
      return sameTensor(value.constant, other, () => undefined);
    })
  );
}
