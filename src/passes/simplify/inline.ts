import { bodiesOf } from '../../ir/attribute.ts';
import type { GraphEditor } from '../../ir/edit.ts';
import type { Graph, Node, ValueId } from '../../ir/model.ts';
import { readableConstant } from '../support/constants.ts';
import { isOnnxOp } from '../support/graph.ts';
import { numbersOf } from './numbers.ts';

/** Puts the taken branch of every `If` whose condition is a constant in its place. */
export function inlineBranches(graph: Graph, editor: GraphEditor, allowed: (node: Node) => boolean): boolean {
  let inlined = false;
  for (const node of graph.nodes) {
    if (!isOnnxOp(node, 'If') || !allowed(node)) continue;
    const condition = readableConstant(graph, node.inputs[0]);
    const taken = condition && numbersOf(condition)?.values[0];
    if (taken === undefined) continue;
    const body = node.attributes.get(taken === 0 ? 'else_branch' : 'then_branch');
    if (body?.kind !== 'graph') continue;
    inlined = inlineBody(node, body.value, editor) || inlined;
  }
  return inlined;
}

function inlineBody(node: Node, body: Graph, editor: GraphEditor): boolean {
  const names = new Map<ValueId, ValueId>();
  const own = new Set<ValueId>();
  for (const value of body.values.values()) if (value.constant !== undefined) own.add(value.id);
  for (const each of body.nodes) for (const id of each.outputs) if (id !== null) own.add(id);
  const clashes = [...own].some((id) => editor.value(id) !== undefined);
  // A renamed value would have to be renamed in deeper bodies too; exporters make unique names, so this is rare.
  if (clashes && body.nodes.some((each) => bodiesOf(each).length > 0)) return false;
  for (const id of own) {
    const name = editor.freshValue(id);
    names.set(id, name);
    const value = body.values.get(id);
    editor.setValue({ ...value, id: name, name });
  }
  const rename = (id: ValueId | null) => (id === null ? null : (names.get(id) ?? id));
  const nodes = body.nodes.map((each) => ({
    ...each,
    inputs: each.inputs.map(rename),
    outputs: each.outputs.map(rename),
  }));
  const results: Node[] = [];
  node.outputs.forEach((output, i) => {
    const source = body.outputs[i];
    if (output === null || source === undefined) return;
    results.push({
      id: editor.freshNode(`${node.id}/result${i}`),
      name: '',
      op: 'Identity',
      domain: '',
      inputs: [rename(source)],
      outputs: [output],
      attributes: new Map(),
    });
  });
  editor.replaceNode(node.id, [...nodes, ...results]);
  return true;
}
