import { stringAttribute } from '../../../../ir/attribute.ts';
import { floatTensor } from '../../../../ir/numbers.ts';
import type { Placed } from '../builder.ts';
import { option } from '../builder.ts';
import type { Emission, Rule } from '../emission.ts';

/** Longer sequences would make graphs that nobody can read. */
const mostSteps = 128;
const none = option.activation('NONE');

/** What one direction of a recurrent operator works with. */
interface Direction {
  readonly index: number;
  readonly backward: boolean;
}

interface Cell {
  readonly gates: number;
  /** The next hidden state, and what else is kept, from the input's part of the gates and the states. */
  step(parts: Parts): { readonly hidden: Placed; readonly memory?: Placed };
}

interface Parts {
  readonly emission: Emission;
  readonly units: number;
  /** W x + Wb of this step, `batch` x `gates * units`. */
  readonly input: Placed;
  readonly hidden: Placed;
  readonly memory: Placed;
  /** R h + Rb over some rows of R. */
  recurrent(hidden: Placed, from: number, to: number): Placed;
}

/**
 * Written out step by step: TFLite's own operators keep their states between runs and want variable tensors, which few
 * runtimes have; here states are ordinary tensors, as in ONNX.
 */
function recurrent(cell: Cell): Rule {
  return (emission) => {
    const { node } = emission;
    const [steps = 1, batch = 1, width = 1] = emission.shapeIn(0);
    refuseUncovered(emission, steps);
    const directions = directionsOf(stringAttribute(node, 'direction', 'forward'));
    const units = emission.shapeIn(2).at(-1) as number;
    const runs = directions.map((direction) =>
      runDirection(emission, cell, direction, { steps, batch, width, units }),
    );
    const last = [directions.length, batch, units];
    const named = (index: number) => node.outputs[index] ?? `${emission.name}_${index}`;
    const all = runs.map((run) => run.all);
    const hidden = runs.map((run) => run.hidden);
    const memory = runs.map((run) => run.memory);
    return [
      joined(emission, all, { axis: 1, name: named(0), shape: [steps, ...last] }),
      joined(emission, hidden, { axis: 0, name: named(1), shape: last }),
      joined(emission, memory, { axis: 0, name: named(2), shape: last }),
    ];
  };
}

function refuseUncovered(emission: Emission, steps: number): void {
  const { attributes } = emission.node;
  if (emission.int('layout', 0) !== 0) emission.refuse('layout 1 is not covered');
  if (steps > mostSteps)
    emission.refuse(`sequences of more than ${mostSteps} steps are not covered (${steps})`);
  if (emission.has(4)) emission.refuse('lengths of sequences are not covered');
  if (attributes.has('activations') || attributes.has('clip'))
    emission.refuse('other activations and clipping are not covered');
  if (emission.has(7)) emission.refuse('peepholes are not covered');
}

function directionsOf(kind: string): readonly Direction[] {
  if (kind !== 'bidirectional') return [{ index: 0, backward: kind === 'reverse' }];
  return [
    { index: 0, backward: false },
    { index: 1, backward: true },
  ];
}

/** The parts of all directions side by side. */
function joined(
  { builder }: Emission,
  parts: readonly Placed[],
  { axis, name, shape }: { readonly axis: number; readonly name: string; readonly shape: readonly number[] },
): Placed {
  if (parts.length === 1) return builder.reshape(parts[0] as Placed, shape, name);
  const attributes = { axis: { kind: 'int', value: axis } as const, fused_activation_function: none };
  return builder.emit('CONCATENATION', parts, { name, shape, attributes });
}

interface Sizes {
  readonly steps: number;
  readonly batch: number;
  readonly width: number;
  readonly units: number;
}

function runDirection(emission: Emission, cell: Cell, { index, backward }: Direction, sizes: Sizes) {
  const { steps, batch, units } = sizes;
  const { builder, name } = emission;
  const rows = cell.gates * units;
  const { inputs, recurrent: part } = partsOf(emission, rows, index, sizes);
  let hidden = initial(emission, 5, index, batch, units);
  let memory = initial(emission, 6, index, batch, units);
  const all: Placed[] = [];
  for (let i = 0; i < steps; i += 1) {
    const at = backward ? steps - 1 - i : i;
    const input = sliced(emission, inputs, [at * batch, 0], [batch, rows]);
    const next = cell.step({ emission, units, input, hidden, memory, recurrent: part });
    hidden = next.hidden;
    memory = next.memory ?? memory;
    all[at] = builder.reshape(hidden, [1, 1, batch, units], `${name}_step${at}`);
  }
  const attributes = { axis: { kind: 'int', value: 0 } as const, fused_activation_function: none };
  const sequence =
    steps === 1
      ? (all[0] as Placed)
      : emission.step('CONCATENATION', all, [steps, 1, batch, units], { attributes });
  const state = (value: Placed, suffix: string) =>
    builder.reshape(value, [1, batch, units], `${name}_${suffix}${index}`);
  return { all: sequence, hidden: state(hidden, 'h'), memory: state(memory, 'c') };
}

