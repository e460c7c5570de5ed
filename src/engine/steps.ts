import { KerfError } from '../ir/errors.ts';
import type { OptionValue, OptionValues, Pass, PassOption, RecipeStep } from '../passes/pass.ts';
import { passById } from '../passes/registry.ts';
import { checkBindings } from './bindings.ts';
import { calibrationNotes, calibratorFor, defaultSeed } from './calibration.ts';
import type { JobContext } from './context.ts';
import { findNode } from './nodeDetails.ts';
import { requireWeights } from './requireWeights.ts';
import type { Held, ModelStore } from './store.ts';

interface AppliedStep {
  readonly held: Held;
  readonly changed: readonly string[];
  readonly notes: readonly string[];
}

/** The model after one more step; found when it was made before, made otherwise. */
export async function applyStep(
  store: ModelStore,
  held: Held,
  step: RecipeStep,
  job: JobContext,
): Promise<AppliedStep> {
  const pass = findPass(step.pass);
  if (!pass.dialects.includes(held.model.dialect)) {
    throw new KerfError(
      'unsupported',
      pass.refusal ?? `${pass.id} does not work on ${held.model.dialect} models`,
      {
        file: held.path,
      },
    );
  }
  const options = completeOptions(pass, step.options ?? {});
  checkBindings(step.bind, [held.model]);
  for (const layer of step.layers ?? []) findNode(held.model, layer);
  const steps = [...held.steps, step];
  const handle = store.handleOf(held.path, steps);
  const known = store.find(handle);
  if (known !== undefined) return { held: known, changed: known.changed, notes: known.notes };
  const calibrator = calibratorFor(held, pass, step, job);
  const context = {
    seed: step.seed ?? defaultSeed,
    step: job.step,
    ...(step.layers && { layers: new Set(step.layers) }),
    ...(calibrator && { calibrator }),
  };
  const { model, changed, notes } = await namingFile(held, () => pass.run(held.model, options, context));
  if (model === held.model && !pass.exact) requireWeights(held.model, held.path);
  const used = model === held.model ? undefined : calibrator;
  const remarks = { changed, notes: [...notes, ...calibrationNotes(used, step)] };
  const next = store.add({ handle, model, damage: held.damage, path: held.path, steps, ...remarks });
  return { held: next, ...remarks };
}

/** Runs a pass; what it throws names the model's file unless it names another one. */
async function namingFile<T>(held: Held, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (!KerfError.is(error) || error.file !== undefined) throw error;
    const where = { file: held.path, ...(error.place !== undefined && { place: error.place }) };
    throw new KerfError(error.reason, error.message, where);
  }
}

/** Goes to a point of a journal: the file, then the steps, each looked up where it was made before. */
export async function goTo(
  store: ModelStore,
  file: string,
  steps: readonly RecipeStep[],
  job: JobContext,
): Promise<Held> {
  let known = 0;
  for (let count = steps.length; count > 0 && known === 0; count -= 1) {
    if (store.find(store.handleOf(file, steps.slice(0, count))) !== undefined) known = count;
  }
  let held = known === 0 ? store.openFile(file) : store.get(store.handleOf(file, steps.slice(0, known)));
  for (const step of steps.slice(known)) held = (await applyStep(store, held, step, job)).held;
  return held;
}

export function findPass(id: string): Pass {
  const pass = passById(id);
  if (pass === undefined) throw new KerfError('bad-option', `there is no pass '${id}'; see 'kerf passes'`);
  return pass;
}

/** Every declared option with its value or default. Throws `KerfError('bad-option')` on unknown or invalid ones. */
export function completeOptions(pass: Pass, given: OptionValues): OptionValues {
  const declared = new Map(pass.options.map((option) => [option.name, option]));
  for (const name of Object.keys(given)) {
    if (declared.has(name)) continue;
    const names = [...declared.keys()].join(', ') || 'none';
    throw new KerfError('bad-option', `${pass.id} has no option '${name}' (it has: ${names})`);
  }
  const values: Record<string, OptionValue> = {};
  for (const option of pass.options) {
    values[option.name] = checkedValue(pass.id, option, given[option.name] ?? option.default);
  }
  return values;
}

function checkedValue(pass: string, option: PassOption, value: OptionValue): OptionValue {
  const fail = (expected: string): never => {
    throw new KerfError('bad-option', `${pass}: option '${option.name}' must be ${expected}, not '${value}'`);
  };
  switch (option.type) {
    case 'boolean':
      return typeof value === 'boolean' ? value : fail('true or false');
    case 'choice':
      return option.choices.includes(String(value)) ? String(value) : fail(option.choices.join(' | '));
    case 'text':
      return String(value);
    case 'integer':
    case 'number': {
      const number = typeof value === 'number' ? value : Number.NaN;
      const whole = option.type === 'number' || Number.isInteger(number);
      return whole && number >= option.min && number <= option.max
        ? number
        : fail(
            `${option.type === 'integer' ? 'a whole number' : 'a number'} from ${option.min} to ${option.max}`,
          );
    }
  }
}

function isNumber(text: string): boolean {
  return text.trim() !== '' && !Number.isNaN(Number(text));
}

/** A step from text (`--set name=value` on the command line), with values typed as the pass declares them. */
export function stepFromText(
  id: string,
  texts: Readonly<Record<string, string>>,
  layers?: readonly string[],
  data?: string,
): RecipeStep {
  const pass = findPass(id);
  const types = new Map(pass.options.map((option) => [option.name, option.type]));
  const options: Record<string, OptionValue> = {};
  for (const [name, text] of Object.entries(texts)) {
    const type = types.get(name);
    if (type === 'boolean' && (text === 'true' || text === 'false')) options[name] = text === 'true';
    else if ((type === 'number' || type === 'integer') && isNumber(text)) options[name] = Number(text);
    else options[name] = text;
  }
  completeOptions(pass, options);
  return {
    pass: id,
    ...(Object.keys(options).length > 0 && { options }),
    ...(layers && { layers }),
    ...(data !== undefined && { data }),
  };
}
