import type { Attribute } from '../../ir/attribute.ts';
import { GraphEditor } from '../../ir/edit.ts';
import type { Node, OnnxModel, Value, ValueId } from '../../ir/model.ts';
import { withMainGraph } from '../../ir/model.ts';
import { tensorType } from '../../ir/types.ts';

/** A model whose only outputs are the ranges of some of its values. */
export interface RangeModel {
  readonly model: OnnxModel;
  /** For each value, the names of two float32 scalars. */
  readonly outputs: ReadonlyMap<ValueId, { readonly min: string; readonly max: string }>;
}

/** Cast takes a type number from this version on; no older model has anything but float32. */
const firstCast = 6;

/**
 * Adds ReduceMin and ReduceMax behind each value, so that only two numbers per value and sample leave the runtime.
 * The original outputs are gone, the constants are shared with the original.
 */
export function withRangeOutputs(model: OnnxModel, values: readonly ValueId[]): RangeModel {
  const [graph] = model.graphs;
  const editor = new GraphEditor(graph, model);
  const outputs = new Map<ValueId, { min: string; max: string }>();
  const added: Node[] = [];
  const add = (op: string, input: ValueId, output: ValueId, attributes: Record<string, number>) => {
    added.push(makeNode(editor.freshNode(`${output}_node`), op, input, output, attributes));
  };
  for (const id of values) {
    const source =
      isFloat32(graph.values.get(id)) || (model.opsets.get('') ?? 0) < firstCast ? id : undefined;
    const wide = source ?? editor.addValue(`${id}_kerf_float`, { type: tensorType('float32') });
    if (source === undefined) add('Cast', id, wide, { to: 1 });
    const min = editor.addValue(`${id}_kerf_min`, { type: tensorType('float32', []) });
    const max = editor.addValue(`${id}_kerf_max`, { type: tensorType('float32', []) });
    add('ReduceMin', wide, min, { keepdims: 0 });
    add('ReduceMax', wide, max, { keepdims: 0 });
    outputs.set(id, { min, max });
  }
  const last = graph.nodes.at(-1);
  if (last === undefined) editor.insertFirst(added);
  else editor.insertAfter(last.id, added);
  editor.setOutputs([...outputs.values()].flatMap(({ min, max }) => [min, max]));
  return { model: withMainGraph(model, editor.finish()), outputs };
}

function isFloat32(value: Value | undefined): boolean {
  return value?.type?.kind === 'tensor' && value.type.dtype === 'float32';
}

function makeNode(
  id: string,
  op: string,
  input: ValueId,
  output: ValueId,
  attributes: Record<string, number>,
): Node {
  const own = Object.entries(attributes).map(([name, value]): [string, Attribute] => [
    name,
    { kind: 'int', value },
  ]);
  return { id, name: id, op, domain: '', inputs: [input], outputs: [output], attributes: new Map(own) };
}
