import { GraphEditor } from '../../ir/edit.ts';
import type { Graph, Model, Node, ValueId } from '../../ir/model.ts';
import { withMainGraph } from '../../ir/model.ts';
import { indexOf } from '../../ir/walk.ts';
import type { OptionValues, Pass, PassContext, PassResult } from '../pass.ts';
import { tensorOfConstant } from '../support/constants.ts';
import type { Facts } from '../support/facts.ts';
import { factsOf } from '../support/facts.ts';
import { changedNodes, isOnnxOp, resultOf, withoutConstantInputs } from '../support/graph.ts';
import { readOptions } from '../support/options.ts';
import { withoutDeadCode } from './deadCode.ts';
import { shareComputations, shareConstants } from './duplicates.ts';
import { foldConstants } from './fold.ts';
import { passedThrough, shortened, undoneDequantize, undoneReshape } from './identities.ts';
import { inlineBranches } from './inline.ts';

/** Rounds after which even a chain of simplifications that enable each other is left alone. */
const maxRounds = 64;

type Allowed = (node: Node) => boolean;

/** Removes what computes nothing new: no-ops, repeated and dead computations, and what is known beforehand. */
export const simplify: Pass = {
  id: 'simplify',
  title: 'Simplify the graph',
  summary:
    'Removes operators that do nothing, dead and repeated computations, and computes beforehand what is already known.',
  dialects: ['onnx', 'tflite'],
  exact: true,
  calibration: 'none',
  options: [],
  run: runSimplify,
};

async function runSimplify(model: Model, values: OptionValues, context: PassContext): Promise<PassResult> {
  readOptions(simplify.options, values);
  const allowed: Allowed = (node) => context.layers === undefined || context.layers.has(node.id);
  // Constants that are listed as inputs are constants to us; taking them off the list is part of any change.
  const start = model.dialect === 'onnx' ? withoutConstantInputs(model) : model;
  let current: Model = start;
  for (let round = 0; round < maxRounds; round += 1) {
    await context.step(round / maxRounds, `simplify, round ${round + 1}`);
    const next = simplifyOnce(current, factsOf(current), allowed);
    if (next === current) break;
    current = next;
  }
  if (current === start) return resultOf(model, model, [], []);
  const unused = unusedConstants(model.graphs[0]);
  const notes = unused > 0 ? [`${unused} unused constants removed`] : [];
  return resultOf(model, current, changedNodes(model.graphs[0], current.graphs[0]), notes);
}

function unusedConstants(graph: Graph): number {
  const { uses, isOutput } = indexOf(graph);
  let count = 0;
  for (const { id, constant } of graph.values.values()) {
    if (constant !== undefined && !uses.has(id) && !isOutput.has(id)) count += 1;
  }
  return count;
}

/** One round of every simplification; the same model when none applied. */
function simplifyOnce<M extends Model>(model: M, facts: Facts, allowed: Allowed): M {
  const steps: ((graph: Graph) => Graph)[] = [];
  const edit = (change: (current: M, graph: Graph, editor: GraphEditor) => void) => {
    steps.push((graph) => {
      const current = withMainGraph(model, graph);
      const editor = new GraphEditor(graph, current);
      change(current, graph, editor);
      return editor.finish();
    });
  };
  if (model.dialect === 'onnx') {
    edit((_, graph, editor) => constantsToInitializers(graph, editor, allowed));
    edit((current, _, editor) => {
      if (current.dialect === 'onnx') foldConstants(current, facts, editor, allowed);
    });
    edit((_, graph, editor) => void inlineBranches(graph, editor, allowed));
  }
  edit((current, graph, editor) => removeIdentities(current, graph, facts, editor, allowed));
  edit((_, graph, editor) => void shareConstants(graph, editor));
  edit((current, graph, editor) => void shareComputations(current, graph, editor, allowed));
  steps.push((graph) => withoutDeadCode(withMainGraph(model, graph), graph, allowed));
  const graph = steps.reduce((before, step) => step(before), model.graphs[0] as Graph);
  return withMainGraph(model, graph);
}

/** `Constant` nodes become initializers, which every runtime and every other pass understands at once. */
function constantsToInitializers(graph: Graph, editor: GraphEditor, allowed: Allowed): void {
  const { isOutput } = indexOf(graph);
  for (const node of graph.nodes) {
    const output = node.outputs[0];
    if (!isOnnxOp(node, 'Constant') || output == null || isOutput.has(output) || !allowed(node)) continue;
    const tensor = tensorOfConstant(node);
    if (tensor === undefined) continue;
    const value = editor.value(output) ?? { id: output, name: output };
    const type = { kind: 'tensor', dtype: tensor.dtype, shape: tensor.dims } as const;
    editor.setValue({ ...value, type, constant: tensor });
    editor.removeNode(node.id);
  }
}

function removeIdentities(
  model: Model,
  graph: Graph,
  facts: Facts,
  editor: GraphEditor,
  allowed: Allowed,
): void {
  const view = { model, graph, facts };
  const renamed = new Map<ValueId, ValueId>();
  for (const node of graph.nodes) {
    const output = node.outputs[0];
    if (output == null || !allowed(node)) continue;
    const through = passedThrough(view, node);
    const source =
      through === undefined
        ? (undoneReshape(view, node) ?? undoneDequantize(view, node))
        : node.inputs[through];
    if (source != null) {
      bypass(graph, editor, node, source, output, renamed);
      continue;
    }
    const shorter = shortened(view, node);
    if (shorter !== undefined) editor.replaceNode(node.id, [shorter]);
  }
}

/**
 * Lets readers of `output` read `source`. A graph output keeps its name: then the source takes that name instead,
 * which is only possible for the result of a node that nobody else outside the graph knows.
 */
function bypass(
  graph: Graph,
  editor: GraphEditor,
  node: Node,
  source: ValueId,
  output: ValueId,
  renamed: Map<ValueId, ValueId>,
): void {
  const { producer, isOutput } = indexOf(graph);
  if (!isOutput.has(output)) {
    editor.replaceUses(output, source);
    editor.removeNode(node.id);
    return;
  }
  const maker = producer.get(source);
  // One renaming per round and value: the next round sees the result.
  if (maker === undefined || isOutput.has(source) || renamed.has(source) || editor.changed.has(maker.id))
    return;
  if (editor.resolve(source) !== source) return;
  renamed.set(source, output);
  editor.replaceNode(maker.id, [
    { ...maker, outputs: maker.outputs.map((id) => (id === source ? output : id)) },
  ]);
  editor.replaceUses(source, output);
  editor.removeNode(node.id);
}
