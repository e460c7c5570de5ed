import type { Subject, TargetRefusal } from './subject.ts';
import type { Analysis } from '../../analysis/report.ts';
import type { Graph, Model, NodeId, ValueId } from '../../ir/model.ts';
import { indexOf } from '../../ir/walk.ts';
import { onnxRefusals } from './onnxRefusals.ts';
import type { TargetRules } from './target.ts';
import { tfliteRefusals } from './tfliteRefusals.ts';

const dialectNames = { onnx: 'ONNX', tflite: 'TFLite' } as const;

/**
 * Everything of the main graph that a target would refuse, in order of the layers. A model without quantized values is only
 * refused by targets that send floats to another processor.
 */
export function targetRefusals(model: Model, analysis: Analysis, rules: TargetRules): TargetRefusal[] {
  const found: TargetRefusal[] = [];
  const graph = model.graphs[0];
  const types = analysis.types.get(graph);
  const subject: Subject = {
    rules,
    model,
    graph,
    dtypeOf(id) {
      if (id == null) return undefined;
      const value = graph.values.get(id);
      const type = types?.get(id) ?? value?.type;
      return value?.constant?.dtype ?? (type?.kind === 'tensor' ? type.dtype : undefined);
    },
    refuse(node, kind, reason) {
      const layer = node?.id ?? '';
      if (!found.some((each) => each.layer === layer && each.reason === reason))
        found.push({ layer, kind, reason });
    },
  };
  if (model.dialect !== rules.dialect) {
    const [takes, given] = [rules.dialect, model.dialect].map((each) => dialectNames[each]);
    subject.refuse(undefined, 'dialect', `it loads ${takes} models, not ${given}; convert this one first`);
    return found;
  }
  checkShapes(subject, types);
  if (model.dialect === 'onnx') onnxRefusals(subject);
  else tfliteRefusals(subject);
  return rules.prefix === true ? withRest(graph, found) : found;
}

function checkShapes(
  { rules, graph, refuse }: Subject,
  types: ReadonlyMap<ValueId, { readonly kind: string }> | undefined,
): void {
  if (rules.staticShapes !== true) return;
  for (const id of graph.inputs) {
    const value = graph.values.get(id);
    const type = value?.type ?? types?.get(id);
    if (value?.constant !== undefined || type === undefined || !('shape' in type)) continue;
    const isFree = !Array.isArray(type.shape) || type.shape.some((dim) => typeof dim !== 'number');
    if (isFree) refuse(undefined, 'shape', `the shape of the input ${id} must be given in numbers`);
  }
}

/** Where only a run of operators from the input on is taken, everything behind the first refusal is left behind too. */
function withRest(graph: Graph, found: readonly TargetRefusal[]): TargetRefusal[] {
  const first = graph.nodes.findIndex((node) =>
    found.some((each) => each.layer === node.id && each.kind !== 'numbers'),
  );
  const cut = graph.nodes[first];
  if (cut === undefined) return [...found];
  const refused = new Set(found.map((each) => each.layer));
  const behind = new Set<NodeId>([cut.id]);
  const { uses } = indexOf(graph);
  for (const node of graph.nodes.slice(first)) {
    if (!behind.has(node.id)) continue;
    for (const output of node.outputs)
      for (const use of output === null ? [] : (uses.get(output) ?? [])) behind.add(use.node.id);
  }
  const reason = `it comes after ${cut.op} ${cut.id}, where the accelerator's part of the model ends`;
  const rest = [...behind].filter((id) => !refused.has(id) && id !== cut.id);
  return [...found, ...rest.map((layer) => ({ layer, kind: 'behind' as const, reason }))];
}
