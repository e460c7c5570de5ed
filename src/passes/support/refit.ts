import { floatAttribute } from '../../ir/attribute.ts';
import { GraphEditor } from '../../ir/edit.ts';
import type { Graph, Model, Node, ValueId } from '../../ir/model.ts';
import { withMainGraph } from '../../ir/model.ts';
import { floatTensor, readFloats } from '../../ir/numbers.ts';
import { indexOf } from '../../ir/walk.ts';
import type { CrossMoments, InputMoments } from '../pass.ts';
import { choleskyOf, damped, solveCholesky } from './cholesky.ts';
import { readableConstant } from './constants.ts';
import type { DenseLayer } from './denseLayer.ts';
import { biasOf, matrixOf } from './denseLayer.ts';
import { isOnnxOp, soleReader } from './graph.ts';

/** What new weights of a layer should come close to, and what an error costs. */
export interface Target {
  /** W, or W fitted by least squares to what the inputs have become; `outputs` x `inputs`. */
  readonly weights: Float64Array;
  /** Per group, `inputs` x `inputs`: e H eT is the squared error that an error e of a row makes at the output. */
  readonly costs: readonly Float64Array[];
  /** Mean output of the original layer, its bias left out. */
  readonly mean: Float64Array;
  /** Mean input now, `groups` x `inputs`. */
  readonly inputMean: Float64Array;
}

/** Ridge of the fit, as a share of the mean diagonal: towards the weights as they are. */
const ridge = 1e-3;

/**
 * The least-squares problem of one layer. With `centred` a constant shift of the outputs is free, as a bias takes it up:
 * covariances stand in the place of second moments. Given cross moments, the weights are fitted to the original
 * layer's outputs on the inputs of now (the asymmetric form of GPTQ, as in arXiv 2504.02692).
 */
export function targetOf(layer: DenseLayer, moments: InputMoments | CrossMoments, centred: boolean): Target {
  const { outputs: o, inputs: d, groups } = layer;
  const original = matrixOf(layer);
  const weights = original.slice();
  const mean = new Float64Array(o);
  const costs: Float64Array[] = [];
  const rows = o / groups;
  const references = 'cross' in moments ? moments.referenceMean : moments.mean;
  for (let g = 0; g < groups; g += 1) {
    const own = moments.mean.subarray(g * d, (g + 1) * d);
    const reference = references.subarray(g * d, (g + 1) * d);
    const gram = moments.gram.subarray(g * d * d, (g + 1) * d * d);
    const cost = centred ? minusProduct(gram, own, own) : gram.slice();
    shrink(cost, d, d / (d + moments.count));
    costs.push(cost);
    const mine = weights.subarray(g * rows * d, (g + 1) * rows * d);
    addProducts(mean.subarray(g * rows, (g + 1) * rows), mine, reference);
    if (!('cross' in moments)) continue;
    const cross = moments.cross.subarray(g * d * d, (g + 1) * d * d);
    const seen = centred ? minusProduct(gram, own, own) : gram;
    const wanted = centred ? minusProduct(cross, reference, own) : cross;
    fit(mine, seen, wanted, d, moments.count);
  }
  return { weights, costs, mean, inputMean: moments.mean };
}

/** Takes a share of what stands beside the diagonal away: as many vectors as elements say little of correlations. */
function shrink(matrix: Float64Array, d: number, share: number): void {
  for (let i = 0; i < d; i += 1)
    for (let j = 0; j < d; j += 1)
      if (i !== j) matrix[i * d + j] = (matrix[i * d + j] as number) * (1 - share);
}

function minusProduct(a: Float64Array, left: Float64Array, right: Float64Array): Float64Array {
  const d = left.length;
  const less = a.slice();
  for (let i = 0, at = 0; i < d; i += 1) {
    const factor = left[i] as number;
    for (let j = 0; j < d; j += 1, at += 1) less[at] = (less[at] as number) - factor * (right[j] as number);
  }
  return less;
}

function addProducts(into: Float64Array, rows: Float64Array, vector: Float64Array): void {
  const d = vector.length;
  for (let r = 0; r < into.length; r += 1)
    for (let i = 0; i < d; i += 1)
      into[r] = (into[r] as number) + (rows[r * d + i] as number) * (vector[i] as number);
}

/** W += W (cross - now) (now + ridge)^-1, in place; the less of it, the fewer vectors there are for each element. */
function fit(rows: Float64Array, now: Float64Array, cross: Float64Array, d: number, count: number): void {
  const trust = 1 - d / count;
  if (trust <= 0) return;
  const factor = choleskyOf(damped(now, d, Math.max(ridge, (0.1 * d) / count)), d);
  for (let start = 0; start < rows.length; start += d) {
    const row = rows.subarray(start, start + d);
    const wanted = new Float64Array(d);
    for (let i = 0; i < d; i += 1) {
      const weight = row[i] as number;
      if (weight === 0) continue;
      for (let j = 0; j < d; j += 1)
        wanted[j] =
          (wanted[j] as number) + weight * ((cross[i * d + j] as number) - (now[i * d + j] as number));
    }
    solveCholesky(factor, d, wanted);
    for (let i = 0; i < d; i += 1) row[i] = (row[i] as number) + trust * (wanted[i] as number);
  }
}

