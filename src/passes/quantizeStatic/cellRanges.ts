import { floatAttribute } from '../../ir/attribute.ts';
import { GraphEditor } from '../../ir/edit.ts';
import type { Node, NodeId, TfliteModel, ValueId } from '../../ir/model.ts';
import { withMainGraph } from '../../ir/model.ts';
import { tensorType } from '../../ir/types.ts';
import type { Calibrator } from '../pass.ts';
import { factsOf } from '../support/facts.ts';
import { cellKind, lstmSizes, svdfInputs } from './cells.ts';
import { unrolled } from './unrolled.ts';

/** Where nothing is known of a cell state: tanh is flat from there on. */
const assumedReach = 16;

/** Runtimes begin with the state that the run before left, unless told otherwise; 16 bits have one to spare for that. */
const carried = 2;

/** The largest magnitude in the state of each recurrent layer, by layer. */
export async function observeStates(
  calibrator: Calibrator,
  model: TfliteModel,
  nodes: readonly Node[],
): Promise<ReadonlyMap<NodeId, number>> {
  const written = unrolled(
    model,
    nodes.filter((node) => cellKind(node) === 'lstm'),
  );
  const filtered = withFilters(
    written.model,
    nodes.filter((node) => cellKind(node) === 'svdf'),
  );
  const wanted = new Map([...written.cells, ...filtered.values]);
  const reach = new Map<NodeId, number>();
  if (wanted.size > 0) {
    const seen = await calibrator.ranges(filtered.model, [...wanted.values()]);
    for (const [id, value] of wanted) {
      const range = seen.get(value);
      const most = range === undefined ? Number.NaN : Math.max(-range.min, range.max);
      if (Number.isFinite(most)) reach.set(id, written.cells.has(id) ? carried * most : most);
    }
  }
  for (const node of nodes)
    if (!reach.has(node.id) && cellKind(node) === 'lstm') reach.set(node.id, boundOf(model, node));
  return reach;
}

/** What a cell state cannot exceed, or hardly: its clip; one new value of at most 1 per step. */
function boundOf(model: TfliteModel, node: Node): number {
  const clip = floatAttribute(node, 'cell_clip', 0);
  const steps = lstmSizes(model, node)?.steps ?? 1;
  return clip > 0 ? clip : Math.max(assumedReach, Math.min(steps, 4 * assumedReach));
}

/** SVDF remembers what its feature filters gave: a dense layer beside it gives the same. */
function withFilters(
  model: TfliteModel,
  nodes: readonly Node[],
): { readonly model: TfliteModel; readonly values: ReadonlyMap<NodeId, ValueId> } {
  const values = new Map<NodeId, ValueId>();
  if (nodes.length === 0) return { model, values };
  const facts = factsOf(model);
  const editor = new GraphEditor(model.graphs[0], model);
  for (const node of nodes) {
    const weights = node.inputs[svdfInputs.feature] as ValueId;
    const [filters] = facts.dimsOf(weights) ?? [];
    const [batch] = facts.dimsOf(node.inputs[0]) ?? [];
    if (filters === undefined || batch === undefined) continue;
    const output = editor.addValue(`${node.id}/filtered`, { type: tensorType('float32', [batch, filters]) });
    const id = editor.freshNode(`${node.id}/filtered`);
    const inputs = [node.inputs[0] as ValueId, weights, null];
    const dense = { id, name: '', op: 'FULLY_CONNECTED', domain: '', inputs, outputs: [output] };
    editor.insertAfter(node.id, [{ ...dense, attributes: new Map() }]);
    values.set(node.id, output);
  }
  return { model: withMainGraph(model, editor.finish()), values };
}
