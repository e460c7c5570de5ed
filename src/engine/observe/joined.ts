import type { Node, OnnxModel, ValueId } from '../../ir/model.ts';
import { attr } from '../../ir/attribute.ts';
import { GraphEditor } from '../../ir/edit.ts';
import { withMainGraph } from '../../ir/model.ts';
import { tensorType } from '../../ir/types.ts';
import type { HostTensor, Tensors } from '../../runtime/runner.ts';

/** A list with other lists in it, one behind the other: their names and lengths. */
export interface Joined {
  readonly output: ValueId;
  readonly parts: readonly (readonly [name: ValueId, length: number])[];
}

/** As handing over a tensor costs more than its numbers do, a model whose short lists leave it in one. */
interface JoinedModel {
  readonly model: OnnxModel;
  /** The outputs of a run with the lists under their own names. */
  split(tensors: Tensors): Tensors;
}

/** Joins outputs of one axis, all of one type, with known lengths; those in `already` are joined by the model itself. */
export function withJoinedOutputs(
  model: OnnxModel,
  type: 'float32' | 'int64',
  lengths: ReadonlyMap<ValueId, number>,
  already: readonly Joined[] = [],
): JoinedModel {
  const [graph] = model.graphs;
  const parts = [...lengths].filter(([id]) => graph.outputs.includes(id));
  if (parts.length < 2) return { model, split: (tensors) => splitAll(already, tensors) };
  const editor = new GraphEditor(graph, model);
  const output = editor.addValue(`kerf_joined_${type}`, { type: tensorType(type) });
  const id = editor.freshNode(`${output}_node`);
  const node: Node = {
    id,
    name: id,
    op: 'Concat',
    domain: '',
    inputs: parts.map(([name]) => name),
    outputs: [output],
    attributes: new Map([['axis', attr.int(0)]]),
  };
  const last = graph.nodes.at(-1);
  if (last === undefined) editor.insertFirst([node]);
  else editor.insertAfter(last.id, [node]);
  editor.setOutputs([...graph.outputs.filter((name) => !lengths.has(name)), output]);
  return {
    model: withMainGraph(model, editor.finish()),
    split: (tensors) => splitAll([{ output, parts }, ...already], tensors),
  };
}

function splitAll(all: readonly Joined[], tensors: Tensors): Tensors {
  const found: Record<string, HostTensor> = { ...tensors };
  for (const { output, parts } of all) {
    const joined = found[output];
    if (joined === undefined) continue;
    const length = parts.reduce((sum, [, count]) => sum + count, 0);
    let at = 0;
    for (const [name, count] of parts) {
      const end = at + (joined.data.length / Math.max(1, length)) * count;
      found[name] = { dtype: joined.dtype, dims: [count], data: joined.data.subarray(at, end) };
      at = end;
    }
  }
  return found;
}
