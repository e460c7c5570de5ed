import { intAttribute, intsAttribute } from '../../ir/attribute.ts';
import type { GraphEditor } from '../../ir/edit.ts';
import type { Graph, Node, OnnxModel, ValueId } from '../../ir/model.ts';
import { intTensor } from '../../ir/numbers.ts';
import type { Tensor } from '../../ir/tensor.ts';
import { indexOf } from '../../ir/walk.ts';
import { isBuiltin, readableConstant, reshaped, transposed } from '../support/constants.ts';
import type { Facts } from '../support/facts.ts';
import { isOnnxOp, opsetOf } from '../support/graph.ts';
import { elementwise } from './elementwise.ts';
import { movement } from './movement.ts';
import type { Evaluator, Numbers } from './numbers.ts';
import { countOf, mostGenerated, numbersOf, tensorOf } from './numbers.ts';

/** A folded constant may always be this large; larger ones must not outgrow the constants they were made of. */
const smallBytes = 1024;
/** Above this many elements nothing is computed here; the runtime folds such things when it loads the model. */
const maxElements = 1 << 20;

const evaluators: Readonly<Record<string, Evaluator>> = { ...elementwise, ...movement };

/** Operators that leave the elements where they are: of their first input only the dimensions matter. */
const reshapers = new Set(['Identity', 'Reshape', 'Flatten', 'Squeeze', 'Unsqueeze']);

interface Folded {
  readonly tensor: Tensor;
  /** Bytes of stored constants that would no longer be needed; an upper bound when paths share a constant. */
  readonly freed: number;
}

/**
 * Replaces what can be computed now by constants: shapes, shape arithmetic and operators on constants. A result that
 * would make the file larger stays computed.
 */
export function foldConstants(
  model: OnnxModel,
  facts: Facts,
  editor: GraphEditor,
  allowed: (node: Node) => boolean,
): void {
  const graph = model.graphs[0];
  const folded = new Map<ValueId, Folded>();
  const candidates: Node[] = [];
  for (const node of graph.nodes) {
    if (!allowed(node) || node.op === 'Constant') continue;
    const results = evaluate(model, graph, facts, folded, node);
    if (results === undefined) continue;
    candidates.push(node);
    node.outputs.forEach((id, i) => {
      if (id !== null) folded.set(id, results[i] as Folded);
    });
  }
  materialise(graph, candidates, folded, editor);
}

/** Walks back from the readers: a folded value becomes a constant only where somebody outside still reads it. */
function materialise(
  graph: Graph,
  candidates: readonly Node[],
  folded: ReadonlyMap<ValueId, Folded>,
  editor: GraphEditor,
): void {
  const { uses, isOutput } = indexOf(graph);
  const removed = new Set<Node>();
  for (const node of candidates.toReversed()) {
    const needed = node.outputs.filter((id): id is ValueId => {
      if (id === null) return false;
      return isOutput.has(id) || (uses.get(id) ?? []).some((use) => !removed.has(use.node));
    });
    const fits = needed.every((id) => {
      const { tensor, freed } = folded.get(id) as Folded;
      return !isOutput.has(id) && tensor.data.length <= Math.max(smallBytes, freed);
    });
    if (!fits) continue;
    removed.add(node);
    editor.removeNode(node.id);
    for (const id of needed) {
      const { tensor } = folded.get(id) as Folded;
      const value = editor.value(id) ?? { id, name: id };
      editor.setValue({
        ...value,
        type: { kind: 'tensor', dtype: tensor.dtype, shape: tensor.dims },
        constant: tensor,
      });
    }
  }
}

function evaluate(
  model: OnnxModel,
  graph: Graph,
  facts: Facts,
  folded: ReadonlyMap<ValueId, Folded>,
  node: Node,
): readonly Folded[] | undefined {
  if (!isBuiltin(node)) return undefined;
  const shape = shapeOf(facts, node);
  if (shape !== undefined) return [{ tensor: shape, freed: 0 }];
  const known = node.outputs.map((id) => contentTensor(facts, id));
  if (known.every((tensor) => tensor !== undefined)) return known.map((tensor) => ({ tensor, freed: 0 }));
  const inputs: (Tensor | undefined)[] = [];
  let freed = 0;
  for (const id of node.inputs) {
    if (id === null) {
      inputs.push(undefined);
      continue;
    }
    const constant = folded.get(id)?.tensor ?? readableConstant(graph, id);
    const moved = inputs.length === 0 && (node.op === 'Transpose' || reshapers.has(node.op));
    if (constant === undefined || (countOf(constant.dims) > maxElements && !moved)) return undefined;
    inputs.push(constant);
    if (indexOf(graph).uses.get(id)?.length === 1) freed += folded.get(id)?.freed ?? constant.data.length;
  }
  return compute(model, node, inputs)?.map((tensor) => ({ tensor, freed }));
}

