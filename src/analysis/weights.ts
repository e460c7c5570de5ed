import { bodiesOf } from '../ir/attribute.ts';
import { isFloat } from '../ir/dtype.ts';
import type { Model, Node, Quantization, ValueId } from '../ir/model.ts';
import type { Tensor } from '../ir/tensor.ts';
import { elementCount } from '../ir/types.ts';
import { graphsOf, indexOf } from '../ir/walk.ts';
import { dtypeOf, shapeOf } from '../ops/known.ts';
import { storedTensor } from '../ops/onnx/constant.ts';
import type { Operator, OpFamily } from '../ops/operator.ts';
import { operatorOf } from '../ops/registry.ts';
import { executionOrder } from './order.ts';
import type { Scope } from './scope.ts';
import { bodiesIn, lookUp } from './scope.ts';

/** Weights a layer reads, in elements and stored bytes. */
export interface WeightShare {
  params: number;
  bytes: number;
}

/** Families that only move, reinterpret or decode a constant: a weight behind them belongs to whoever reads on. */
const carriers: ReadonlySet<OpFamily> = new Set<OpFamily>(['movement', 'shape', 'constant', 'quantization']);

const constants = new WeakMap<Scope, ReadonlySet<ValueId>>();

/**
 * Values of a graph that follow from constants alone: constants, and what nodes make of nothing but those, whether they
 * are stored in this graph or in an enclosing one. They are not activations: any runtime can compute them once. Random
 * generators and nodes with bodies do not count.
 */
export function constantValues(scope: Scope, model: Model): ReadonlySet<ValueId> {
  let found = constants.get(scope);
  if (found === undefined) {
    found = findConstants(scope, model);
    constants.set(scope, found);
  }
  return found;
}

function findConstants(scope: Scope, model: Model): ReadonlySet<ValueId> {
  const { graph } = scope;
  const derived = new Set<ValueId>();
  for (const [id, value] of graph.values) {
    if (value.constant !== undefined && value.variable !== true) derived.add(id);
  }
  const own = new Set(graph.inputs);
  const isConstant = (id: ValueId | null) =>
    id === null || id === '' || derived.has(id) || (!own.has(id) && isOuterConstant(id, scope.outer, model));
  for (const node of executionOrder(graph).nodes) {
    const foldable = isFoldable(node, model) && node.inputs.every(isConstant);
    for (const output of node.outputs) {
      if (output === null) continue;
      own.add(output);
      if (foldable) derived.add(output);
    }
  }
  return derived;
}

/** Whether a captured name is a constant where it comes from. */
function isOuterConstant(id: ValueId, outer: Scope | undefined, model: Model): boolean {
  for (let at = outer; at !== undefined; at = at.outer) {
    if (constantValues(at, model).has(id)) return true;
    if (at.graph.inputs.includes(id) || indexOf(at.graph).producer.has(id)) return false;
  }
  return false;
}

function isFoldable(node: Node, model: Model): boolean {
  if (bodiesOf(node).length > 0) return false;
  const operator = operatorOf(model, node);
  if (operator === undefined || operator.family === 'control') return false;
  return node.inputs.length > 0 || (model.dialect === 'onnx' && node.op === 'Constant');
}

/** A stored tensor whose elements count as parameters. */
export interface WeightTensor {
  readonly tensor: Tensor;
  /** The stored number that stands for zero: a quantized weight's zero point. */
  readonly zero: number;
}

/** How a constant is read: as a described weight or bias, behind a dequantization, as an operand, or as a setting. */
type Standing = 'weight' | 'quantized' | 'operand' | 'setting';

/** A read that is still to be traced to the constants it comes from. */
interface Trace {
  readonly id: ValueId;
  readonly scope: Scope;
  readonly as: Standing;
  readonly zero: number;
}

/** Assigns every constant to the first layer that computes with it. */
export class WeightLedger {
  readonly #model: Model;
  /** Constants and carrier nodes already assigned. */
  readonly #seen = new Set<object>();
  readonly #weights: WeightTensor[] = [];

