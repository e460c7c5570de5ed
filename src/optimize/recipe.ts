import { KerfError } from '../ir/errors.ts';
import type { OptionValue, OptionValues, Pass, PassOption, RecipeStep } from '../passes/pass.ts';

/** Which file a recipe was made for. `head` digests only the first mebibyte, for files too large to read in full. */
export interface Fingerprint {
  readonly method: 'sha256' | 'sha256-head';
  /** Lower-case hexadecimal. */
  readonly digest: string;
  /** Length of the whole file. */
  readonly bytes: number;
  /** File name, for people only. */
  readonly name?: string;
}

/** Bytes that a `sha256-head` fingerprint covers. */
export const headBytes = 1 << 20;

/** The content of a `*.kerf.json` file: the ordered passes that turn one model into another. */
export interface Recipe {
  readonly model?: Fingerprint;
  readonly steps: readonly RecipeStep[];
  /** For people: where the recipe comes from. */
  readonly title?: string;
}

const version = 1;

/** The text of a recipe file; the same recipe always gives the same bytes. */
export function serialiseRecipe(recipe: Recipe): string {
  const { model, steps, title } = recipe;
  const content = {
    kerf: version,
    ...(title !== undefined && { title }),
    ...(model !== undefined && {
      model: {
        ...(model.name !== undefined && { name: model.name }),
        bytes: model.bytes,
        [model.method]: model.digest,
      },
    }),
    steps: steps.map(orderedStep),
  };
  return `${JSON.stringify(content, null, 2)}\n`;
}

function orderedStep({ pass, options, layers, data, bind, seed }: RecipeStep): object {
  return {
    pass,
    ...(options !== undefined && Object.keys(options).length > 0 && { options: sorted(options) }),
    ...(layers !== undefined && { layers }),
    ...(data !== undefined && { data }),
    ...(bind !== undefined && { bind: sorted(bind) }),
    ...(seed !== undefined && { seed }),
  };
}

function sorted(options: OptionValues): OptionValues {
  return Object.fromEntries(Object.entries(options).sort(([a], [b]) => (a < b ? -1 : 1)));
}

/** Reads a recipe file. Throws `KerfError('malformed')` naming the file, the place and what is wrong. */
export function parseRecipe(text: string, file?: string): Recipe {
  const root = record(parseJson(text, file), '', file);
  if (root['kerf'] !== version) fail('kerf', `is not ${version}: this is not a recipe of this version`, file);
  const steps = root['steps'];
  if (!Array.isArray(steps)) return fail('steps', 'is not a list', file);
  const title = root['title'];
  if (title !== undefined && typeof title !== 'string') fail('title', 'is not a text', file);
  return {
    ...(root['model'] !== undefined && { model: parseFingerprint(root['model'], file) }),
    steps: steps.map((step, index) => parseStep(step, `steps[${index}]`, file)),
    ...(typeof title === 'string' && { title }),
  };
}

function parseFingerprint(value: unknown, file?: string): Fingerprint {
  const model = record(value, 'model', file);
  const { name, bytes } = model;
  if (typeof bytes !== 'number' || !Number.isSafeInteger(bytes) || bytes < 0)
    return fail('model.bytes', 'is not a number of bytes', file);
  const method = model['sha256'] === undefined ? 'sha256-head' : 'sha256';
  const digest = model[method];
  if (typeof digest !== 'string' || !/^[0-9a-f]{64}$/.test(digest))
    return fail(`model.${method}`, 'is not 64 hexadecimal digits', file);
  if (name !== undefined && typeof name !== 'string') return fail('model.name', 'is not a text', file);
  return { method, digest, bytes, ...(name !== undefined && { name }) };
}

