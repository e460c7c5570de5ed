import { attr, floatAttribute, intAttribute, stringAttribute } from '../../../../ir/attribute.ts';
import type { ValueId } from '../../../../ir/model.ts';
import { floatTensor } from '../../../../ir/numbers.ts';
import type { Emission, Rule } from '../emission.ts';
import { quantizationOf } from '../values.ts';
import { gate as integerGate } from './gates.ts';
import { rounded } from './rounded.ts';
import { svdf } from './svdf.ts';

/** Inputs of the LSTM kernels (LiteRT, lstm_shared.h), each in the order input, forget, cell, output. */
const inputs = {
  input: [1, 2, 3, 4],
  recurrent: [5, 6, 7, 8],
  peephole: [9, 10, 11],
  bias: [12, 13, 14, 15],
} as const;
const projection = 16;
const hiddenState = 18;
const cellState = 19;
const layerNorm = 20;
/** ONNX wants the gates as input, output, forget, cell; peepholes as input, output, forget. */
const gates = [0, 3, 1, 2];
const peepholes = [0, 2, 1];

/** One sequence: sizes, and the data with time in front. */
interface Sequence {
  readonly data: ValueId;
  readonly steps: number;
  readonly batch: number;
  readonly width: number;
  readonly units: number;
  /** What the integer kernel adds to every output; see `hiddenOffset`. */
  readonly offset: number;
}

/** An LSTM whose states are inputs and outputs, with weights in real numbers. */
const lstm: Rule = (emission) => {
  refuseVariants(emission);
  const { node } = emission;
  const single = node.op === 'LSTM';
  const shape = emission.shapeOf(emission.value(0));
  const [a = 1, b = 1] = shape;
  const timeMajor = intAttribute(node, 'time_major', 0) === 1;
  const [steps, batch] = single ? [1, a] : timeMajor ? [a, b] : [b, a];
  const width = shape.at(-1) as number;
  const units = emission.shapeOf(emission.value(hiddenState)).at(-1) as number;
  const swapped = (value: ValueId) => emission.emit('Transpose', [value], { perm: attr.ints([1, 0, 2]) });
  const data = timeMajor || steps === 1 || batch === 1 ? emission.operand(0) : swapped(emission.operand(0));
  const sequence = { data, steps, batch, width, units, offset: hiddenOffset(emission) };
  const peeps = emission.has(inputs.peephole[1]);
  const made = steps === 1 && !peeps ? oneStep(emission, sequence) : manySteps(emission, sequence);
  const inOrder = timeMajor || steps === 1 || batch === 1 ? made : swapped(made);
  return emission.reshape(inOrder, emission.shapeOf(emission.output()));
};

function refuseVariants(emission: Emission): void {
  const activation = stringAttribute(emission.node, 'fused_activation_function', 'TANH');
  if (activation !== 'TANH') emission.refuse(`a cell with ${activation} is not covered`);
  if (intAttribute(emission.node, 'kernel_type', 0) !== 0) emission.refuse('the basic kernel is not covered');
  if (!emission.has(inputs.input[0])) emission.refuse('coupled input and forget gates are not covered');
  if (emission.has(projection)) emission.refuse('a projection is not covered');
  if (emission.has(layerNorm + 1)) emission.refuse('layer normalization of the gates is not covered');
}

/**
 * The integer kernel takes the zero point of its last intermediate tensor away where it should add it (LiteRT,
 * tensor_utils CwiseMul), so its outputs lie twice that zero point beside what their scale says. The model was made to
 * work that way, and gives what it gives only with this offset.
 */
function hiddenOffset(emission: Emission): number {
  const hidden = emission.intermediate(4);
  const quantization = hidden && quantizationOf(hidden);
  if (quantization === undefined) return 0;
  return -2 * (quantization.zeroPoint[0] ?? 0) * (quantization.scale[0] as number);
}