/** What the bias has to gain so that the mean output of `matrix` is the original's. */
export function shiftOf(layer: DenseLayer, target: Target, matrix: Float64Array): Float64Array {
  const rows = layer.outputs / layer.groups;
  const d = layer.inputs;
  return target.mean.map((wanted, o) => {
    const group = Math.floor(o / rows);
    let seen = 0;
    for (let i = 0; i < d; i += 1)
      seen += (matrix[o * d + i] as number) * (target.inputMean[group * d + i] as number);
    return wanted - seen;
  });
}

/** Whether a constant can be added to the layer's outputs without another operator. */
export function takesShift(graph: Graph, layer: DenseLayer): boolean {
  if (layer.node.op === 'MatMul') return addedConstant(graph, layer) !== undefined;
  return biasOf(graph, layer) !== undefined;
}

/** The Add behind a MatMul that adds one constant per output. */
function addedConstant(graph: Graph, { node, outputs }: DenseLayer) {
  const reader = soleReader(graph, node.outputs[0]);
  if (reader === undefined || !isOnnxOp(reader, 'Add')) return undefined;
  const side = reader.inputs.findIndex((id) => id !== node.outputs[0]);
  const tensor = readableConstant(graph, reader.inputs[side]);
  const fits = tensor?.dtype === 'float32' && tensor.dims.length === 1 && tensor.dims[0] === outputs;
  return fits ? { reader, side, floats: readFloats(tensor) } : undefined;
}

export interface LayerChange {
  readonly layer: DenseLayer;
  /** The new weights, `outputs` x `inputs`. */
  readonly matrix: Float64Array;
  /** What is added to the outputs; only where `takesShift`. */
  readonly shift?: Float64Array;
}

/** The model with other weights, and biases, in some layers; the layers keep their ids. */
export function withWeights<M extends Model>(model: M, changes: readonly LayerChange[]): M {
  const graph = model.graphs[0];
  const editor = new GraphEditor(graph, model);
  for (const { layer, matrix, shift } of changes) {
    const tensor = floatTensor(layer.weight.dims, Float32Array.from(storedOrder(layer, matrix)));
    let node: Node = { ...layer.node, inputs: placed(layer.node, 1, storeIn(graph, editor, layer, tensor)) };
    if (shift !== undefined && layer.node.op === 'MatMul') shiftSum(graph, editor, layer, shift);
    else if (shift !== undefined) node = shifted(graph, editor, layer, node, shift);
    editor.replaceNode(node.id, [node]);
  }
  return withMainGraph(model, editor.finish());
}

/** Elements of a matrix `outputs` x `inputs` in the order in which the layer stores them. */
export function storedOrder(
  { outputs, inputs, outputsFirst }: Pick<DenseLayer, 'outputs' | 'inputs' | 'outputsFirst'>,
  matrix: ArrayLike<number>,
): ArrayLike<number> {
  if (outputsFirst) return matrix;
  return Float64Array.from(
    { length: outputs * inputs },
    (_, i) => matrix[(i % outputs) * inputs + Math.floor(i / outputs)] as number,
  );
}

/** In the place of the old weight when nobody else reads it. */
function storeIn(
  graph: Graph,
  editor: GraphEditor,
  { weightId, node }: DenseLayer,
  tensor: ReturnType<typeof floatTensor>,
): ValueId {
  const value = graph.values.get(weightId);
  const { uses, isOutput } = indexOf(graph);
  const others = (uses.get(weightId) ?? []).some((use) => use.node.id !== node.id);
  if (value?.constant === undefined || others || isOutput.has(weightId))
    return editor.addConstant(weightId, tensor);
  editor.setValue({ ...value, constant: tensor });
  return weightId;
}

function placed(node: Node, index: number, id: ValueId): readonly (ValueId | null)[] {
  const inputs = [...node.inputs];
  while (inputs.length <= index) inputs.push(null);
  inputs[index] = id;
  return inputs;
}

function shiftSum(graph: Graph, editor: GraphEditor, layer: DenseLayer, shift: Float64Array): void {
  const sum = addedConstant(graph, layer);
  if (sum === undefined) return;
  const floats = sum.floats.map((value, i) => value + (shift[i] as number));
  const id = editor.addConstant(`${layer.weightId}_bias`, floatTensor([layer.outputs], floats));
  const { reader } = sum;
  editor.replaceNode(reader.id, [{ ...reader, inputs: placed(reader, sum.side, id) }]);
}

function shifted(
  graph: Graph,
  editor: GraphEditor,
  layer: DenseLayer,
  node: Node,
  shift: Float64Array,
): Node {
  const scale = node.op === 'Gemm' ? floatAttribute(node, 'alpha', 1) : 1;
  const bias = biasOf(graph, layer) ?? new Float64Array(layer.outputs);
  const floats = Float32Array.from(bias, (value, i) => value + scale * (shift[i] as number));
  const tensor = floatTensor([layer.outputs], floats);
  const id = editor.addConstant(`${node.inputs[2] ?? `${layer.weightId}_bias`}`, tensor);
  const attributes = new Map(node.attributes);
  // `biasOf` has the factor in it already.
  if (node.op === 'Gemm') attributes.delete('beta');
  return { ...node, attributes, inputs: placed(node, 2, id) };
}