/** W x + Wb of all steps at once, and the function that gives R h + Rb of one. */
function partsOf(
  emission: Emission,
  rows: number,
  index: number,
  { steps, batch, width, units }: Sizes,
): { readonly inputs: Placed; readonly recurrent: Parts['recurrent'] } {
  const { builder, name } = emission;
  const matrix = (input: number, inputs: number, from = 0, to = rows) => {
    const values = emission
      .floats(input)
      .subarray((index * rows + from) * inputs, (index * rows + to) * inputs);
    return builder.constant(
      `${name}_${input === 1 ? 'w' : 'r'}${index}_${from}`,
      floatTensor([to - from, inputs], values.slice()),
    );
  };
  const biases = emission.has(3)
    ? emission.floats(3).subarray(index * 2 * rows, (index + 1) * 2 * rows)
    : new Float32Array(2 * rows);
  const vector = (from: number, to: number, suffix: string) =>
    builder.constant(`${name}_b${index}_${suffix}`, floatTensor([to - from], biases.slice(from, to)));
  const flat = builder.reshape(emission.operand(0), [steps * batch, width], `${name}_rows`);
  const inputs = dense(emission, flat, matrix(1, width), vector(0, rows, 'w'));
  const known = new Map<number, readonly [Placed, Placed]>();
  return {
    inputs,
    recurrent(hidden, from, to) {
      const stored = known.get(from) ?? [
        matrix(2, units, from, to),
        vector(rows + from, rows + to, `r${from}`),
      ];
      known.set(from, stored);
      return dense(emission, hidden, ...stored);
    },
  };
}

function dense(emission: Emission, value: Placed, weights: Placed, bias: Placed): Placed {
  const attributes = {
    fused_activation_function: none,
    weights_format: option.type(0, 'DEFAULT'),
    keep_num_dims: option.flag(false),
  };
  const shape = [value.shape[0] as number, weights.shape[0] as number];
  return emission.step('FULLY_CONNECTED', [value, weights, bias], shape, { attributes });
}

function initial(emission: Emission, input: number, index: number, batch: number, units: number): Placed {
  const { builder, name } = emission;
  if (input === 6 && emission.node.op !== 'LSTM') return initial(emission, 5, index, batch, units);
  if (!emission.has(input))
    return builder.constant(`${name}_zero`, floatTensor([batch, units], new Float32Array(batch * units)));
  const own = sliced(emission, emission.operand(input), [index, 0, 0], [1, batch, units]);
  return builder.reshape(own, [batch, units], `${name}_initial${input}`);
}

function sliced(
  emission: Emission,
  value: Placed,
  begin: readonly number[],
  size: readonly number[],
): Placed {
  if (begin.every((each) => each === 0) && size.every((each, axis) => each === value.shape[axis]))
    return value;
  const { builder } = emission;
  return emission.step('SLICE', [value, builder.integers(begin), builder.integers(size)], size);
}

function arithmetic(emission: Emission) {
  const attributes = { fused_activation_function: none };
  const two = (op: string) => (a: Placed, b: Placed) => emission.step(op, [a, b], b.shape, { attributes });
  const one = (op: string) => (a: Placed) => emission.step(op, [a], a.shape);
  return { add: two('ADD'), sub: two('SUB'), mul: two('MUL'), sigmoid: one('LOGISTIC'), tanh: one('TANH') };
}

/** Gates in the order input, output, forget, cell. */
const lstm: Cell = {
  gates: 4,
  step({ emission, units, input, hidden, memory, recurrent: part }) {
    const { add, mul, sigmoid, tanh } = arithmetic(emission);
    const sum = add(input, part(hidden, 0, 4 * units));
    const [batch = 1] = sum.shape;
    const gate = (place: number) => sliced(emission, sum, [0, place * units], [batch, units]);
    const cell = add(mul(sigmoid(gate(2)), memory), mul(sigmoid(gate(0)), tanh(gate(3))));
    return { hidden: mul(sigmoid(gate(1)), tanh(cell)), memory: cell };
  },
};

/** Gates in the order update, reset, hidden. */
const gru: Cell = {
  gates: 3,
  step({ emission, units, input, hidden, recurrent: part }) {
    const { add, sub, mul, sigmoid, tanh } = arithmetic(emission);
    const [batch = 1] = input.shape;
    const gate = (value: Placed, place: number) =>
      sliced(emission, value, [0, place * units], [batch, units]);
    const both = part(hidden, 0, 2 * units);
    const update = sigmoid(add(gate(input, 0), gate(both, 0)));
    const reset = sigmoid(add(gate(input, 1), gate(both, 1)));
    const inner =
      emission.int('linear_before_reset', 0) === 1
        ? mul(reset, part(hidden, 2 * units, 3 * units))
        : part(mul(reset, hidden), 2 * units, 3 * units);
    const fresh = tanh(add(gate(input, 2), inner));
    // (1 - z) n + z h
    return { hidden: add(fresh, mul(update, sub(hidden, fresh))) };
  },
};

const rnn: Cell = {
  gates: 1,
  step({ emission, units, input, hidden, recurrent: part }) {
    const { add, tanh } = arithmetic(emission);
    return { hidden: tanh(add(input, part(hidden, 0, units))) };
  },
};

export const recurrentRules: Readonly<Record<string, Rule>> = {
  LSTM: recurrent(lstm),
  GRU: recurrent(gru),
  RNN: recurrent(rnn),
};
