import { basename, dirname, extname, join } from 'node:path';
import * as vscode from 'vscode';
import { readRecipe } from '../../engine/recipeFiles.ts';
import type { RecipeStep } from '../../passes/pass.ts';
import type { ModelDocument } from './document.ts';
import type { EngineService } from '../engineService.ts';
import { pick } from '../commands/quickForms.ts';

/** Writes the recipe of a model value: the fingerprint of the file it starts from, and its steps. */
export async function exportRecipe(
  engine: EngineService,
  document: ModelDocument,
  further: readonly RecipeStep[],
  path: string,
): Promise<void> {
  const handle = await document.variant(further);
  await engine.call('export', { handle, to: 'recipe', path });
}

/** Asks where, then writes the recipe of the document. Undefined when the question was dismissed. */
export async function saveRecipeAs(
  engine: EngineService,
  document: ModelDocument,
): Promise<vscode.Uri | undefined> {
  const stem = basename(document.path, extname(document.path));
  const defaultUri = vscode.Uri.file(join(dirname(document.path), `${stem}.kerf.json`));
  const filters = { [vscode.l10n.t('Recipes')]: ['kerf.json'] };
  const uri = await vscode.window.showSaveDialog({ defaultUri, filters });
  if (uri !== undefined) await exportRecipe(engine, document, [], uri.fsPath);
  return uri;
}

/** The steps of a recipe file; asks which one when none is given. */
export async function recipeSteps(file: vscode.Uri | undefined): Promise<readonly RecipeStep[]> {
  return readRecipe((file ?? (await pickRecipe())).fsPath).steps;
}

async function pickRecipe(): Promise<vscode.Uri> {
  const found = await vscode.workspace.findFiles('**/*.kerf.json', '**/{node_modules,.git}/**', 200);
  const items: (vscode.QuickPickItem & { uri?: vscode.Uri })[] = found.map((uri) => ({
    label: vscode.workspace.asRelativePath(uri),
    uri,
  }));
  const { uri } = await pick([...items, { label: vscode.l10n.t('Browse…') }], {
    title: vscode.l10n.t('Recipe'),
  });
  if (uri !== undefined) return uri;
  const filters = { [vscode.l10n.t('Recipes')]: ['json'] };
  const [chosen] = (await vscode.window.showOpenDialog({ filters })) ?? [];
  if (chosen === undefined) throw new vscode.CancellationError();
  return chosen;
}
