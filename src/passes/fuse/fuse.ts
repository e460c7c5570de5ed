import { GraphEditor } from '../../ir/edit.ts';
import type { Graph, Model, Node, OnnxModel } from '../../ir/model.ts';
import { withMainGraph } from '../../ir/model.ts';
import { indexOf } from '../../ir/walk.ts';
import type { OptionValues, Pass, PassContext, PassResult } from '../pass.ts';
import { withoutDeadCode } from '../simplify/deadCode.ts';
import { factsOf } from '../support/facts.ts';
import { changedNodes, isOnnxOp, opsetOf, resultOf, withoutConstantInputs } from '../support/graph.ts';
import { readOptions } from '../support/options.ts';
import { fuseActivations } from './activations.ts';
import { fuseAttention } from './attention.ts';
import { foldAffines } from './foldAffine.ts';
import { fuseGelu } from './gelu.ts';
import { fuseLayerNorm } from './layerNorm.ts';
import { foldPads } from './pads.ts';
import { foldSamePads } from './samePads.ts';

/** Folds what follows a weighted layer linearly into its weights, and what the layer can do itself into the layer. */
export const fuse: Pass = {
  id: 'fuse',
  title: 'Fuse batch norm, bias, padding and activations',
  summary:
    'Folds batch normalization and constant Mul/Add into the weights before them, Pad into Conv, and ReLU into TFLite operators; Gelu and LayerNormalization written out become one operator.',
  dialects: ['onnx', 'tflite'],
  exact: true,
  calibration: 'none',
  options: [
    {
      name: 'runtime',
      title:
        'What it will run on: any, or ONNX Runtime, whose own Attention stands in the place of what exporters write out',
      type: 'choice',
      default: 'any',
      choices: ['any', 'onnxruntime'],
    },
  ],
  appliesTo: (node) =>
    isOnnxOp(node, 'BatchNormalization', 'Pad') || ['RELU', 'RELU6', 'RELU_N1_TO_1'].includes(node.op),
  run: runFuse,
};

async function runFuse(model: Model, values: OptionValues, context: PassContext): Promise<PassResult> {
  const options = readOptions(fuse.options, values);
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
    else {
      foldSamePads(graph, facts, rest, allowed);
      fuseActivations(graph, rest, allowed);
    }
    graph = rest.finish();
  }
  if (start.dialect === 'onnx') graph = withFunctions(start, graph, allowed, notes);
  let fused: Model = graph === start.graphs[0] ? start : withMainGraph(start, graph);
  if (options.choice('runtime') === 'onnxruntime') {
    if (fused.dialect === 'onnx') fused = withAttention(fused, allowed, notes);
    else notes.push('ONNX Runtime reads ONNX models: TFLite ones are fused for any runtime');
  }
  if (fused === start) return resultOf(model, model, [], notes);
  return resultOf(model, fused, changedNodes(model.graphs[0], fused.graphs[0]), notes);
}

const contrib = 'com.microsoft';

/** The same value when there is no attention written out. */
function withAttention(model: OnnxModel, allowed: (node: Node) => boolean, notes: string[]): OnnxModel {
  const graph = model.graphs[0];
  const editor = new GraphEditor(graph, model);
  const found = fuseAttention(graph, factsOf(model), editor, allowed);
  if (found === 0) {
    notes.push('no attention was found that one operator of ONNX Runtime computes');
    return model;
  }
  notes.push(`${found} Attention of ONNX Runtime in place of their parts; other runtimes do not read them`);
  const opsets = new Map(model.opsets).set(contrib, model.opsets.get(contrib) ?? 1);
  const edited = withMainGraph({ ...model, opsets }, editor.finish());
  return withMainGraph(edited, withoutDeadCode(edited, edited.graphs[0], allowed));
}

/** Opsets that have an operator for what older ones write out; runtimes find older forms while loading. */
const since = { layerNormalization: 17, gelu: 20 };

function withFunctions(
  model: OnnxModel,
  graph: Graph,
  allowed: (node: Node) => boolean,
  notes: string[],
): Graph {
  const opset = opsetOf(model);
  if (opset < since.layerNormalization) return graph;
  const current = withMainGraph(model, graph);
  const editor = new GraphEditor(graph, current);
  const norms = fuseLayerNorm(graph, factsOf(current), editor, allowed);
  const gelus = opset >= since.gelu ? fuseGelu(graph, editor, allowed) : 0;
  if (norms + gelus === 0) return graph;
  notes.push(`${norms} LayerNormalization and ${gelus} Gelu in place of their parts`);
  const edited = withMainGraph(current, editor.finish());
  return withoutDeadCode(edited, edited.graphs[0], allowed);
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
