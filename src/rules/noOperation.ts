import type { Node } from '../ir/model.ts';
import type { View } from '../passes/simplify/identities.ts';
import { passedThrough, undoneReshape } from '../passes/simplify/identities.ts';
import { constantOf } from '../passes/support/constants.ts';
import type { Rule } from './rule.ts';
import { viewOf } from './places.ts';
import { count, onLayers } from './support.ts';

/** These have rules of their own. */
const elsewhere = new Set(['Transpose', 'TRANSPOSE', 'Cast', 'CAST', 'QuantizeLinear', 'QUANTIZE']);

export const noOperation: Rule = {
  id: 'no-operation',
  severity: 'warning',
  title: 'An operator that does nothing',
  manual: `The result is the input, element by element: Identity, Dropout at inference, a Reshape to the shape that is there already, a
Slice of everything. Runtimes remove some of them when they load a model, interpreters on microcontrollers run them all.

**Example.** \`Dropout\` left in by an exporter, \`Reshape → Reshape\` back.

**Remedy.** Run \`simplify\`.`,
  check({ model }) {
    const view = viewOf(model);
    const layers = view.graph.nodes.filter((node) => doesNothing(view, node)).map((node) => node.id);
    const title = `Remove what does nothing: ${count(layers.length, 'layer')} less, same result`;
    return onLayers(noOperation, layers, (where) => `The result is the input${where}.`, [
      { pass: 'simplify', options: {}, title },
    ]);
  },
};

function doesNothing(view: View, node: Node): boolean {
  if (elsewhere.has(node.op)) return false;
  const input = passedThrough(view, node);
  const source = input === undefined ? undoneReshape(view, node) : node.inputs[input];
  if (source === undefined || source === null || joinsTheOutside(view, source, node)) return false;
  // A second name for a weight whose file is not there cannot be taken away.
  return constantOf(view.graph, source)?.data.missing === undefined;
}

/** Between an input or a constant of the graph and an output, an Identity is what gives the value its second name. */
export function joinsTheOutside({ graph }: Pick<View, 'graph'>, source: string, node: Node): boolean {
  const leaves = node.outputs.some((id) => id !== null && graph.outputs.includes(id));
  if (!leaves) return false;
  const made = graph.nodes.some((each) => each.outputs.includes(source));
  return !made || graph.outputs.includes(source);
}
