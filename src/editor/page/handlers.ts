import { basename } from 'node:path';
import * as vscode from 'vscode';
import type { CallOptions, Checks, SensitivityReport } from '../../engine/protocol.ts';
import { applyPass, applySteps, benchmark, evaluate, optimize, writeCandidate } from '../commands/actions.ts';
import { askForDataset, datasetFor } from '../dataset.ts';
import type { ModelDocument } from '../document/document.ts';
import type { FindingsView } from '../findings/findings.ts';
import { fixBehind } from '../findings/findingView.ts';
import type { GraphAhead } from './graphAhead.ts';
import type { LayerTimes } from '../layerTimes.ts';
import { pageComparison, withoutRows } from './comparison.ts';
import { pageFiles } from './files.ts';
import type { HostCall, PageHandlers, PageSensitivity } from './protocol.ts';
import { stateOf } from './state.ts';
import type { Services } from '../services.ts';
import { shippedSizes } from './shippedSizes.ts';
import { sliced } from './sliced.ts';
import { withOptionsFor } from '../support/passes.ts';
import { requireTrust } from '../support/trust.ts';

/** What the page may ask for that is not the engine's business. */
interface PageSurroundings {
  /** Brings the panel to the front, so that workbench commands act on it. */
  reveal(): void;
  showText(layer: string | undefined): Promise<void>;
  showRule(rule: string): Promise<void>;
  readonly graph: GraphAhead;
  readonly findings: FindingsView;
  readonly times: LayerTimes;
}

/** One handler per page method, for one panel of a document. */
export function pageHandlers(
  services: Services,
  document: ModelDocument,
  panel: vscode.WebviewPanel,
  around: PageSurroundings,
): PageHandlers {
  const { settings, selection, catalog } = services;
  const device = (): { device?: string } => {
    const id = settings.device(document.uri);
    return id === null ? {} : { device: id };
  };
  // Badges and details show the findings that Problems shows.
  const checked = (): { device?: string; checks: Checks } => ({
    ...device(),
    checks: {
      budget: settings.budget(document.uri),
      ...settings.checks(document.uri),
      file: document.fileName,
    },
  });
  const state = () => stateOf(services, document);
  return {
    ready: async () => state(),
    graph: async (_, call) => sliced(await around.graph.take(options(call))),
    node: ({ id }, call) => document.ask('node', { id, ...checked() }, options(call)),
    inspect: async () => withoutRows(await document.inspection()),
    layers: async (_, call) => sliced(await document.ask('layers', {}, options(call))),
    // Several panels and the status bar share one measurement: none of them may cancel it.
    shipped: () => shippedSizes(services.engine, document),
    tensor: (at, call) => document.ask('tensor', at, options(call)),
    tensorPage: async (at, call) => sliced(await document.ask('tensorPage', at, options(call))),
    channels: async (at, call) => sliced(await document.ask('channels', at, options(call))),
    sparsity: async (_, call) => sliced(await document.ask('sparsity', {}, options(call))),
    async sensitivity({ scheme }, call) {
      requireTrust();
      const data = await datasetFor(settings, document);
      const params = { scheme, ...(data === null ? {} : { data }) };
      const report = await document.ask('sensitivity', params, options(call));
      // Hints and hovers in the text form say the same.
      around.times.setSensitivity(document, report);
      return sensitivityOf(report);
    },
    async measured() {
      const report = around.times.measured(document);
      return report === undefined ? null : sensitivityOf(report);
    },
    ...pageComparison(services, document),
    ...pageFiles(document),
    check: async () => ({ findings: await around.findings.of(document) }),
    estimate: (_, call) =>
      document.ask('estimate', { device: settings.device(document.uri) ?? '' }, options(call)),
    // Passes of the other format stay: the page says why they are refused.
    passes: async () => ({
      passes: (await catalog.passes()).map((pass) => withOptionsFor(pass, document.format)),
    }),
    devices: async () => ({ devices: await catalog.devices() }),
    async setDevice({ device: id }) {
      await settings.setDevice(id);
      return state();
    },
    async apply(params, call) {
      const fix = fixBehind(around.findings.known(document), params);
      const report = await applyPass(services, document, params, options(call));
      // A fix from the page is told of and measured like one from anywhere else.
      if (fix !== undefined) await vscode.commands.executeCommand('kerf.afterFix', document.uri, fix, report);
      return report;
    },
    applyRecipe: ({ title, steps }, call) => applySteps(document, title, steps, options(call)),
    undo: () => workbench(around, 'undo'),
    redo: () => workbench(around, 'redo'),
    bench: (params, call) => benchmark(services, document, params, options(call)),
    async evaluate({ data }, call) {
      const chosen = data ?? (await evaluationData(services, document));
      return evaluate(document, chosen, options(call));
    },
    async optimize({ device: id, maxDrop }, call) {
      const data = await datasetFor(settings, document);
      const how = { device: id, data, ...(maxDrop === undefined ? {} : { maxDrop }) };
      return optimize(services, document, how, options(call));
    },
    async writeCandidate(params, call) {
      const { model, recipe, fileBytes } = await writeCandidate(services, document, params, options(call));
      return { model: basename(model), recipe: basename(recipe), fileBytes };
    },
    async select({ layer }) {
      selection.select({ document, layer, from: panel });
      return null;
    },
    async showText({ layer }) {
      await around.showText(layer);
      return null;
    },
    async showRule({ rule }) {
      await around.showRule(rule);
      return null;
    },
    async pickData() {
      await askForDataset(settings, document);
      return state();
    },
    async copy({ text }) {
      await vscode.env.clipboard.writeText(text);
      return null;
    },
  };
}

async function evaluationData({ settings }: Services, document: ModelDocument): Promise<string> {
  const data = settings.data(document.uri) ?? (await askForDataset(settings, document, { allowNone: false }));
  return data ?? '';
}

/** Undo and redo belong to the workbench's stack: asking it keeps the tab's dirty mark and the Edit menu right. */
async function workbench(around: PageSurroundings, command: 'undo' | 'redo'): Promise<null> {
  around.reveal();
  await vscode.commands.executeCommand(command);
  return null;
}

function options(call: HostCall): CallOptions {
  return { signal: call.signal, onProgress: (fraction, message) => call.progress(fraction, message) };
}

function sensitivityOf({ scheme, data, layers }: SensitivityReport): PageSensitivity {
  return { scheme, data, layers: layers.map(({ id, sqnrDb }) => ({ id, sqnrDb })) };
}
