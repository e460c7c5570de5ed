import path from 'node:path';
import { readText } from '../formats/io/files.ts';
import { parseBudget } from '../optimize/budget.ts';
import type { Recipe } from '../optimize/recipe.ts';
import { parseRecipe, serialiseRecipe } from '../optimize/recipe.ts';
import type { RecipeStep } from '../passes/pass.ts';
import type { Budget } from '../rules/rule.ts';
import { fingerprintOf } from './fingerprint.ts';

/** Reads a recipe file; dataset paths in it are relative to the file and come back absolute. */
export function readRecipe(file: string): Recipe {
  const recipe = parseRecipe(readText(file), file);
  const folder = path.dirname(path.resolve(file));
  return {
    ...recipe,
    steps: recipe.steps.map((step) => withData(step, (data) => path.resolve(folder, data))),
  };
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

/** Reads the limits of a `kerf.json` file. */
export function readBudget(file: string): Budget {
  return parseBudget(readText(file), file);
}

function withData(step: RecipeStep, change: (data: string) => string): RecipeStep {
  return step.data === undefined ? step : { ...step, data: change(step.data) };
}
