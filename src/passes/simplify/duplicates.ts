import type { Attribute, Graph, Model, Node, Value, ValueId } from '../../ir/model.ts';
import type { GraphEditor } from '../../ir/edit.ts';
import type { Tensor } from '../../ir/tensor.ts';
import { indexOf } from '../../ir/walk.ts';
import { operatorOf } from '../../ops/registry.ts';
import { sameTensor } from '../support/constants.ts';

/** Lets values with the same constant read one copy of it. Constants are compared only when size and edges agree. */
export function shareConstants(graph: Graph, editor: GraphEditor): boolean {
  const { isOutput, uses } = indexOf(graph);
  const groups = new Map<string, Value[]>();
  let shared = false;
  for (const value of graph.values.values()) {
    if (value.constant === undefined || isOutput.has(value.id) || !uses.has(value.id)) continue;
    if (value.variable === true || graph.inputs.includes(value.id)) continue;
    const key = constantKey(value);
    if (key === undefined) continue;
    const group = groups.get(key) ?? [];
    const twin = group.find((other) => sameConstant(other, value));
    if (twin === undefined) groups.set(key, [...group, value]);
    else {
      editor.replaceUses(value.id, twin.id);
      for (const use of uses.get(value.id) ?? []) editor.changed.add(use.node.id);
      shared = true;
    }
  }
  return shared;
}

const constantKeys = new WeakMap<Tensor, string>();

function constantKey({ constant, quantization }: Value): string | undefined {
  if (constant === undefined || constant.data.missing !== undefined) return undefined;
  if (constant.strings !== undefined || quantization?.details !== undefined) return undefined;
  const known = constantKeys.get(constant);
  if (known !== undefined) return known;
  const { data } = constant;
  const head = data.read(0, Math.min(32, data.length));
  const tail = data.read(Math.max(0, data.length - 32), Math.min(32, data.length));
  const key = `${constant.dtype}|${constant.dims.join()}|${head.join()}|${tail.join()}`;
  constantKeys.set(constant, key);
  return key;
}

function sameConstant(a: Value, b: Value): boolean {
  if (a.constant === undefined || b.constant === undefined) return false;
  const one = a.quantization;
  const two = b.quantization;
  if ((one === undefined) !== (two === undefined)) return false;
  if (one !== undefined && two !== undefined) {
    if (one.axis !== two.axis || !sameList(one.scale, two.scale)) return false;
    if (!sameList(one.zeroPoint, two.zeroPoint)) return false;
  }
  return sameTensor(a.constant, b.constant);
}

function sameList(a: ArrayLike<number>, b: ArrayLike<number>): boolean {
  if (a.length !== b.length) return false;
  for (let i = 0; i < a.length; i += 1) if (a[i] !== b[i]) return false;
  return true;
}

/** Operators that do not give the same result twice, or do something besides. */
const impure =
  /^(Random|Bernoulli|Multinomial|If$|Loop$|Scan$|IF$|WHILE$|CALL|VAR_|READ_VAR|ASSIGN|HASHTABLE|RANDOM|MULTINOMIAL)/;

const impureOps = new Map<string, boolean>();

function isImpure(op: string): boolean {
  let found = impureOps.get(op);
  if (found === undefined) {
    found = impure.test(op);
    impureOps.set(op, found);
  }
  return found;
}

/** True when running the operator twice on the same inputs is a waste: described, stateless and deterministic. */
export function isPure(model: Model, node: Node): boolean {
  return operatorOf(model, node) !== undefined && !isImpure(node.op) && node.intermediates === undefined;
}