/**
 * One step written out, with every rounding of the integer kernel (LiteRT, lstm_eval.cc, CalculateLstmGateInteger8x8_16
 * to CalculateLstmOutputInteger8x8_16): what enters a gate has 16 bits, 12 of them behind the point, and so lies within
 * ±8, first the part of the input, then the sum with the recurrent part; gates have 15 bits behind the point; both
 * products that make the cell are rounded as the cell is.
 */
function oneStep(emission: Emission, { data, batch, width, units, offset }: Sequence): ValueId {
  const integer = quantizationOf(emission.value(0)) !== undefined;
  const bounded = (value: ValueId, limit: number) =>
    emission.emit('Clip', [value, emission.scalar(-limit), emission.scalar(limit)]);
  const gateBound = (value: ValueId) =>
    integer
      ? emission.emit('Clip', [value, emission.scalar(-8), emission.scalar(8 - 2 ** -gateBits)])
      : value;
  const fixed = (value: ValueId, bits: number) => (integer ? roundedBits(emission, value, bits) : value);
  const x = emission.reshape(data, [batch, width]);
  const [h, c] = [emission.state(hiddenState), emission.state(cellState)];
  const product = (value: ValueId, index: number, bias?: number) =>
    emission.emit(
      'Gemm',
      [
        value,
        reals(emission, index),
        ...(bias !== undefined && emission.has(bias) ? [reals(emission, bias)] : []),
      ],
      { transB: attr.int(1) },
    );
  const gate = (place: 0 | 1 | 2 | 3, activation: 'Sigmoid' | 'Tanh') => {
    const fromInput = gateBound(fixed(product(x, inputs.input[place], inputs.bias[place]), gateBits));
    const fromState = fixed(product(h, inputs.recurrent[place]), gateBits);
    return open(emission.emit('Add', [fromInput, fromState]), activation);
  };
  const open = (value: ValueId, activation: 'Sigmoid' | 'Tanh') =>
    integer
      ? integerGate(emission, gateBound(value), activation, 15 - gateBits)
      : emission.emit(activation, [value]);
  const kept = rounded(emission, emission.emit('Mul', [gate(1, 'Sigmoid'), c]), cellState);
  const fresh = rounded(emission, emission.emit('Mul', [gate(0, 'Sigmoid'), gate(2, 'Tanh')]), cellState);
  const sum = emission.emit('Add', [kept, fresh]);
  const clip = floatAttribute(emission.node, 'cell_clip', 0);
  const cell = rounded(emission, clip > 0 ? bounded(sum, clip) : sum, cellState);
  const cellBits = integer ? 15 + Math.log2(scaleOf(emission, cellState)) : 0;
  const bent = integer ? integerGate(emission, cell, 'Tanh', cellBits) : emission.emit('Tanh', [cell]);
  const shown = emission.emit('Mul', [gate(3, 'Sigmoid'), bent]);
  const moved = offset === 0 ? shown : emission.emit('Add', [shown, emission.scalar(offset)]);
  const hidden = rounded(emission, moved, hiddenState);
  emission.nextState(hiddenState, emission.reshape(hidden, [batch, units]));
  emission.nextState(cellState, emission.reshape(cell, [batch, units]));
  return hidden;
}

/** Bits behind the point of what enters a gate. */
const gateBits = 12;

function scaleOf(emission: Emission, index: number): number {
  return quantizationOf(emission.value(index))?.scale[0] ?? emission.refuse(`input ${index} has no scale`);
}

function roundedBits(emission: Emission, value: ValueId, bits: number): ValueId {
  const whole = emission.emit('Round', [emission.emit('Mul', [value, emission.scalar(2 ** bits)])]);
  return emission.emit('Mul', [whole, emission.scalar(2 ** -bits)]);
}

function reals(emission: Emission, index: number): ValueId {
  const dims = emission.shapeOf(emission.value(index));
  return emission.builder.constant(`${emission.name}_${index}`, floatTensor(dims, emission.reals(index)));
}

/**
 * One ONNX LSTM over the sequence. Quantized models round and bound inside of the cell, which ONNX cannot say: they come
 * out close, not equal.
 */
