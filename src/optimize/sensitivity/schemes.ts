import { KerfError } from '../../ir/errors.ts';
import type { Dialect } from '../../ir/model.ts';
import type { OptionValues, RecipeStep } from '../../passes/pass.ts';

/** Names of schemes for people; `prune50` stands for any percentage. */
const schemeNames = [
  'int8',
  'int8-weights',
  'int4',
  'int3',
  'int2',
  'fp16',
  'bf16',
  'float8',
  'prune50',
  'prune75',
] as const;

const weightBits: Readonly<Record<string, string>> = { int4: '4', int3: '3', int2: '2', 'int8-weights': '8' };

/**
 * What a static step does for its neighbours' and its data's sake is left out: it would run the data again for every
 * layer, and ranks them alike. So are shapes that change no value, and hide which weights a layer had.
 */
function plainStatic(dialect: Dialect): OptionValues {
  const plain = { rounding: 'nearest', equalize: false };
  return dialect === 'tflite' ? { ...plain, io: 'float' } : { ...plain, kernelShapes: false };
}

/** What each scheme means as a step; the layer is added to it. Throws `KerfError('bad-option')`. */
export function stepOfScheme(scheme: string, dialect: Dialect, data?: string): RecipeStep {
  const calibration = data === undefined ? {} : { data };
  if (scheme === 'int8' || scheme === 'w8a8') {
    return { pass: 'quantize-static', options: { scheme: 'w8a8', ...plainStatic(dialect) }, ...calibration };
  }
  const bits = weightBits[scheme];
  if (bits !== undefined) {
    // To the nearest: what rounding by data regains differs little between layers, and it would cost far more.
    const plain = { rounding: 'nearest', ends: false, smallest: 0 };
    return { pass: 'quantize-weights', options: { bits, conv: true, ...plain } };
  }
  if (scheme === 'fp16' || scheme === 'bf16') return { pass: scheme };
  if (scheme === 'float8') {
    return { pass: 'quantize-weights', options: { type: 'float8', conv: true, smallest: 0 } };
  }
  const pruned = /^prune(\d{1,2})$/.exec(scheme)?.[1];
  if (pruned !== undefined) return { pass: 'prune-magnitude', options: { sparsity: Number(pruned) / 100 } };
  const mixed = /^w\d{1,2}a\d{1,2}$/.test(scheme);
  if (mixed) return { pass: 'quantize-static', options: { scheme, ...plainStatic(dialect) }, ...calibration };
  throw new KerfError(
    'bad-option',
    `there is no scheme '${scheme}'; there are ${schemeNames.join(', ')}, w4a8 and the like, and prune followed by percent`,
  );
}

/** The step that a scheme becomes in a recipe: the same, at its best where that takes longer. */
export function recipeStepOf(scheme: string, dialect: Dialect, data?: string): RecipeStep {
  const step = stepOfScheme(scheme, dialect, data);
  if (step.options?.['rounding'] === undefined) return step;
  const { rounding: _nearest, equalize: _off, kernelShapes: _as, ...options } = step.options ?? {};
  return { ...step, options, ...(data !== undefined && { data }) };
}
