import { isAbsolute } from 'node:path';
import * as vscode from 'vscode';
import { KerfError } from '../ir/errors.ts';
import type { OptionValues } from '../passes/pass.ts';
import { applyPass, benchmark, compareWithOriginal, optimize, writeCandidate } from './commands/actions.ts';
import { callOptions } from './support/cancel.ts';
import { passesFor } from './support/passes.ts';
import { toolNames } from './contributions.ts';
import type { ModelDocument } from './document/document.ts';
import { describe } from './support/errorText.ts';
import type { CallOptions } from '../engine/protocol.ts';
import type { FindingsView } from './findings/findings.ts';
import type { Services } from './services.ts';
import { withDocument } from './targets.ts';
import { heaviestLayers } from './text/model.ts';

interface ModelInput {
  readonly path: string;
}
interface ApplyInput extends ModelInput {
  readonly pass: string;
  readonly options?: OptionValues;
  readonly layers?: readonly string[];
}

/** The same work for an agent in the editor: answers are JSON, edits are undoable, runs ask first. */
export function registerTools(services: Services, findings: FindingsView): vscode.Disposable {
  const tool = <T extends ModelInput>(
    name: string,
    answer: (document: ModelDocument, input: T, call: CallOptions) => Promise<unknown>,
    prepare: (input: T) => vscode.PreparedToolInvocation,
  ): vscode.Disposable =>
    vscode.lm.registerTool<T>(name, {
      prepareInvocation: ({ input }) => prepare(input),
      invoke: ({ input }, token) =>
        asResult(() =>
          withDocument(services.store, locate(input.path), (document) =>
            answer(document, input, callOptions(token)),
          ),
        ),
    });
  return vscode.Disposable.from(
    tool<ModelInput & { other?: string }>(
      toolNames.compare,
      (document, { other }, call) => compare(services, document, other, call),
      ({ path }) => ({ invocationMessage: vscode.l10n.t('Comparing {0}', path) }),
    ),
    tool<OptimizeInput>(
      toolNames.optimize,
      (document, input, call) => optimizeFor(services, document, input, call),
      ({ path, write }) => ({
        invocationMessage: vscode.l10n.t('Optimizing {0}', path),
        confirmationMessages: {
          title: vscode.l10n.t('Optimize the model'),
          message:
            write === false
              ? vscode.l10n.t('Runs variants of {0} with native code on this machine. Writes nothing.', path)
              : vscode.l10n.t(
                  'Runs variants of {0} with native code on this machine, and writes the best one beside it.',
                  path,
                ),
        },
      }),
    ),
    tool<ModelInput & { layers?: number }>(
      toolNames.inspect,
      (document, { layers }) => inspect(document, layers ?? 20),
      ({ path }) => ({ invocationMessage: vscode.l10n.t('Inspecting {0}', path) }),
    ),
    tool<ModelInput & { device?: string }>(
      toolNames.check,
      (document, { device }) => check(services, findings, document, device),
      ({ path }) => ({ invocationMessage: vscode.l10n.t('Checking {0}', path) }),
    ),
    tool<ApplyInput>(
      toolNames.apply,
      (document, input, call) => apply(services, document, input, call),
      ({ path, pass }) => ({
        invocationMessage: vscode.l10n.t('Applying {0} to {1}', pass, path),
        confirmationMessages: {
          title: vscode.l10n.t('Apply {0}', pass),
          message: vscode.l10n.t(
            'Edits {0} in the model editor. The edit can be undone and is not saved.',
            path,
          ),
        },
      }),
    ),
    tool<ModelInput & { runs?: number }>(
      toolNames.benchmark,
      (document, { runs }, call) =>
        benchmark(
          services,
          document,
          { original: false, ...(runs === undefined ? {} : { options: { runs } }) },
          call,
        ),
      ({ path }) => ({
        invocationMessage: vscode.l10n.t('Measuring {0}', path),
        confirmationMessages: {
          title: vscode.l10n.t('Run the model'),
          message: vscode.l10n.t('Runs {0} with native code on this machine.', path),
        },
      }),
    ),
  );
}

async function inspect(document: ModelDocument, count: number): Promise<unknown> {
  const { layers, ...report } = await document.inspection();
  const heaviest = heaviestLayers(layers, count).map(({ row, share }) => ({ ...row, share }));
  return { ...report, layerCount: layers.length, heaviestLayers: heaviest };
}

async function check(
  { settings }: Services,
  findings: FindingsView,
  document: ModelDocument,
  device: string | undefined,
): Promise<unknown> {
  if (device === undefined)
    return { device: settings.device(document.uri), findings: await findings.of(document) };
  return { device, ...(await document.ask('check', { device, budget: settings.budget(document.uri) })) };
}

async function apply(
  services: Services,
  document: ModelDocument,
  { pass, options, layers }: ApplyInput,
  call: CallOptions,
): Promise<unknown> {
  const passes = passesFor(await services.catalog.passes(), document.format);
  if (!passes.some(({ id }) => id === pass)) return { error: `there is no pass '${pass}'`, passes };
  const wanted = {
    pass,
    ...(options === undefined ? {} : { options }),
    ...(layers === undefined ? {} : { layers }),
  };
  return applyPass(services, document, wanted, call);
}

interface OptimizeInput extends ModelInput {
  readonly device?: string;
  readonly data?: string;
  readonly maxDrop?: number;
  readonly write?: boolean;
}

/** Against another file, or against the file that the document was made from. */
async function compare(
  services: Services,
  document: ModelDocument,
  other: string | undefined,
  call: CallOptions,
): Promise<unknown> {
  if (other === undefined) {
    const { before, after, diff } = await compareWithOriginal(services, document, call);
    return { ...diff, peakActivationBytes: [before.peakActivationBytes, after.peakActivationBytes] };
  }
  return withDocument(services.store, locate(other), async (second) => {
    const [a, b] = [await document.handle(), await second.handle()];
    return services.engine.call('diff', { a, b }, call);
  });
}

async function optimizeFor(
  services: Services,
  document: ModelDocument,
  input: OptimizeInput,
  call: CallOptions,
): Promise<unknown> {
  const device = input.device ?? services.settings.device(document.uri);
  if (device === null) throw new KerfError('bad-option', 'no device is chosen: give one');
  const data = input.data === undefined ? services.settings.data(document.uri) : locate(input.data).fsPath;
  const drop = input.maxDrop === undefined ? {} : { maxDrop: input.maxDrop };
  const report = await optimize(services, document, { device, data, ...drop }, call);
  const chosen = report.chosen === null ? undefined : report.candidates[report.chosen];
  if (chosen === undefined || input.write === false) return report;
  const title = `${device} ${chosen.title}`;
  const written = await writeCandidate(services, document, { title, steps: chosen.recipe }, call);
  return { ...report, written };
}

function locate(path: string): vscode.Uri {
  if (isAbsolute(path)) return vscode.Uri.file(path);
  const folder = vscode.workspace.workspaceFolders?.[0]?.uri;
  if (folder === undefined)
    throw new KerfError('not-found', 'there is no workspace: give an absolute path', { file: path });
  return vscode.Uri.joinPath(folder, path);
}

/** A failure is an answer too: the model reads why and tries something else. */
async function asResult(work: () => Promise<unknown>): Promise<vscode.LanguageModelToolResult> {
  const answer = await work().catch((error: unknown) => ({ error: describe(error) }));
  return new vscode.LanguageModelToolResult([new vscode.LanguageModelTextPart(JSON.stringify(answer))]);
}
