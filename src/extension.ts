import { join } from 'node:path';
import * as vscode from 'vscode';
import { createActiveModel } from './editor/activeModel.ts';
import { createBudgetFiles } from './editor/budgetFiles.ts';
import { createCatalog } from './editor/catalog.ts';
import { registerCommands } from './editor/commands/commands.ts';
import { viewType } from './editor/contributions.ts';
import { createEngineService } from './editor/engineService.ts';
import { describe } from './editor/support/errorText.ts';
import { createFindings } from './editor/findings/findings.ts';
import { createLayerTimes } from './editor/layerTimes.ts';
import { createLog } from './editor/support/log.ts';
import { registerMcp } from './editor/mcp.ts';
import { createPageHost } from './editor/page/host.ts';
import { createPreviews } from './editor/document/previews.ts';
import { createProvider } from './editor/provider.ts';
import { createReportDocuments } from './editor/reports/reportDocuments.ts';
import { createRunHistory } from './editor/reports/runHistory.ts';
import { createSelection } from './editor/selection.ts';
import type { Services } from './editor/services.ts';
import { createSettings } from './editor/settings.ts';
import { createStatusBar } from './editor/statusBar.ts';
import { createModelStore } from './editor/document/store.ts';
import { sweepStorage } from './editor/support/sweep.ts';
import { registerTextFeatures } from './editor/text/features.ts';
import { registerTextFileSystem } from './editor/text/fileSystem.ts';
import { createTextForms } from './editor/text/forms.ts';
import { registerTools } from './editor/tools.ts';
import { createTrees } from './editor/trees.ts';
import { forkEngine } from './engine/client.ts';

/** Composition only: creates the parts, registers them, nothing else. */
export function activate(context: vscode.ExtensionContext): Services {
  const keep = <T extends vscode.Disposable>(part: T): T => {
    context.subscriptions.push(part);
    return part;
  };
  const log = keep(createLog());
  const modulePath = context.asAbsolutePath(join('dist', 'engine.cjs'));
  const engine = keep(createEngineService((onCrash) => forkEngine({ modulePath, onCrash }), log));
  const storage = join((context.storageUri ?? context.globalStorageUri).fsPath, 'originals');
  const services: Services = {
    engine,
    log,
    extensionUri: context.extensionUri,
    store: keep(createModelStore({ engine, log, storage })),
    settings: keep(createSettings(context.workspaceState, keep(createBudgetFiles(log)))),
    selection: keep(createSelection()),
    catalog: keep(createCatalog(engine)),
    runs: keep(createRunHistory(context.workspaceState)),
  };
  const texts = keep(createTextForms(services));
  const findings = keep(createFindings(services, texts));
  const times = keep(createLayerTimes(services));
  const reports = keep(createReportDocuments());
  const previews = keep(createPreviews(services));
  const pages = keep(createPageHost(services, { texts, findings, times }));
  const provider = keep(createProvider(services.store, pages, log));
  const active = keep(createActiveModel(services));
  context.subscriptions.push(
    vscode.window.registerCustomEditorProvider(viewType, provider, {
      supportsMultipleEditorsPerDocument: true,
    }),
    registerTextFileSystem(texts),
    registerTextFeatures(services, texts, findings, times),
    registerCommands({ services, pages, texts, findings, reports, previews, times }),
    registerTools(services, findings),
    registerMcp(context),
    createStatusBar(services, active, findings),
    createTrees(services, active, findings),
    engine.onCrash(() => tellCrash()),
  );
  sweepStorage(storage).catch((error: unknown) => log.warn(`sweep: ${describe(error)}`));
  return services;
}

function tellCrash(): void {
  const show = vscode.l10n.t('Show Log');
  const message = vscode.l10n.t('The Kerf engine stopped and was started again. Open models were recovered.');
  vscode.window.showWarningMessage(message, show).then(
    (answer) => answer === show && vscode.commands.executeCommand('kerf.showLog'),
    () => undefined,
  );
}
