import { GraphEditor } from '../../ir/edit.ts';
import type { Node, OnnxModel, ValueId } from '../../ir/model.ts';
import { withMainGraph } from '../../ir/model.ts';
import { indexOf } from '../../ir/walk.ts';
import { withoutDeadCode } from '../simplify/deadCode.ts';
import { isBuiltin } from '../support/constants.ts';

/**
 * Without the rounding of activations over the range of each run: TFLite's own kernels do it wherever weights are codes.
 * Finds DynamicQuantizeLinear with its DequantizeLinear, and the rows that the conversion to ONNX writes out. Gives the
 * model itself when there is none.
 */
export function withoutDynamicRounding(model: OnnxModel): OnnxModel {
  const [graph] = model.graphs;
  const { producer } = indexOf(graph);
  const made = (id: ValueId | null | undefined, op: string): Node | undefined => {
    const node = id == null ? undefined : producer.get(id);
    return node !== undefined && isBuiltin(node) && node.op === op ? node : undefined;
  };
  const editor = new GraphEditor(graph, model);
  for (const node of graph.nodes) {
    if (!isBuiltin(node)) continue;
    const source =
      node.op === 'DequantizeLinear' ? rounded(node, made) : node.op === 'Div' ? row(node, made) : null;
    if (source == null) continue;
    editor.removeNode(node.id);
    editor.replaceUses(node.outputs[0] as ValueId, source);
  }
  const bare = editor.finish();
  return bare === graph
    ? model
    : withMainGraph(
        model,
        withoutDeadCode(model, bare, () => true),
      );
}

type Made = (id: ValueId | null | undefined, op: string) => Node | undefined;

function rounded(node: Node, made: Made): ValueId | null | undefined {
  return made(node.inputs[0], 'DynamicQuantizeLinear')?.inputs[0];
}

/** min(max(round(value * factor), first), last) / factor. */
function row(node: Node, made: Made): ValueId | null | undefined {
  const [kept, factor] = node.inputs;
  const above = made(made(kept, 'Min')?.inputs[0], 'Max');
  const scaled = made(made(above?.inputs[0], 'Round')?.inputs[0], 'Mul');
  return scaled !== undefined && scaled.inputs[1] === factor ? scaled.inputs[0] : undefined;
}
