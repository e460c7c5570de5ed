import type { ValueId } from '../../../../ir/model.ts';
import { intTensor } from '../../../../ir/numbers.ts';
import type { Emission } from '../emission.ts';
import { logisticCode, tanhCode } from '../fixedPoint.ts';

const kinds = {
  Sigmoid: { code: logisticCode, exact: (x: number) => 1 / (1 + Math.exp(-x)) },
  Tanh: { code: tanhCode, exact: Math.tanh },
} as const;
const count = 2 ** 15;
const highest = count - 1;

/**
 * A gate of the integer LSTM, of real numbers that are multiples of 2^-(15 - integerBits): the rounded function and, from
 * a table of small whole numbers, what LiteRT's fixed-point arithmetic gives beside it.
 */
export function gate(
  emission: Emission,
  value: ValueId,
  kind: keyof typeof kinds,
  integerBits: number,
): ValueId {
  const { builder } = emission;
  const scalar = (number: number) => emission.scalar(number);
  const table = builder.shared(`lstm_${kind.toLowerCase()}_${integerBits}`, () =>
    corrections(kind, integerBits),
  );
  const size = emission.emit('Abs', [value]);
  const codes = emission.emit('Mul', [size, scalar(2 ** (15 - integerBits))]);
  const place = emission.cast(emission.emit('Min', [codes, scalar(highest)]), 'int32');
  const beside = emission.cast(emission.emit('Gather', [table, place]), 'float32');
  const plain = emission.emit('Round', [emission.emit('Mul', [emission.emit(kind, [size]), scalar(count)])]);
  const above = emission.emit('Add', [emission.emit('Min', [plain, scalar(highest)]), beside]);
  const negative = emission.emit('Less', [value, scalar(0)]);
  const below = emission.emit('Sub', [scalar(kind === 'Sigmoid' ? highest : 0), above]);
  return emission.emit('Mul', [emission.emit('Where', [negative, below, above]), scalar(1 / count)]);
}

function corrections(kind: keyof typeof kinds, integerBits: number) {
  const { code, exact } = kinds[kind];
  const values = Array.from({ length: count }, (_, at) => {
    const rounded = Math.min(highest, Math.round(count * exact(at / 2 ** (15 - integerBits))));
    return code(at, integerBits) - rounded;
  });
  return intTensor('int8', [count], values);
}
