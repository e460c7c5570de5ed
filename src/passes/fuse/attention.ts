import { attr, intAttribute, intsAttribute } from '../../ir/attribute.ts';
import type { GraphEditor } from '../../ir/edit.ts';
import type { Attribute, Graph, Node, ValueId } from '../../ir/model.ts';
import { floatTensor, readFloats } from '../../ir/numbers.ts';
import { indexOf } from '../../ir/walk.ts';
import { constantOf, readableConstant } from '../support/constants.ts';
import type { Facts } from '../support/facts.ts';
import { isOnnxOp, soleReader } from '../support/graph.ts';
import type { End, Projection, Scores, Sizes } from './attentionParts.ts';
import { endOf, projectionOf, scoresOf, sizesOf } from './attentionParts.ts';
import type { DimsOf } from './moved.ts';
import { dimsWithStandIns } from './moved.ts';

/**
 * Puts ONNX Runtime's Attention (com.microsoft) where exporters write softmax(q kT * scale + mask) v with the projections
 * of one input to query, key and value before it and all the movement between (Vaswani et al. 2017). What is moved where
 * is followed element by element, so that the exporter's way of splitting heads does not matter. Gives how many.
 */
export function fuseAttention(
  graph: Graph,
  facts: Facts,
  editor: GraphEditor,
  allowed: (node: Node) => boolean,
): number {
  const dimsOf = dimsWithStandIns(facts);
  let found = 0;
  for (const softmax of graph.nodes) {
    if (!isOnnxOp(softmax, 'Softmax') || !allowed(softmax)) continue;
    if (replaceAttention(graph, dimsOf, editor, softmax)) found += 1;
  }
  return found;
}

function replaceAttention(graph: Graph, dimsOf: DimsOf, editor: GraphEditor, softmax: Node): boolean {
  const probabilities = softmax.outputs[0] as ValueId;
  const rank = dimsOf(probabilities)?.length ?? 0;
  const axis = intAttribute(softmax, 'axis', -1);
  const context = soleReader(graph, probabilities);
  if (rank < 3 || (axis !== -1 && axis !== rank - 1)) return false;
  if (context === undefined || !isOnnxOp(context, 'MatMul') || context.inputs[0] !== probabilities)
    return false;
  const scores = scoresOf(graph, softmax.inputs[0] as ValueId);
  const sizes = scores && sizesOf(graph, dimsOf, probabilities, context);
  if (scores === undefined || sizes === undefined) return false;
  const parts = [
    projectionOf(graph, dimsOf, scores.left, sizes, 'bhsd'),
    projectionOf(graph, dimsOf, scores.right, sizes, 'bhds'),
    projectionOf(graph, dimsOf, context.inputs[1] as ValueId, sizes, 'bhsd'),
  ];
  const [query] = parts;
  const same = parts.every((part) => part?.x === query?.x && part?.sequenceFirst === query?.sequenceFirst);
  const end = endOf(graph, dimsOf, context.outputs[0] as ValueId, sizes);
  if (query === undefined || !same || end === undefined || !maskFits(dimsOf, scores.mask, sizes))
    return false;
  const weights = joined(graph, editor, parts as Projection[]);
  if (weights === undefined) return false;
  emit(graph, editor, { query, weights, scores, sizes, end });
  return true;
}

function maskFits(dimsOf: DimsOf, mask: ValueId | undefined, { h, s }: Sizes): boolean {
  if (mask === undefined) return true;
  const dims = dimsOf(mask);
  return (
    dims?.length === 4 && dims[0] === 1 && (dims[1] === h || dims[1] === 1) && dims[2] === s && dims[3] === s
  );
}

interface Weights {
  readonly weight: ValueId;
  readonly bias: ValueId;
}

