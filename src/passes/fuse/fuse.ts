import { GraphEditor } from '../../ir/edit.ts';
import type { Graph, Model, Node } from '../../ir/model.ts';
import { withMainGraph } from '../../ir/model.ts';
import { indexOf } from '../../ir/walk.ts';
import type { OptionValues, Pass, PassContext, PassResult } from '../pass.ts';
import { factsOf } from '../support/facts.ts';
import { changedNodes, isOnnxOp, resultOf, withoutConstantInputs } from '../support/graph.ts';
import { readOptions } from '../support/options.ts';
import { fuseActivations } from './activations.ts';
import { foldAffines } from './foldAffine.ts';
import { foldPads } from './pads.ts';

/** Folds what follows a weighted layer linearly into its weights, and what the layer can do itself into the layer. */
export const fuse: Pass = {
  id: 'fuse',
  title: 'Fuse batch norm, bias, padding and activations',
  summary:
    'Folds batch normalization and constant Mul/Add into the weights before them, Pad into Conv, and ReLU into TFLite operators.',
  dialects: ['onnx', 'tflite'],
  exact: true,
  calibration: 'none',
  options: [],
  appliesTo: (node) =>
    isOnnxOp(node, 'BatchNormalization', 'Pad') || ['RELU', 'RELU6', 'RELU_N1_TO_1'].includes(node.op),
  run: runFuse,
};

async function runFuse(model: Model, values: OptionValues, context: PassContext): Promise<PassResult> {
  readOptions(fuse.options, values);
  await context.step(0, 'fuse');
  // A constant listed as input might be overridden by a caller; a folded one cannot be.
  const start: Model = model.dialect === 'onnx' ? withoutConstantInputs(model) : model;
  const { layers } = context;
  const near = layers && withNeighbours(start.graphs[0], layers);
  const allowed = (node: Node) => near === undefined || near.has(node.id);
  const facts = factsOf(start);
  const notes: string[] = [];
  let graph: Graph = start.graphs[0];
  // Folding a pad or an activation can bring two foldable operators together, so go on until nothing applies.
  for (let before: Graph | undefined; before !== graph; ) {
    before = graph;
    const current = withMainGraph(start, graph);
    const affine = new GraphEditor(graph, current);
    const { missing } = foldAffines(current, graph, facts, affine, allowed);
    graph = affine.finish();
    if (missing > 0 && notes.length === 0)
      notes.push(`${missing} layers stay as they are: their weights are missing`);
    const rest = new GraphEditor(graph, withMainGraph(start, graph));
    if (start.dialect === 'onnx') foldPads(graph, facts, rest, allowed);
    else fuseActivations(graph, rest, allowed);
    graph = rest.finish();
  }
  if (graph === start.graphs[0]) return resultOf(model, model, [], notes);
  const fused = withMainGraph(start, graph);
  return resultOf(model, fused, changedNodes(model.graphs[0], graph), notes);
}

/** Asked for one layer, a fusion needs its partner too: the neighbours of the chosen layers take part. */
function withNeighbours(graph: Graph, layers: ReadonlySet<string>): ReadonlySet<string> {
  const { producer, uses, node } = indexOf(graph);
  const near = new Set(layers);
  for (const id of layers) {
    const chosen = node.get(id);
    for (const input of chosen?.inputs ?? []) if (input !== null) near.add(producer.get(input)?.id ?? id);
    for (const output of chosen?.outputs ?? []) {
      if (output !== null) for (const use of uses.get(output) ?? []) near.add(use.node.id);
    }
  }
  return near;
}
