import type { Attribute, Model, Node, Quantization, Value, ValueId } from '../../ir/model.ts';
import { GraphEditor } from '../../ir/edit.ts';
import { withMainGraph } from '../../ir/model.ts';
import type { Tensor } from '../../ir/tensor.ts';
import type { ValueType } from '../../ir/types.ts';
import { indexOf } from '../../ir/walk.ts';

/** An end of a model that was taken apart: `id` is still what callers see, `inner` what the graph uses. */
interface OpenEnd<M extends Model> {
  readonly model: M;
  readonly id: ValueId;
  readonly inner: ValueId;
}

/** Gives the readers of an input another value to read; nothing makes that value yet, and the input is read by nobody. */
export function openInput<M extends Model>(model: M, id: ValueId): OpenEnd<M> {
  const graph = model.graphs[0];
  const editor = new GraphEditor(graph, model);
  const value = graph.values.get(id) as Value;
  const inner = editor.addValue(`${id}_inner`, withoutNames(value));
  editor.replaceUses(id, inner);
  const finished = editor.finish();
  const outputs = finished.outputs.map((each) => (each === inner ? id : each));
  return { model: withMainGraph(model, { ...finished, outputs }), id, inner };
}

/** Lets the operator behind an output make another value; nothing makes the output yet. */
export function openOutput<M extends Model>(model: M, id: ValueId): OpenEnd<M> {
  const graph = model.graphs[0];
  const editor = new GraphEditor(graph, model);
  const value = graph.values.get(id) as Value;
  const inner = editor.addValue(`${id}_inner`, withoutNames(value));
  const maker = indexOf(graph).producer.get(id);
  if (maker !== undefined) {
    const outputs = maker.outputs.map((each) => (each === id ? inner : each));
    editor.replaceNode(maker.id, [{ ...maker, outputs }]);
  }
  editor.replaceUses(id, inner);
  const finished = editor.finish();
  const outputs = finished.outputs.map((each) => (each === inner ? id : each));
  const values = new Map(finished.values).set(id, value);
  return { model: withMainGraph(model, { ...finished, outputs, values }), id, inner };
}

function withoutNames({ id: _id, name: _name, extra: _extra, ...rest }: Value): Omit<Value, 'id' | 'name'> {
  return rest;
}

/** Collects operators that go to one end of a graph. */
export interface Chain {
  add(op: string, inputs: readonly (ValueId | null)[], made: Made, attributes?: Attributes): ValueId;
  constant(base: string, tensor: Tensor): ValueId;
}

/** What an operator makes: a fresh value, or the one with this id. */
interface Made {
  readonly id?: ValueId;
  readonly type?: ValueType;
  readonly quantization?: Quantization;
}

type Attributes = Readonly<Record<string, Attribute>>;

/** Puts the operators that `build` adds before all others or behind them. */
export function withChain<M extends Model>(
  model: M,
  where: 'first' | 'last',
  build: (chain: Chain, editor: GraphEditor) => void,
): M {
  const graph = model.graphs[0];
  const editor = new GraphEditor(graph, model);
  const added: Node[] = [];
  build(
    {
      add(op, inputs, { id, ...rest }, attributes = {}) {
        const output = id ?? editor.addValue(`${inputs[0]}_${op.toLowerCase()}`, rest);
        const node = editor.freshNode(`${output}/${op}`);
        added.push({
          id: node,
          name: model.dialect === 'onnx' ? node : '',
          op,
          domain: '',
          inputs,
          outputs: [output],
          attributes: new Map(Object.entries(attributes)),
        });
        return output;
      },
      constant: (base, tensor) => editor.addConstant(base, tensor),
    },
    editor,
  );
  const last = graph.nodes.at(-1);
  if (where === 'first' || last === undefined) editor.insertFirst(added);
  else editor.insertAfter(last.id, added);
  return withMainGraph(model, editor.finish());
}
