import type { Shape } from '../../ir/types.ts';
import { scalarOf, dtypeOf } from '../known.ts';
import type { Known, OpContext, Operator } from '../operator.ts';
import { contentAt, out, outputCount, perOutput, shaped, tflite, unknownCost } from './kit.ts';

/** Shape, value. */
function inferFill(context: OpContext): readonly Known[] {
  const shape = contentAt(context, 0);
  const value = contentAt(context, 1)?.[0];
  const count = shape?.length === 1 && typeof shape[0] === 'number' && shape[0] <= 64 ? shape[0] : undefined;
  const content =
    value !== undefined && count !== undefined ? Array.from({ length: count }, () => value) : undefined;
  return [out(context, shape, 0, { dtype: dtypeOf(context.input(1)), content })];
}

/** Start, limit, delta. */
function inferRange(context: OpContext): readonly Known[] {
  const [start, limit, delta] = [0, 1, 2].map((index) => scalarOf(context.input(index)));
  if (start === undefined || limit === undefined || delta === undefined || delta === 0)
    return [out(context, [null])];
  const count = Math.max(0, Math.ceil((limit - start) / delta));
  const content =
    count <= 4096 ? Array.from({ length: count }, (_, index) => start + index * delta) : undefined;
  return [out(context, [count], 0, { content })];
}

/** Logits `[batch, classes]`, number of samples. */
function multinomialShape(context: OpContext): Shape {
  return [context.shape(0)?.[0] ?? null, contentAt(context, 1)?.[0] ?? null];
}

const random = (name: string) =>
  tflite(
    name,
    'constant',
    shaped((context) => contentAt(context, 0)),
    { cost: perOutput(1), settings: [0] },
  );

/** Real transforms of the last two axes; lengths are the second operand. */
function rfftShape(context: OpContext): Shape | undefined {
  const x = context.shape(0);
  const lengths = contentAt(context, 1);
  if (x === undefined || x.length < 2) return undefined;
  const last = lengths?.[1];
  return [
    ...x.slice(0, -2),
    lengths?.[0] ?? null,
    typeof last === 'number' ? Math.floor(last / 2) + 1 : null,
  ];
}

export const constantOperators: readonly Operator[] = [
  tflite('FILL', 'constant', inferFill, { settings: [0, 1] }),
  tflite('RANGE', 'constant', inferRange, { settings: [0, 1, 2] }),
  random('RANDOM_STANDARD_NORMAL'),
  random('RANDOM_UNIFORM'),
  tflite('MULTINOMIAL', 'other', shaped(multinomialShape), { cost: perOutput(1), settings: [1] }),
];

/** Complex numbers and spectra. */
export const signalOperators: readonly Operator[] = [
  tflite('RFFT2D', 'other', shaped(rfftShape), {
    settings: [1],
    cost: (context) => {
      const outputs = outputCount(context);
      const [rows, columns] = contentAt(context, 1) ?? [];
      if (outputs === undefined || typeof rows !== 'number' || typeof columns !== 'number')
        return unknownCost;
      const levels = Math.log2(Math.max(2, rows * columns));
      const otherOps = Math.round(5 * outputs * levels);
      return { macs: 0, otherOps, formula: `5 · ${outputs} outputs × log2(${rows}·${columns})` };
    },
  }),
  tflite(
    'REAL',
    'other',
    shaped((context) => context.shape(0)),
  ),
  tflite(
    'IMAG',
    'other',
    shaped((context) => context.shape(0)),
  ),
  tflite(
    'COMPLEX_ABS',
    'other',
    shaped((context) => context.shape(0)),
    { cost: perOutput(4) },
  ),
];
