import type { Attribute, Graph, Node, OnnxModel, ValueId } from '../../ir/model.ts';
import { attr } from '../../ir/attribute.ts';
import { GraphEditor } from '../../ir/edit.ts';
import { withMainGraph } from '../../ir/model.ts';
import { intTensor, readFloats } from '../../ir/numbers.ts';
import { tensorType } from '../../ir/types.ts';
import { indexOf } from '../../ir/walk.ts';
import { readableConstant } from '../../passes/support/constants.ts';
import type { ValueAxis } from '../../passes/pass.ts';
import type { Facts } from '../../passes/support/facts.ts';
import { factsOf } from '../../passes/support/facts.ts';
import { opsetOf } from '../../passes/support/graph.ts';
import type { Joined } from './joined.ts';

interface Extremes {
  readonly min?: ValueId;
  readonly max: ValueId;
}

/** A model whose only outputs are the ranges of some of its values. */
interface RangeModel {
  readonly model: OnnxModel;
  /** For each value, the names of two float32 scalars; no `min` where zero is the smallest it can be. */
  readonly outputs: ReadonlyMap<ValueId, Extremes>;
  /** The same for vectors with an element per index of an axis. */
  readonly channels: ReadonlyMap<ValueId, Extremes>;
  /** Outputs that stand for several of these vectors. */
  readonly joined: readonly Joined[];
}

interface RangeSurroundings {
  /** Outputs that stay. */
  readonly kept?: readonly ValueId[];
  /** What is known of the values, where the model has more nodes than they come from. */
  readonly facts?: Facts;
}

/** Cast takes a type number from this version on; no older model has anything but float32. */
const firstCast = 6;
/** ReduceMin and ReduceMax take their axes as an input from this version on. */
const firstAxesInput = 18;

/**
 * Adds ReduceMin and ReduceMax behind each value, so that only two numbers per value and sample leave the runtime; two per
 * channel for the values in `axes`. The original outputs are gone but for those in `kept`, the constants are shared with the original. The minimum
 * of what a Relu gives is not looked for, and the maximum of its feature maps is taken by GlobalMaxPool first: that kernel,
 * unlike the reductions, reads the blocked layout in which the runtime's convolutions write.
 */
export function withRangeOutputs(
  model: OnnxModel,
  values: readonly ValueId[],
  axes: readonly ValueAxis[] = [],
  { kept = [], facts = factsOf(model) }: RangeSurroundings = {},
): RangeModel {
  const [graph] = model.graphs;
  const editor = new GraphEditor(graph, model);
  const outputs = new Map<ValueId, Extremes>();
  const channels = new Map<ValueId, Extremes>();
  const added: Node[] = [];
  const float = tensorType('float32');
  const add = (
    op: string,
    inputs: readonly ValueId[],
    attributes: Record<string, Attribute>,
    name: string,
  ) => {
    const output = editor.addValue(`${inputs[0]}_kerf_${name}`, { type: float });
    const id = editor.freshNode(`${output}_node`);
    const own = new Map(Object.entries(attributes));
    added.push({ id, name: id, op, domain: '', inputs, outputs: [output], attributes: own });
    return output;
  };
  const reduce = (op: string, from: ValueId, along?: readonly number[]): ValueId => {
    const name = op === 'ReduceMax' ? 'max' : 'min';
    const keep = { keepdims: attr.int(0) };
    if (along === undefined) return add(op, [from], keep, name);
    if (along.length === 0) return add('Identity', [from], {}, name);
    if (opsetOf(model) < firstAxesInput) return add(op, [from], { ...keep, axes: attr.ints(along) }, name);
    const list = editor.addConstant('kerf_axes', intTensor('int64', [along.length], along));
    return add(op, [from, list], keep, name);
  };
  /** Maxima of feature maps, which are taken over the samples together. */
  const pools: { readonly pooled: ValueId; readonly name: ValueId; readonly length: number }[] = [];
  const extremes = (id: ValueId, axis?: number): Extremes => {
    const isFloat = facts.dtypeOf(id) === 'float32' || (model.opsets.get('') ?? 0) < firstCast;
    const wide = isFloat ? id : add('Cast', [id], { to: attr.int(1) }, 'float');
    const rank = facts.typeOf(id)?.shape?.length ?? 0;
    const along = axis === undefined ? undefined : [...Array(rank).keys()].filter((each) => each !== axis);
    const positive = isPositive(graph, id);
    const isMap = isFloat && rank === 4 && (axis === undefined || axis === 1);
    const from = positive && isMap ? add('GlobalMaxPool', [wide], {}, 'pooled') : wide;
    const length = facts.typeOf(id)?.shape?.[1];
    if (from !== wide && axis !== undefined && typeof length === 'number') {
      const name = `${from}_all`;
      pools.push({ pooled: from, name, length });
      return { max: name };
    }
    const max = reduce('ReduceMax', from, along);
    return positive ? { max } : { min: reduce('ReduceMin', wide, along), max };
  };
  for (const id of values) outputs.set(id, extremes(id));
  for (const { value, axis } of axes) channels.set(value, extremes(value, axis));
  const joined: Joined[] = [];
  if (pools.length > 0) {
    const all = add(
      'Concat',
      pools.map(({ pooled }) => pooled),
      { axis: attr.int(1) },
      'pools',
    );
    joined.push({
      output: reduce('ReduceMax', all, [0, 2, 3]),
      parts: pools.map(({ name, length }) => [name, length]),
    });
  }
  const last = graph.nodes.at(-1);
  if (last === undefined) editor.insertFirst(added);
  else editor.insertAfter(last.id, added);
  const inside = new Set(pools.map(({ name }) => name));
  const own = [...outputs.values(), ...channels.values()].flatMap(({ min, max }) =>
    min === undefined ? [max] : [min, max],
  );
  editor.setOutputs([
    ...kept,
    ...own.filter((name) => !inside.has(name)),
    ...joined.map(({ output }) => output),
  ]);
  return { model: withMainGraph(model, editor.finish()), outputs, channels, joined };
}

/** What a Relu or a Clip from zero gives. */
function isPositive(graph: Graph, id: ValueId): boolean {
  const maker = indexOf(graph).producer.get(id);
  if (maker === undefined || maker.domain !== '') return false;
  if (maker.op === 'Relu') return true;
  const low = maker.op === 'Clip' ? readableConstant(graph, maker.inputs[1]) : undefined;
  return low !== undefined && readFloats(low)[0] === 0;
}
