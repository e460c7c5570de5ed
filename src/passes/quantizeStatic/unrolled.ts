import { attr, floatAttribute } from '../../ir/attribute.ts';
import { GraphEditor } from '../../ir/edit.ts';
import type { Graph, Node, NodeId, TfliteModel, ValueId } from '../../ir/model.ts';
import { withMainGraph } from '../../ir/model.ts';
import { floatTensor, intTensor, readFloats } from '../../ir/numbers.ts';
import type { Tensor } from '../../ir/tensor.ts';
import { tensorType } from '../../ir/types.ts';
import { readableConstant } from '../support/constants.ts';
import type { LstmSizes } from './cells.ts';
import { gatesOf, lstmInputs, lstmSizes } from './cells.ts';

/** A model in whose place of an LSTM its steps are written out, and the value that holds all its cell states. */
interface Unrolled {
  readonly model: TfliteModel;
  readonly cells: ReadonlyMap<NodeId, ValueId>;
}

/** Longer sequences would make a graph that takes longer to load than to run. */
const mostSteps = 512;

/**
 * Writes LSTMs out step by step from a state of zeros, so that their cell states become values that calibration can see.
 * Layers of one step, of more than 512, or of open sizes stay as they are: what they remember is not in one run.
 */
export function unrolled(model: TfliteModel, nodes: readonly Node[]): Unrolled {
  const editor = new GraphEditor(model.graphs[0], model);
  const cells = new Map<NodeId, ValueId>();
  for (const node of nodes) {
    const sizes = lstmSizes(model, node);
    if (sizes === undefined || sizes.steps < 2 || sizes.steps > mostSteps) continue;
    cells.set(node.id, new Steps(editor, model.graphs[0], node, sizes).write());
  }
  return { model: cells.size === 0 ? model : withMainGraph(model, editor.finish()), cells };
}

class Steps {
  readonly #nodes: Node[] = [];
  readonly #editor: GraphEditor;
  readonly #graph: Graph;
  readonly #lstm: Node;
  readonly #sizes: LstmSizes;

  constructor(editor: GraphEditor, graph: Graph, lstm: Node, sizes: LstmSizes) {
    this.#editor = editor;
    this.#graph = graph;
    this.#lstm = lstm;
    this.#sizes = sizes;
  }

