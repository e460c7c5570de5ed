import { basename, dirname, extname, join } from 'node:path';
import * as vscode from 'vscode';
import type {
  BenchOptions,
  BenchReport,
  CallOptions,
  EvalReport,
  OptimizeReport,
} from '../../engine/protocol.ts';
import type { ApplyReport, DiffReport, InspectReport } from '../../engine/answers.ts';
import { spanOf } from '../../engine/applyReports.ts';
import { KerfError } from '../../ir/errors.ts';
import type { OptionValues, RecipeStep } from '../../passes/pass.ts';
import { viewType } from '../contributions.ts';
import { datasetFor } from '../dataset.ts';
import type { ModelDocument } from '../document/document.ts';
import { freeName } from '../support/fileNames.ts';
import { exportRecipe } from '../document/recipeFile.ts';
import type { Services } from '../services.ts';
import { groupOf } from '../targets.ts';
import { warnIfSlower } from './speedAfter.ts';
import { requireTrust } from '../support/trust.ts';

/** What commands, page, text form and language-model tools do to a document; each surface only asks and shows. */

interface PassCall {
  readonly pass: string;
  readonly options?: OptionValues;
  readonly layers?: readonly string[];
}

/** Opens the custom editor when needed: edits without an editor have nowhere to be undone. */
async function ensureEditor(document: ModelDocument): Promise<void> {
  if (groupOf(document.uri) !== undefined) return;
  await vscode.commands.executeCommand('vscode.openWith', document.uri, viewType, {
    viewColumn: vscode.ViewColumn.Beside,
    preserveFocus: true,
    preview: false,
  });
}

/** The recipe step of a call, with the dataset it needs; asks for one when the document has none. */
export async function stepOf(
  services: Services,
  document: ModelDocument,
  call: PassCall,
): Promise<RecipeStep> {
  const info = (await services.catalog.passes()).find((pass) => pass.id === call.pass);
  if (info === undefined) throw new KerfError('bad-option', `there is no pass '${call.pass}'`);
  const step: RecipeStep = {
    pass: call.pass,
    ...(call.options === undefined ? {} : { options: call.options }),
    ...(call.layers === undefined ? {} : { layers: call.layers }),
  };
  if (info.calibration === 'none') return step;
  if (info.calibration === 'required') requireTrust();
  // Nobody is asked for what a pass can do without.
  const data =
    info.calibration === 'optional'
      ? services.settings.data(document.uri)
      : await datasetFor(services.settings, document);
  return data === null ? step : { ...step, data };
}

/** Applies one pass as an undoable edit. */
export async function applyPass(
  services: Services,
  document: ModelDocument,
  call: PassCall,
  options: CallOptions,
): Promise<ApplyReport> {
  const info = (await services.catalog.passes()).find((pass) => pass.id === call.pass);
  const step = await stepOf(services, document, call);
  const title = info?.title ?? call.pass;
  const before = info?.mayBeSlower === true ? await document.handle() : undefined;
  const report = await applySteps(document, title, [step], options);
  if (before !== undefined && report.changed.length > 0) {
    // Nobody waits for it: the warning comes when the measurement is done.
    void warnIfSlower(services, document, title, { handle: before, fileBytes: report.before.fileBytes });
  }
  return report;
}

/** Applies several steps as one undoable edit; the report spans all of them. */
export async function applySteps(
  document: ModelDocument,
  label: string,
  steps: readonly RecipeStep[],
  options: CallOptions,
): Promise<ApplyReport> {
  if (steps.some((step) => step.data !== undefined)) requireTrust();
  await ensureEditor(document);
  return spanOf(await document.apply(label, steps, options));
}

/** Measures the current model, against the original in alternating runs when asked; the run is remembered. */
export async function benchmark(
  services: Services,
  document: ModelDocument,
  how: { readonly options?: BenchOptions; readonly original: boolean },
  call: CallOptions,
): Promise<BenchReport> {
  requireTrust();
  const data = services.settings.data(document.uri);
  const options = {
    ...services.settings.bench(document.uri),
    ...(data === null ? {} : { data }),
    ...how.options,
  };
  const against = how.original ? { against: await document.original() } : {};
  const report = await document.ask('bench', { options, ...against }, call);
  const steps = document.steps.map((step) => step.pass);
  await services.runs.add({ file: document.uri.fsPath, steps, report });
  return report;
}

/** Against the labels of a dataset where it has some, and against the original. */
export async function evaluate(
  document: ModelDocument,
  data: string,
  call: CallOptions,
): Promise<EvalReport> {
  requireTrust();
  return document.ask('evaluate', { data, reference: await document.original() }, call);
}

interface Comparison {
  readonly before: InspectReport;
  readonly after: InspectReport;
  readonly diff: DiffReport;
}

/** The current model against the original it was made from. */
export async function compareWithOriginal(
  services: Services,
  document: ModelDocument,
  call: CallOptions,
): Promise<Comparison> {
  const a = await document.original();
  const b = await document.handle();
  const before = await services.engine.call('inspect', { handle: a }, call);
  const after = await services.engine.call('inspect', { handle: b }, call);
  const diff = await services.engine.call('diff', { a, b }, call);
  return { before, after, diff };
}

/** Tries recipes for a device; writes nothing. */
export function optimize(
  services: Services,
  document: ModelDocument,
  how: { readonly device: string; readonly data: string | null; readonly maxDrop?: number },
  call: CallOptions,
): Promise<OptimizeReport> {
  requireTrust();
  const maxDrop = how.maxDrop ?? services.settings.maxDrop(document.uri);
  const data = how.data === null ? {} : { data: how.data };
  return document.ask('optimize', { device: how.device, maxDrop, ...data }, call);
}

/** Writes the model with further steps beside the original, with the whole recipe next to it. */
export async function writeCandidate(
  services: Services,
  document: ModelDocument,
  candidate: { readonly title: string; readonly steps: readonly RecipeStep[] },
  call: CallOptions,
): Promise<{ model: string; recipe: string; fileBytes: number }> {
  const folder = dirname(document.path);
  const extension = extname(document.path);
  const stem = basename(document.path, extension);
  const model = await freeName(folder, `${stem}.${slug(candidate.title)}`, extension);
  const handle = await document.variant(candidate.steps);
  const { fileBytes } = await services.engine.call('save', { handle, path: model }, call);
  const recipe = join(folder, `${basename(model, extension)}.kerf.json`);
  await exportRecipe(services.engine, document, candidate.steps, recipe);
  return { model, recipe, fileBytes };
}

function slug(title: string): string {
  const text = title
    .toLowerCase()
    .replaceAll(/[^a-z0-9]+/g, '-')
    .replaceAll(/^-+|-+$/g, '');
  return text === '' ? 'optimized' : text.slice(0, 40);
}
