import { GraphEditor } from '../../ir/edit.ts';
import type { Graph, Node, OnnxModel, ValueId } from '../../ir/model.ts';
import { withMainGraph } from '../../ir/model.ts';
import { readFloats, sizeOf } from '../../ir/numbers.ts';
import { indexOf } from '../../ir/walk.ts';
import { withoutDeadCode } from '../simplify/deadCode.ts';
import { constantOf } from '../support/constants.ts';
import { isOnnxOp, soleReader } from '../support/graph.ts';

/**
 * Puts Gelu where exporters write 0.5 x (1 + erf(x / sqrt 2)), in whatever order they multiply (Hendrycks and Gimpel,
 * 2016). Gives how many.
 */
export function fuseGelu(graph: Graph, editor: GraphEditor, allowed: (node: Node) => boolean): number {
  let found = 0;
  for (const node of graph.nodes) {
    if (!isOnnxOp(node, 'Mul') || !allowed(node)) continue;
    const argument = geluArgument(graph, node);
    if (argument === undefined) continue;
    editor.replaceNode(node.id, [{ ...node, op: 'Gelu', inputs: [argument], attributes: new Map() }]);
    found += 1;
  }
  return found;
}

/** The model with Gelu whatever its opset, for formats that have it and no error function. */
export function withGelu(model: OnnxModel): OnnxModel {
  const editor = new GraphEditor(model.graphs[0], model);
  if (fuseGelu(model.graphs[0], editor, () => true) === 0) return model;
  const edited = withMainGraph(model, editor.finish());
  return withMainGraph(
    edited,
    withoutDeadCode(edited, edited.graphs[0], () => true),
  );
}

function geluArgument(graph: Graph, last: Node): ValueId | undefined {
  const factors = last.inputs.flatMap((id) => factorsOf(graph, id));
  if (factors.length !== 3) return undefined;
  const half = factors.find((id) => isNumber(graph, id, 0.5));
  const gate = factors.find((id) => id !== half && gateArgument(graph, id) !== undefined);
  const x = factors.find((id) => id !== half && id !== gate);
  return half !== undefined && gate !== undefined && gateArgument(graph, gate) === x ? x : undefined;
}

/** What is multiplied, through products that nobody else reads. */
function factorsOf(graph: Graph, id: ValueId | null): readonly ValueId[] {
  if (id === null) return [];
  const maker = indexOf(graph).producer.get(id);
  if (maker === undefined || !isOnnxOp(maker, 'Mul') || soleReader(graph, id) === undefined) return [id];
  return maker.inputs.flatMap((input) => factorsOf(graph, input));
}

/** The x of 1 + erf(x / sqrt 2). */
function gateArgument(graph: Graph, id: ValueId): ValueId | undefined {
  const { producer } = indexOf(graph);
  const sum = producer.get(id);
  if (sum === undefined || !isOnnxOp(sum, 'Add')) return undefined;
  const other = besideNumber(graph, sum, 1);
  const erf = other === undefined ? undefined : producer.get(other);
  const scaled = erf !== undefined && isOnnxOp(erf, 'Erf') ? producer.get(erf.inputs[0] ?? '') : undefined;
  if (scaled === undefined) return undefined;
  if (isOnnxOp(scaled, 'Mul')) return besideNumber(graph, scaled, Math.SQRT1_2);
  const divided = isOnnxOp(scaled, 'Div') && isNumber(graph, scaled.inputs[1], Math.SQRT2);
  return divided ? (scaled.inputs[0] ?? undefined) : undefined;
}

function besideNumber(graph: Graph, node: Node, number: number): ValueId | undefined {
  const index = node.inputs.findIndex((id) => isNumber(graph, id, number));
  return index < 0 ? undefined : (node.inputs[1 - index] ?? undefined);
}

function isNumber(graph: Graph, id: ValueId | null | undefined, number: number): boolean {
  const tensor = constantOf(graph, id);
  if (tensor === undefined || sizeOf(tensor) !== 1) return false;
  return Math.abs((readFloats(tensor)[0] as number) - number) < 1e-4;
}