function parseStep(value: unknown, place: string, file?: string): RecipeStep {
  const step = record(value, place, file);
  const { pass, options, layers, data, bind, seed } = step;
  if (typeof pass !== 'string' || pass === '') return fail(`${place}.pass`, 'is not the id of a pass', file);
  if (data !== undefined && typeof data !== 'string') return fail(`${place}.data`, 'is not a path', file);
  if (seed !== undefined && !Number.isSafeInteger(seed))
    return fail(`${place}.seed`, 'is not a whole number', file);
  for (const key of Object.keys(step))
    if (!['pass', 'options', 'layers', 'data', 'bind', 'seed'].includes(key))
      fail(`${place}.${key}`, 'is not a field of a step', file);
  return {
    pass,
    ...(options !== undefined && { options: parseOptions(options, `${place}.options`, file) }),
    ...(layers !== undefined && { layers: texts(layers, `${place}.layers`, file) }),
    ...(typeof data === 'string' && { data }),
    ...(bind !== undefined && { bind: parseBindings(bind, `${place}.bind`, file) }),
    ...(typeof seed === 'number' && { seed }),
  };
}

function parseBindings(value: unknown, place: string, file?: string): Record<string, number> {
  const bind: Record<string, number> = {};
  for (const [name, size] of Object.entries(record(value, place, file))) {
    if (typeof size !== 'number' || !Number.isSafeInteger(size) || size < 1)
      return fail(`${place}.${name}`, 'is not a whole number of at least 1', file);
    bind[name] = size;
  }
  return bind;
}

function parseOptions(value: unknown, place: string, file?: string): OptionValues {
  const options: Record<string, OptionValue> = {};
  for (const [key, option] of Object.entries(record(value, place, file))) {
    if (typeof option !== 'number' && typeof option !== 'boolean' && typeof option !== 'string')
      return fail(`${place}.${key}`, 'is not a number, a text, true or false', file);
    options[key] = option;
  }
  return options;
}

/** What keeps a recipe from running with these passes, one line each; empty when nothing does. */
export function problemsOf(recipe: Recipe, passes: readonly Pass[]): readonly string[] {
  return recipe.steps.flatMap((step, index) => {
    const pass = passes.find((each) => each.id === step.pass);
    const place = `step ${index + 1}`;
    if (pass === undefined) return [`${place}: there is no pass '${step.pass}'`];
    return Object.entries(step.options ?? {}).flatMap(([name, value]) => {
      const option = pass.options.find((each) => each.name === name);
      if (option === undefined) return [`${place}: ${pass.id} has no option '${name}'`];
      const problem = problemOf(option, value);
      return problem === undefined ? [] : [`${place}: ${pass.id} ${name} ${problem}`];
    });
  });
}

function problemOf(option: PassOption, value: OptionValue): string | undefined {
  if (option.type === 'boolean') return typeof value === 'boolean' ? undefined : 'is not true or false';
  if (option.type === 'choice')
    return typeof value === 'string' && option.choices.includes(value)
      ? undefined
      : `is not one of ${option.choices.join(', ')}`;
  if (option.type === 'text') return typeof value === 'string' ? undefined : 'is not a text';
  if (typeof value !== 'number' || (option.type === 'integer' && !Number.isInteger(value)))
    return option.type === 'integer' ? 'is not a whole number' : 'is not a number';
  return value < option.min || value > option.max
    ? `is not between ${option.min} and ${option.max}`
    : undefined;
}

/** Whether a recipe was made for this file; a recipe without a fingerprint is for any. */
export function isMadeFor(recipe: Recipe, file: Fingerprint): boolean {
  const { model } = recipe;
  return (
    model === undefined ||
    (model.bytes === file.bytes && model.method === file.method && model.digest === file.digest)
  );
}

function parseJson(text: string, file?: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    return fail('', `is not JSON: ${error instanceof Error ? error.message : String(error)}`, file);
  }
}

function record(value: unknown, place: string, file?: string): Record<string, unknown> {
  const isRecord = (each: unknown): each is Record<string, unknown> =>
    typeof each === 'object' && each !== null && !Array.isArray(each);
  return isRecord(value) ? value : fail(place, 'is not an object', file);
}

function texts(value: unknown, place: string, file?: string): readonly string[] {
  const isTexts = (each: unknown): each is string[] =>
    Array.isArray(each) && each.every((item) => typeof item === 'string');
  return isTexts(value) ? value : fail(place, 'is not a list of texts', file);
}

function fail(place: string, message: string, file?: string): never {
  throw new KerfError('malformed', message, {
    ...(file !== undefined && { file }),
    place: place === '' ? 'recipe' : place,
  });
}