/** `Shape` and `Size` need no constant input, only a static type. */
function shapeOf(facts: Facts, node: Node): Tensor | undefined {
  if (!isOnnxOp(node, 'Shape', 'Size')) return undefined;
  const dims = facts.dimsOf(node.inputs[0]);
  if (dims === undefined) return undefined;
  if (node.op === 'Size') return intTensor('int64', [], [countOf(dims)]);
  const end = node.attributes.has('end') ? intAttribute(node, 'end', 0) : undefined;
  const part = dims.slice(intAttribute(node, 'start', 0), end);
  return intTensor('int64', [part.length], part);
}

/** What shape inference found out about a small integer tensor, even where it follows from a symbolic shape. */
function contentTensor(facts: Facts, id: ValueId | null): Tensor | undefined {
  const content = facts.contentOf(id);
  if (content === undefined) return undefined;
  const dims = facts.dimsOf(id);
  const dtype = facts.dtypeOf(id);
  if (dims === undefined || (dtype !== 'int64' && dtype !== 'int32')) return undefined;
  const values = content.filter((value) => typeof value === 'number');
  const whole = values.length === content.length && values.length === countOf(dims);
  return whole && values.every(Number.isSafeInteger) ? intTensor(dtype, dims, values) : undefined;
}

function compute(
  model: OnnxModel,
  node: Node,
  inputs: readonly (Tensor | undefined)[],
): readonly Tensor[] | undefined {
  const [first] = inputs;
  if (node.op === 'ConstantOfShape') return constantOfShape(node, first);
  if (node.op === 'Transpose' && first !== undefined && first.strings === undefined) {
    const perm = intsAttribute(node, 'perm') ?? first.dims.map((_, i) => first.dims.length - 1 - i);
    const bytesPerElement = first.data.length / countOf(first.dims);
    return Number.isInteger(bytesPerElement) ? [transposed(first, perm)] : undefined;
  }
  const evaluator = evaluators[node.op];
  if (evaluator === undefined || node.attributes.has('reduction')) return undefined;
  const stays = reshapers.has(node.op) ? first : undefined;
  const results = evaluator({
    inputs: inputs.map((tensor, i) => {
      const dimsOnly = i === 0 && stays !== undefined;
      return dimsOnly ? { ...stays, values: new Float64Array() } : tensor && numbersOf(tensor);
    }),
    int: (name, fallback) => intAttribute(node, name, fallback),
    ints: (name) => intsAttribute(node, name),
    opset: opsetOf(model),
    outputs: node.outputs.length,
  });
  if (stays !== undefined) return results?.map(({ dims }) => reshaped(stays, dims));
  return results && allTensors(results, node.outputs.length);
}

function allTensors(results: readonly Numbers[], outputs: number): readonly Tensor[] | undefined {
  const tensors = results.map((result) =>
    result.values.length <= maxElements ? tensorOf(result) : undefined,
  );
  const complete = tensors.filter((tensor) => tensor !== undefined);
  return complete.length === outputs ? complete : undefined;
}

function constantOfShape(node: Node, shape: Tensor | undefined): readonly Tensor[] | undefined {
  const dims = shape && numbersOf(shape);
  if (dims === undefined || countOf(Array.from(dims.values)) > mostGenerated) return undefined;
  const attribute = node.attributes.get('value');
  const fill = attribute?.kind === 'tensor' ? numbersOf(attribute.value) : undefined;
  if (attribute !== undefined && fill === undefined) return undefined;
  const to = Array.from(dims.values);
  const values = new Float64Array(countOf(to)).fill(fill?.values[0] ?? 0);
  const tensor = tensorOf({ dtype: fill?.dtype ?? 'float32', dims: to, values });
  return tensor && [tensor];
}