function manySteps(emission: Emission, sequence: Sequence): ValueId {
  const { data, steps, batch, width, units, offset } = sequence;
  noteDifferences(emission, steps);
  const shift = offset === 0 ? undefined : emission.scalar(offset);
  const h = emission.state(hiddenState);
  const before = shift === undefined ? h : emission.emit('Sub', [h, shift]);
  const operands: (ValueId | null)[] = [
    emission.reshape(data, [steps, batch, width]),
    stacked(emission, inputs.input, [1, 4 * units, width], 'w'),
    stacked(emission, inputs.recurrent, [1, 4 * units, units], 'r'),
    biases(emission, units, offset),
    null,
    emission.reshape(before, [1, batch, units]),
    emission.reshape(emission.state(cellState), [1, batch, units]),
  ];
  if (emission.has(inputs.peephole[1]))
    operands.push(
      joined(
        emission,
        peepholes.map((gate) => inputs.peephole[gate] as number),
        [1, 3 * units],
        'p',
      ),
    );
  const { name } = emission;
  const [all, hidden, cell] = emission.builder.emitMany(
    'LSTM',
    operands,
    [`${name}_sequence`, `${name}_hidden`, `${name}_cell`],
    { hidden_size: attr.int(units) },
  ) as [ValueId, ValueId, ValueId];
  const shifted = (value: ValueId) => (shift === undefined ? value : emission.emit('Add', [value, shift]));
  emission.nextState(hiddenState, emission.reshape(shifted(hidden), [batch, units]));
  emission.nextState(cellState, emission.reshape(cell, [batch, units]));
  return emission.reshape(shifted(all), [steps, batch, units]);
}

/** A cell grows by at most 1 a step, so a bound is out of reach of short sequences that start at zero. */
function noteDifferences(emission: Emission, steps: number): void {
  const clip = floatAttribute(emission.node, 'cell_clip', 0);
  if (clip > 0)
    emission.note(
      `TFLite bounds the cells of LSTMs to ±${clip}, ONNX has no such bound: it matters when a cell passes it` +
        (steps <= clip ? ', which takes more than one run here' : ''),
    );
  if (quantizationOf(emission.value(0)) !== undefined)
    emission.note(
      'LSTMs over several steps compute in real numbers: integer kernels round inside of each step',
    );
}

function stacked(
  emission: Emission,
  indices: readonly number[],
  dims: readonly number[],
  suffix: string,
): ValueId {
  return joined(
    emission,
    gates.map((gate) => indices[gate] as number),
    dims,
    suffix,
  );
}

/** Constants one after another, as real numbers. */
function joined(
  emission: Emission,
  indices: readonly number[],
  dims: readonly number[],
  suffix: string,
): ValueId {
  const parts = indices.map((index) => emission.reals(index));
  const whole = new Float32Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return emission.builder.constant(`${emission.name}_${suffix}`, floatTensor(dims, whole));
}

/** ONNX has two biases per gate, TFLite one; the second takes what the offset of the outputs brings through R. */
function biases(emission: Emission, units: number, offset: number): ValueId {
  const whole = new Float32Array(8 * units);
  gates.forEach((gate, place) => {
    const index = inputs.bias[gate] as number;
    if (emission.has(index)) whole.set(emission.reals(index), place * units);
    if (offset === 0) return;
    const recurrent = emission.reals(inputs.recurrent[gate] as number);
    for (let unit = 0; unit < units; unit += 1) {
      const row = recurrent.subarray(unit * units, (unit + 1) * units);
      whole[(4 + place) * units + unit] = offset * row.reduce((sum, weight) => sum + weight, 0);
    }
  });
  return emission.builder.constant(`${emission.name}_b`, floatTensor([1, 8 * units], whole));
}

export const recurrentRules: Readonly<Record<string, Rule>> = {
  UNIDIRECTIONAL_SEQUENCE_LSTM: lstm,
  LSTM: lstm,
  SVDF: svdf,
};