  constructor(model: Model) {
    this.#model = model;
  }

  /** The tensors that were counted as parameters so far. */
  get weights(): readonly WeightTensor[] {
    return this.#weights;
  }

  /** What `node` reads for the first time, its nested bodies included. */
  shareOf(node: Node, scope: Scope): WeightShare {
    const share = { params: 0, bytes: 0 };
    this.#addNode(node, scope, share);
    return share;
  }

  #addNode(node: Node, scope: Scope, share: WeightShare): void {
    if (!this.#carries(node, scope)) {
      const operator = operatorOf(this.#model, node);
      node.inputs.forEach((id, index) => {
        // Most inputs are activations; how they are read does not matter.
        if (!id || !this.#holdsWeights(id, scope)) return;
        this.#trace({ id, scope, as: standing(operator, node, index, this.#model), zero: 0 }, share);
      });
    }
    for (const body of bodiesIn(scope, node)) {
      if (this.#seen.has(body)) continue;
      this.#seen.add(body);
      for (const inner of body.graph.nodes) this.#addNode(inner, body, share);
    }
  }

  #holdsWeights(id: ValueId, scope: Scope): boolean {
    const source = sourceOf(id, scope);
    return source !== undefined && ('constant' in source || this.#carries(source.producer, source.scope));
  }

  /** A carrier of constants passes them on instead of reading them. */
  #carries(node: Node, scope: Scope): boolean {
    const operator = operatorOf(this.#model, node);
    if (operator === undefined || !carriers.has(operator.family)) return false;
    const derived = constantValues(scope, this.#model);
    return node.outputs.some((id) => id !== null && derived.has(id));
  }

  /** Follows a read through carriers back to stored tensors. Chains may be long, hence no recursion. */
  #trace(start: Trace, share: WeightShare): void {
    const open = [start];
    for (let next = open.pop(); next !== undefined; next = open.pop()) {
      const source = sourceOf(next.id, next.scope);
      if (source === undefined) continue;
      if ('constant' in source) {
        const { quantization } = source;
        const decoded = next.as === 'operand' && (quantization?.scale.length ?? 0) > 0;
        const zero = quantization?.zeroPoint[0] ?? next.zero;
        this.#addTensor(source.constant, share, decoded ? 'quantized' : next.as, zero);
      } else if (this.#carries(source.producer, source.scope)) {
        open.push(...this.#openCarrier(source.producer, { ...next, scope: source.scope }, share));
      }
    }
  }

  #openCarrier(node: Node, trace: Trace, share: WeightShare): readonly Trace[] {
    if (this.#seen.has(node)) return [];
    this.#seen.add(node);
    const stored = node.op === 'Constant' ? storedTensor(node) : undefined;
    if (stored !== undefined) {
      this.#addTensor(stored, share, trace.as, trace.zero);
      return [];
    }
    if (node.op === 'ConstantOfShape') share.params += filledElements(node, trace);
    const operator = operatorOf(this.#model, node);
    const decodes = operator?.family === 'quantization' && trace.as !== 'setting';
    const zero = decodes ? zeroPointOf(node, trace.scope) : trace.zero;
    return node.inputs.flatMap((id, index) => {
      if (id === null || id === '') return [];
      const passed = decodes ? 'quantized' : trace.as;
      return [{ id, scope: trace.scope, zero, as: carriedStanding(operator, node, index, passed) }];
    });
  }

  #addTensor(tensor: Tensor, share: WeightShare, as: Standing, zero: number): void {
    const identity = storageOf(tensor);
    if (this.#seen.has(identity)) return;
    this.#seen.add(identity);
    share.bytes += storedBytes(tensor);
    if (!isWeight(tensor, as)) return;
    share.params += elementCount(tensor.dims) ?? 0;
    this.#weights.push({ tensor, zero });
  }
}

/** What a carrier's operand is: the data it passes on, or sizes, axes and indices that steer it. */
function carriedStanding(
  operator: Operator | undefined,
  node: Node,
  index: number,
  passed: Standing,
): Standing {
  if (passed === 'setting' || operator?.settings?.includes(index) === true) return 'setting';
  if (operator?.family === 'constant') return 'setting';
  const joins = node.op === 'Concat' || node.op === 'CONCATENATION' || node.op === 'PACK';
  return index === 0 || joins ? passed : 'operand';
}

type Source =
  | { readonly constant: Tensor; readonly quantization: Quantization | undefined }
  | { readonly producer: Node; readonly scope: Scope };

/** The constant or the node behind a name, in this scope or an enclosing one. */
function sourceOf(id: ValueId, scope: Scope): Source | undefined {
  for (let at: Scope | undefined = scope; at !== undefined; at = at.outer) {
    const value = at.graph.values.get(id);
    if (value?.constant !== undefined) return { constant: value.constant, quantization: value.quantization };
    const producer = indexOf(at.graph).producer.get(id);
    if (producer !== undefined) return { producer, scope: at };
  }
  return undefined;
}

/** Elements of a weight that the file describes by its shape only. */
function filledElements(node: Node, { as, scope }: Trace): number {
  const output = node.outputs[0];
  const made = typeof output === 'string' ? lookUp(scope, output) : undefined;
  const dtype = made && dtypeOf(made);
  if (made === undefined || dtype === undefined || !isFloat(dtype) || as === 'setting') return 0;
  const shape = shapeOf(made);
  return shape?.length === 0 ? 0 : (elementCount(shape) ?? 0);
}

/** The zero point of a dequantization; the first one when there is one per channel. */
function zeroPointOf(node: Node, scope: Scope): number {
  const id = node.inputs[2];
  const point = typeof id === 'string' && id !== '' ? lookUp(scope, id)?.content?.[0] : undefined;
  return typeof point === 'number' ? point : 0;
}

/** An embedding's role says nothing about its type: tables of indices are looked up in the same way. */
function standing(operator: Operator | undefined, node: Node, index: number, model: Model): Standing {
  const roles = operator?.weights?.(node, model) ?? [];
  const weighty = roles.some(
    (role) => role.bias === index || (role.input === index && role.kind !== 'embedding'),
  );
  if (weighty) return 'weight';
  return operator?.settings?.includes(index) === true ? 'setting' : 'operand';
}

/**
 * Integer operands are indices and shapes unless a role or a scale makes them weights; a scalar float is a number in
 * a formula (an exponent, an epsilon), not something that was learned.
 */
function isWeight(tensor: Tensor, as: Standing): boolean {
  if (as === 'setting') return false;
  if (as === 'weight' || as === 'quantized') return tensor.dtype !== 'string' && tensor.dtype !== 'bool';
  return isFloat(tensor.dtype) && tensor.dims.length > 0;
}

/** Tensors over the same bytes are one weight. */
function storageOf(tensor: Tensor): object {
  return tensor.data.length > 0 ? tensor.data : tensor;
}

function storedBytes(tensor: Tensor): number {
  if (tensor.strings !== undefined) return tensor.strings.reduce((sum, text) => sum + text.length, 0);
  return tensor.data.storedLength ?? tensor.data.length;
}

/** Stored bytes of all constants of a model, shared ones once, read or not. */
export function allWeightBytes(model: Model): number {
  const seen = new Set<object>();
  let bytes = 0;
  const add = (tensor: Tensor | undefined) => {
    if (tensor === undefined || seen.has(storageOf(tensor))) return;
    seen.add(storageOf(tensor));
    bytes += storedBytes(tensor);
  };
  for (const graph of graphsOf(model)) {
    for (const value of graph.values.values()) add(value.constant);
    for (const node of graph.nodes) if (node.op === 'Constant') add(storedTensor(node));
  }
  return bytes;
}