  /** Puts the steps in the place of the layer and gives the value of all its cell states. */
  write(): ValueId {
    const { batch, steps, units, outputs, timeMajor } = this.#sizes;
    const time = timeMajor ? 0 : 1;
    const ofInputs = this.#gatesOfInputs(time);
    const rows = gatesOf(this.#lstm).length * units;
    const matrix = this.#constant('r', [rows, outputs], this.#joined('recurrent'));
    let hidden = this.#constant('h0', [batch, outputs], new Float32Array(batch * outputs));
    let cell = this.#constant('c0', [batch, units], new Float32Array(batch * units));
    const results: ValueId[] = [];
    const cells: ValueId[] = [];
    for (const ofInput of ofInputs) {
      const recurrent = this.#dense(hidden, matrix, null, rows);
      const sums = this.#two('ADD', ofInput, recurrent, rows);
      [hidden, cell] = this.#step(sums, cell);
      results.push(hidden);
      cells.push(cell);
    }
    const shape = timeMajor ? [steps, batch, outputs] : [batch, steps, outputs];
    const packed = { axis: attr.int(time), values_count: attr.int(steps) };
    const [result] = this.#add('PACK', results, [shape], packed);
    this.#editor.replaceUses(this.#lstm.outputs[0] as ValueId, result as ValueId);
    const all = { axis: attr.int(0), values_count: attr.int(steps) };
    const [found] = this.#add('PACK', cells, [[steps, batch, units]], all);
    this.#editor.replaceNode(this.#lstm.id, this.#nodes);
    return found as ValueId;
  }

  /** The part of all gates that comes from the inputs, per step. */
  #gatesOfInputs(time: number): readonly ValueId[] {
    const { batch, steps, inputs, units, timeMajor } = this.#sizes;
    const rows = gatesOf(this.#lstm).length * units;
    const weights = this.#constant('w', [rows, inputs], this.#joined('input'));
    const bias = this.#constant('b', [rows], this.#joined('bias'));
    const flat = this.#reshape(this.#lstm.inputs[0] as ValueId, [batch * steps, inputs]);
    const shape = timeMajor ? [steps, batch, rows] : [batch, steps, rows];
    const all = this.#reshape(this.#dense(flat, weights, bias, rows, batch * steps), shape);
    const each = Array.from({ length: steps }, () => [batch, rows]);
    return this.#add('UNPACK', [all], each, { axis: attr.int(time), num: attr.int(steps) });
  }

  /** One step (Hochreiter and Schmidhuber 1997 with a forget gate): the result and the new cell state. */
  #step(sums: ValueId, before: ValueId): readonly [ValueId, ValueId] {
    const { batch, units, outputs } = this.#sizes;
    const gates = gatesOf(this.#lstm);
    const axis = this.#integers('axis', [1], []);
    const parts = this.#add(
      'SPLIT',
      [axis, sums],
      gates.map(() => [batch, units]),
      { num_splits: attr.int(gates.length) },
    );
    const gate = new Map(gates.map(({ name }, i) => [name, parts[i] as ValueId]));
    const sigmoid = (name: 'input' | 'forget' | 'output') =>
      this.#one('LOGISTIC', gate.get(name) as ValueId, units);
    const forget = sigmoid('forget');
    const ones = () => this.#constant('one', [1], Float32Array.of(1));
    const input = gate.has('input') ? sigmoid('input') : this.#two('SUB', ones(), forget, units);
    const news = this.#two('MUL', input, this.#one('TANH', gate.get('cell') as ValueId, units), units);
    const kept = this.#two('MUL', forget, before, units);
    const cell = this.#clipped(this.#two('ADD', kept, news, units), 'cell_clip', units);
    const hidden = this.#two('MUL', sigmoid('output'), this.#one('TANH', cell, units), units);
    const projection = this.#lstm.inputs[lstmInputs.projection] ?? null;
    if (projection === null) return [hidden, cell];
    const bias = this.#lstm.inputs[lstmInputs.projectionBias] ?? null;
    const projected = this.#dense(hidden, projection, bias, outputs);
    return [this.#clipped(projected, 'proj_clip', outputs), cell];
  }

  #clipped(value: ValueId, name: string, width: number): ValueId {
    const bound = floatAttribute(this.#lstm, name, 0);
    if (!(bound > 0)) return value;
    const top = this.#constant('top', [1], Float32Array.of(bound));
    const bottom = this.#constant('bottom', [1], Float32Array.of(-bound));
    return this.#two('MAXIMUM', this.#two('MINIMUM', value, top, width), bottom, width);
  }

  #joined(part: 'input' | 'recurrent' | 'bias'): Float32Array {
    const parts = gatesOf(this.#lstm).map((gate) =>
      readFloats(readableConstant(this.#graph, this.#lstm.inputs[gate[part]]) as Tensor),
    );
    const all = new Float32Array(parts.reduce((sum, each) => sum + each.length, 0));
    let at = 0;
    for (const each of parts) {
      all.set(each, at);
      at += each.length;
    }
    return all;
  }

  #constant(name: string, dims: readonly number[], data: Float32Array): ValueId {
    return this.#editor.addConstant(`${this.#lstm.id}/${name}`, floatTensor(dims, data));
  }

  #integers(name: string, numbers: readonly number[], dims: readonly number[]): ValueId {
    return this.#editor.addConstant(`${this.#lstm.id}/${name}`, intTensor('int32', dims, numbers));
  }

  #reshape(value: ValueId, shape: readonly number[]): ValueId {
    const to = this.#integers('shape', shape, [shape.length]);
    return this.#add('RESHAPE', [value, to], [shape], { new_shape: attr.ints(shape) })[0] as ValueId;
  }

  #dense(
    value: ValueId,
    weights: ValueId,
    bias: ValueId | null,
    width: number,
    rows = this.#sizes.batch,
  ): ValueId {
    return this.#add('FULLY_CONNECTED', [value, weights, bias], [[rows, width]])[0] as ValueId;
  }

  #one(op: string, value: ValueId, width: number): ValueId {
    return this.#add(op, [value], [[this.#sizes.batch, width]])[0] as ValueId;
  }

  #two(op: string, a: ValueId, b: ValueId, width: number): ValueId {
    return this.#add(op, [a, b], [[this.#sizes.batch, width]])[0] as ValueId;
  }

  #add(
    op: string,
    inputs: readonly (ValueId | null)[],
    shapes: readonly (readonly number[])[],
    attributes: Readonly<Record<string, ReturnType<typeof attr.int> | ReturnType<typeof attr.ints>>> = {},
  ): readonly ValueId[] {
    const outputs = shapes.map((shape) =>
      this.#editor.addValue(`${this.#lstm.id}/${op}`, { type: tensorType('float32', shape) }),
    );
    const id = this.#editor.freshNode(`${this.#lstm.id}/${op}`);
    const more = new Map(Object.entries(attributes));
    this.#nodes.push({ id, name: '', op, domain: '', inputs, outputs, attributes: more });
    return outputs;
  }
}