/** Lets readers of a repeated computation read its first result; the repetition becomes dead code. */
export function shareComputations(
  model: Model,
  graph: Graph,
  editor: GraphEditor,
  allowed: (node: Node) => boolean,
): boolean {
  const { isOutput } = indexOf(graph);
  const seen = new Twins(graph, (id) => editor.resolve(id));
  let shared = false;
  for (const node of graph.nodes) {
    if (!isPure(model, node) || (node.op === 'Dropout' && node.inputs.length > 2)) continue;
    if (readsVariable(graph, node)) continue;
    const first = seen.find(node);
    if (first === undefined) continue;
    if (!allowed(node) || node.outputs.some((id) => id !== null && isOutput.has(id))) continue;
    node.outputs.forEach((id, i) => {
      const twin = first.outputs[i];
      if (id !== null && twin != null) editor.replaceUses(id, twin);
    });
    editor.removeNode(node.id);
    shared = true;
  }
  return shared;
}

/** Computations by what they read first. Few share that, so that few have to be spelled out to be compared. */
class Twins {
  readonly #graph: Graph;
  readonly #resolve: (id: ValueId) => ValueId;
  /** `null` once the first reader is spelled out. */
  readonly #alone = new Map<ValueId, Node | null>();
  readonly #spelled = new Map<string, Node>();

  constructor(graph: Graph, resolve: (id: ValueId) => ValueId) {
    this.#graph = graph;
    this.#resolve = resolve;
  }

  /** The first node that computes the same as this one; `undefined` when this one is it. */
  find(node: Node): Node | undefined {
    const input = node.inputs[0];
    const reads = input == null ? '' : this.#resolve(input);
    const other = this.#alone.get(reads);
    if (other === undefined) {
      this.#alone.set(reads, node);
      return undefined;
    }
    if (other !== null) this.#spell(other);
    this.#alone.set(reads, null);
    return this.#spell(node);
  }

  #spell(node: Node): Node | undefined {
    const key = nodeKey(this.#graph, node, this.#resolve);
    if (key === undefined) return undefined;
    const first = this.#spelled.get(key);
    if (first === undefined) this.#spelled.set(key, node);
    return first === node ? undefined : first;
  }
}

function readsVariable(graph: Graph, node: Node): boolean {
  return node.inputs.some((id) => id !== null && graph.values.get(id)?.variable === true);
}

function nodeKey(graph: Graph, node: Node, resolve: (id: ValueId) => ValueId): string | undefined {
  const parts: string[] = [node.op, node.domain, String(node.version), node.overload ?? ''];
  parts.push(node.inputs.map((id) => (id === null ? '' : resolve(id))).join('\u0001'));
  parts.push(node.outputs.map((id) => outputKey(graph, id)).join('\u0001'));
  for (const name of [...node.attributes.keys()].sort()) {
    const printed = attributeKey(node.attributes.get(name) as Attribute);
    if (printed === undefined) return undefined;
    parts.push(`${name}=${printed}`);
  }
  return parts.join('\u0002');
}

/** Twins must agree in what their outputs are, which in TFLite includes type and quantization. */
function outputKey(graph: Graph, id: ValueId | null): string {
  if (id === null) return '-';
  const value = graph.values.get(id);
  const quantization = value?.quantization;
  const dtype = value?.type?.kind === 'tensor' ? value.type.dtype : '';
  if (quantization === undefined) return dtype;
  return `${dtype}:${quantization.scale.join()}:${quantization.zeroPoint.join()}`;
}

/** A printed attribute, or `undefined` when it cannot be compared cheaply. */
function attributeKey(attribute: Attribute): string | undefined {
  switch (attribute.kind) {
    case 'int':
    case 'float':
    case 'bool':
    case 'ref':
      return String(attribute.value);
    case 'enum':
      return String(attribute.value);
    case 'string':
      return attribute.value.join();
    case 'ints':
    case 'floats':
      return `[${attribute.value.join()}]`;
    case 'strings':
      return attribute.value.map((text) => text.join()).join('|');
    case 'tensor': {
      const { dtype, dims, data, strings } = attribute.value;
      if (strings !== undefined || data.length > 4096 || data.missing !== undefined) return undefined;
      return `${dtype}[${dims.join()}]${data.read().join()}`;
    }
    default:
      return undefined;
  }
}