/** Weight and bias with the columns of query, key and value one after another, as they are where they are so already. */
function joined(graph: Graph, editor: GraphEditor, parts: readonly Projection[]): Weights | undefined {
  const [{ weight, bias } = { weight: '', bias: undefined }] = parts;
  const columns = parts.flatMap((part) => [...part.columns]);
  const all = constantOf(graph, weight)?.dims[1];
  const one = parts.every((part) => part.weight === weight && part.bias === bias);
  if (one && columns.length === all && columns.every((column, i) => column === i))
    return { weight, bias: bias ?? zeros(editor, weight, columns.length) };
  const width = parts[0]?.columns.length as number;
  const matrices = parts.map((part) => readableConstant(graph, part.weight));
  if (matrices.some((tensor) => tensor?.dtype !== 'float32')) return undefined;
  const rows = matrices[0]?.dims[0] as number;
  const floats = new Float32Array(rows * 3 * width);
  const shifts = new Float32Array(3 * width);
  for (const [p, part] of parts.entries()) {
    const tensor = matrices[p];
    const added = part.bias === undefined ? undefined : readableConstant(graph, part.bias);
    if (tensor === undefined || (part.bias !== undefined && added?.dtype !== 'float32')) return undefined;
    const from = readFloats(tensor);
    const offsets = added && readFloats(added);
    const stored = tensor.dims[1] as number;
    part.columns.forEach((column, i) => {
      for (let r = 0; r < rows; r += 1) floats[(r * 3 + p) * width + i] = from[r * stored + column] as number;
      shifts[p * width + i] = offsets?.[offsets.length === 1 ? 0 : column] ?? 0;
    });
  }
  return {
    weight: editor.addConstant(`${weight}_qkv`, floatTensor([rows, 3 * width], floats)),
    bias: editor.addConstant(`${weight}_qkv_bias`, floatTensor([3 * width], shifts)),
  };
}

/** ONNX Runtime 1.30 ends the process at an Attention without the bias that its schema calls optional. */
function zeros(editor: GraphEditor, weight: ValueId, count: number): ValueId {
  return editor.addConstant(`${weight}_zeros`, floatTensor([count], new Float32Array(count)));
}

interface Emission {
  readonly query: Projection;
  readonly weights: Weights;
  readonly scores: Scores;
  readonly sizes: Sizes;
  readonly end: End;
}

function emit(graph: Graph, editor: GraphEditor, { query, weights, scores, sizes, end }: Emission): void {
  const nodes: Node[] = [];
  const add = (
    op: string,
    inputs: Node['inputs'],
    output: ValueId,
    attributes: [string, Attribute][],
    domain = '',
  ) => {
    const id = editor.freshNode(`${end.node.id}/${op}`);
    nodes.push({ id, name: id, op, domain, inputs, outputs: [output], attributes: new Map(attributes) });
    return output;
  };
  const swap: [string, Attribute][] = [['perm', attr.ints([1, 0, 2])]];
  const x = query.sequenceFirst
    ? (swapped(graph, query.x) ??
      add('Transpose', [query.x], editor.addValue(`${query.x}_batch_first`), swap))
    : query.x;
  const inputs: (ValueId | null)[] = [x, weights.weight, weights.bias];
  if (scores.mask !== undefined) inputs.push(null, null, scores.mask);
  const attributes: [string, Attribute][] = [['num_heads', attr.int(sizes.h)]];
  if (Math.abs(scores.scale * Math.sqrt(sizes.d) - 1) > 1e-6)
    attributes.push(['scale', attr.float(scores.scale)]);
  const last = !end.sequenceFirst && !end.reshape;
  const heads = last ? end.id : editor.addValue(`${end.id}_heads`);
  add('Attention', inputs, heads, attributes, 'com.microsoft');
  let value = heads;
  if (end.sequenceFirst)
    value = add(
      'Transpose',
      [value],
      end.reshape ? editor.addValue(`${end.id}_sequence_first`) : end.id,
      swap,
    );
  if (end.reshape) nodes.push({ ...end.node, inputs: [value, ...end.node.inputs.slice(1)] });
  editor.replaceNode(end.node.id, nodes);
}

/** What a swap of the first two of three axes reads. */
function swapped(graph: Graph, id: ValueId): ValueId | undefined {
  const node = indexOf(graph).producer.get(id);
  if (node === undefined || !isOnnxOp(node, 'Transpose')) return undefined;
  const perm = intsAttribute(node, 'perm') ?? [];
  return perm.join() === '1,0,2' ? (node.inputs[0] ?? undefined) : undefined;
}
