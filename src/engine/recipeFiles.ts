import path from 'node:path';
import { readText } from '../formats/io/files.ts';
import { parseCheckConfig } from '../optimize/checkConfig.ts';
import type { Recipe } from '../optimize/recipe.ts';
import { isMadeFor, parseRecipe, problemsOf, serialiseRecipe } from '../optimize/recipe.ts';
import { KerfError } from '../ir/errors.ts';
import type { RecipeStep } from '../passes/pass.ts';
import { passes } from '../passes/registry.ts';
import type { CheckConfig } from '../rules/configured.ts';
import { fingerprintOf } from './fingerprint.ts';

/**
 * Reads a recipe file; dataset paths in it are relative to the file and come back absolute.
 * Throws `KerfError('malformed' | 'bad-option')` naming the file, the step and what is wrong with it.
 */
export function readRecipe(file: string): Recipe {
  const recipe = parseRecipe(readText(file), file);
  const [problem] = problemsOf(recipe, passes);
  if (problem !== undefined) throw new KerfError('bad-option', problem, { file });
  const folder = path.dirname(path.resolve(file));
  return {
    ...recipe,
    steps: recipe.steps.map((step) => withData(step, (data) => path.resolve(folder, data))),
  };
}

/** A remark when the recipe was made for another model file: it may do something else here. */
export function strangeness(recipe: Recipe, model: string): string | undefined {
  if (isMadeFor(recipe, fingerprintOf(model))) return undefined;
  return `the recipe was made for another file${recipe.model?.name === undefined ? '' : ` (${recipe.model.name})`}`;
}

/** The text of a recipe that is to lie at `file`: the model it starts from, and its steps. */
export function recipeText(
  file: string,
  model: string,
  steps: readonly RecipeStep[],
  title?: string,
): string {
  const folder = path.dirname(path.resolve(file));
  const relative = (data: string) => path.relative(folder, path.resolve(data)).split(path.sep).join('/');
  return serialiseRecipe({
    model: fingerprintOf(model),
    steps: steps.map((step) => withData(step, relative)),
    ...(title !== undefined && { title }),
  });
}

/** Reads the limits, severities and suppressions of a `kerf.json` file. */
export function readCheckConfig(file: string): CheckConfig {
  return parseCheckConfig(readText(file), file);
}

function withData(step: RecipeStep, change: (data: string) => string): RecipeStep {
  return step.data === undefined ? step : { ...step, data: change(step.data) };
}
