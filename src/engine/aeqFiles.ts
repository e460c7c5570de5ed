import { readText } from '../formats/io/files.ts';
import { KerfError } from '../ir/errors.ts';
import type { Model } from '../ir/model.ts';
import type { AeqSteps } from '../optimize/aeq/read.ts';
import { stepsOfAeq } from '../optimize/aeq/read.ts';
import { isAeqRecipe, parseAeqRecipe } from '../optimize/aeq/types.ts';
import { readModelFile } from '../formats/io/models.ts';
import type { RecipeStep } from '../passes/pass.ts';
import { readRecipe, strangeness } from './recipeFiles.ts';

/**
 * The steps of a recipe file for a model file, and what is to be said about them: one of Kerf's own, or the list of
 * rules that AI Edge Quantizer reads. Throws `KerfError('malformed' | 'bad-option' | 'unsupported')`.
 */
export function readAnyRecipe(file: string, modelFile: string): AeqSteps {
  const document = aeqDocument(file);
  if (document !== undefined) return readAeq(document, readModelFile(modelFile).model, file);
  const found = readRecipe(file);
  const remark = strangeness(found, modelFile);
  return { steps: found.steps, notes: remark === undefined ? [] : [remark] };
}

function readAeq(document: unknown, model: Model, file: string): AeqSteps {
  try {
    return stepsOfAeq(parseAeqRecipe(document, file), model);
  } catch (error) {
    if (!KerfError.is(error) || error.file !== undefined) throw error;
    throw new KerfError(error.reason, error.message, { file, ...(error.place && { place: error.place }) });
  }
}

/** The parsed file when it is such a list; what is no JSON at all is for the reader of Kerf's own recipes to refuse. */
function aeqDocument(file: string): unknown {
  const text = readText(file);
  if (!text.trimStart().startsWith('[')) return undefined;
  try {
    const document: unknown = JSON.parse(text);
    return isAeqRecipe(document) ? document : undefined;
  } catch {
    return undefined;
  }
}

/** The same steps with data where they have none: recipes of other tools name no dataset. */
export function withDataset(steps: readonly RecipeStep[], data: string | undefined): readonly RecipeStep[] {
  return data === undefined ? steps : steps.map((step) => ({ ...step, data }));
}
