import type { Attribute } from '../../ir/attribute.ts';
import { GraphEditor } from '../../ir/edit.ts';
import type { Graph, Node, OnnxModel, ValueId } from '../../ir/model.ts';
import { withMainGraph } from '../../ir/model.ts';
import { readFloats } from '../../ir/numbers.ts';
import { tensorType } from '../../ir/types.ts';
import { indexOf } from '../../ir/walk.ts';
import { readableConstant } from '../../passes/support/constants.ts';
import { factsOf } from '../../passes/support/facts.ts';

/** A model whose only outputs are the ranges of some of its values. */
export interface RangeModel {
  readonly model: OnnxModel;
  /** For each value, the names of two float32 scalars; no `min` where zero is the smallest it can be. */
  readonly outputs: ReadonlyMap<ValueId, { readonly min?: string; readonly max: string }>;
}

/** Cast takes a type number from this version on; no older model has anything but float32. */
const firstCast = 6;

/**
 * Adds ReduceMin and ReduceMax behind each value, so that only two numbers per value and sample leave the runtime.
 * The original outputs are gone, the constants are shared with the original. The minimum of what a Relu gives is not looked
 * for, and the maximum of its feature maps is taken by GlobalMaxPool first: that kernel, unlike the reductions, reads the
 * blocked layout in which the runtime's convolutions write.
 */
export function withRangeOutputs(model: OnnxModel, values: readonly ValueId[]): RangeModel {
  const [graph] = model.graphs;
  const editor = new GraphEditor(graph, model);
  const outputs = new Map<ValueId, { min?: string; max: string }>();
  const facts = factsOf(model);
  const added: Node[] = [];
  const add = (op: string, input: ValueId, output: ValueId, attributes: Record<string, number>) => {
    added.push(makeNode(editor.freshNode(`${output}_node`), op, input, output, attributes));
  };
  for (const id of values) {
    const source =
      facts.dtypeOf(id) === 'float32' || (model.opsets.get('') ?? 0) < firstCast ? id : undefined;
    const wide = source ?? editor.addValue(`${id}_kerf_float`, { type: tensorType('float32') });
    if (source === undefined) add('Cast', id, wide, { to: 1 });
    const max = editor.addValue(`${id}_kerf_max`, { type: tensorType('float32', []) });
    const positive = isPositive(graph, id);
    let from = wide;
    if (positive && source !== undefined && facts.typeOf(id)?.shape?.length === 4) {
      from = editor.addValue(`${id}_kerf_pooled`, { type: tensorType('float32') });
      add('GlobalMaxPool', wide, from, {});
    }
    add('ReduceMax', from, max, { keepdims: 0 });
    if (positive) {
      outputs.set(id, { max });
      continue;
    }
    const min = editor.addValue(`${id}_kerf_min`, { type: tensorType('float32', []) });
    add('ReduceMin', wide, min, { keepdims: 0 });
    outputs.set(id, { min, max });
  }
  const last = graph.nodes.at(-1);
  if (last === undefined) editor.insertFirst(added);
  else editor.insertAfter(last.id, added);
  editor.setOutputs(
    [...outputs.values()].flatMap(({ min, max }) => (min === undefined ? [max] : [min, max])),
  );
  return { model: withMainGraph(model, editor.finish()), outputs };
}

/** What a Relu or a Clip from zero gives. */
function isPositive(graph: Graph, id: ValueId): boolean {
  const maker = indexOf(graph).producer.get(id);
  if (maker === undefined || maker.domain !== '') return false;
  if (maker.op === 'Relu') return true;
  const low = maker.op === 'Clip' ? readableConstant(graph, maker.inputs[1]) : undefined;
  return low !== undefined && readFloats(low)[0] === 0;
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
