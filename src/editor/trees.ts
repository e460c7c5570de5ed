import * as vscode from 'vscode';
import type { LayerRow } from '../engine/answers.ts';
import type { ActiveModel } from './activeModel.ts';
import { viewIds } from './contributions.ts';
import type { FindingsView } from './findings/findings.ts';
import { findingsOf } from './findings/findingView.ts';
import { formatBytes, formatCount, formatMs } from './support/format.ts';
import type { Services } from './services.ts';
import { layerLabel } from './text/model.ts';

/** The views of the Kerf container: layers, steps so far, devices, benchmark runs. */
export function createTrees(
  services: Services,
  active: ActiveModel,
  findings: FindingsView,
): vscode.Disposable {
  return vscode.Disposable.from(
    layersTree(services, active, findings),
    listTree(viewIds.passes, [active.onDidChange], () => passItems(services, active)),
    listTree(
      viewIds.devices,
      [active.onDidChange, services.settings.onDidChange, services.catalog.onDidChangeDevices],
      () => deviceItems(services, active),
    ),
    listTree(viewIds.runs, [services.runs.onDidChange], () => runItems(services)),
  );
}

/** Layers in execution order; follows and sets the selection. */
function layersTree({ selection }: Services, active: ActiveModel, findings: FindingsView): vscode.Disposable {
  const changed = new vscode.EventEmitter<void>();
  let rows = new Map<string, LayerRow>();
  const view = vscode.window.createTreeView<string>(viewIds.layers, {
    treeDataProvider: {
      onDidChangeTreeData: changed.event,
      async getChildren(parent) {
        const { document } = active;
        if (document === undefined || parent !== undefined) return [];
        const { layers } = await document.inspection();
        rows = new Map(layers.map((row) => [row.id, row]));
        return [...rows.keys()];
      },
      getParent: () => undefined,
      getTreeItem(id) {
        const row = rows.get(id);
        const item = new vscode.TreeItem(row === undefined ? id : layerLabel(row));
        item.id = id;
        if (row === undefined) return item;
        item.description = `${row.op} · ${formatBytes(row.weightBytes)} · ${formatCount(row.macs, 'MACs')}`;
        item.tooltip = `${item.description} · ${row.outputShapes.join(', ')}`;
        const document = active.document;
        const found = document === undefined ? [] : findingsOf(findings.known(document), id);
        if (found.length > 0) item.iconPath = new vscode.ThemeIcon('warning');
        return item;
      },
    },
  });
  const reveal = (layer: string | null): void => {
    // Revealing in a hidden view would open the container.
    if (layer === null || !view.visible || !rows.has(layer)) return;
    view.reveal(layer, { select: true, focus: false }).then(undefined, () => undefined);
  };
  return vscode.Disposable.from(
    view,
    changed,
    active.onDidChange(() => changed.fire()),
    findings.onDidChange(() => changed.fire()),
    view.onDidChangeSelection(({ selection: [layer] }) => {
      if (active.document !== undefined && layer !== undefined)
        selection.select({ document: active.document, layer, from: view });
    }),
    selection.onDidSelect(({ document, layer, from }) => {
      if (document === active.document && from !== view) reveal(layer);
    }),
  );
}

/** A flat view made anew whenever one of the events fires. */
function listTree(
  id: string,
  events: readonly vscode.Event<unknown>[],
  items: () => Promise<readonly vscode.TreeItem[]>,
): vscode.Disposable {
  const changed = new vscode.EventEmitter<void>();
  const view = vscode.window.createTreeView<vscode.TreeItem>(id, {
    treeDataProvider: {
      onDidChangeTreeData: changed.event,
      getChildren: async (parent) => (parent === undefined ? [...(await items())] : []),
      getTreeItem: (item) => item,
    },
  });
  return vscode.Disposable.from(view, changed, ...events.map((event) => event(() => changed.fire())));
}

async function passItems(
  { catalog }: Services,
  { document }: ActiveModel,
): Promise<readonly vscode.TreeItem[]> {
  if (document === undefined) return [];
  const titles = new Map((await catalog.passes()).map(({ id, title }) => [id, title]));
  const item = (step: (typeof document.steps)[number], undone: boolean): vscode.TreeItem => {
    const made = new vscode.TreeItem(titles.get(step.pass) ?? step.pass);
    const options = Object.entries(step.options ?? {}).map(([name, value]) => `${name}=${String(value)}`);
    const layers = step.layers === undefined ? [] : [vscode.l10n.t('{0} layers', step.layers.length)];
    made.description = [...options, ...layers].join(' ');
    made.iconPath = new vscode.ThemeIcon(undone ? 'circle-outline' : 'pass');
    if (undone) made.description = [vscode.l10n.t('undone'), made.description].join(' · ');
    return made;
  };
  return [
    ...document.steps.map((step) => item(step, false)),
    ...document.undone.map((step) => item(step, true)),
  ];
}

class DeviceItem extends vscode.TreeItem {
  override readonly contextValue = 'device';
  readonly device: string;
  constructor(name: string, device: string) {
    super(name);
    this.device = device;
  }
}

async function deviceItems(
  { catalog, settings }: Services,
  { document }: ActiveModel,
): Promise<readonly vscode.TreeItem[]> {
  const current = settings.device(document?.uri);
  return (await catalog.devices()).map((device) => {
    const item = new DeviceItem(device.name, device.id);
    item.description = device.class;
    item.iconPath = new vscode.ThemeIcon(device.id === current ? 'target' : 'circuit-board');
    item.tooltip = [device.cpu, device.runtime, device.source].join('\n');
    item.command = {
      command: 'kerf.useDevice',
      title: vscode.l10n.t('Use as Target Device'),
      arguments: [device.id],
    };
    return item;
  });
}

async function runItems({ runs }: Services): Promise<readonly vscode.TreeItem[]> {
  return runs.runs.map((run) => {
    const item = new vscode.TreeItem(run.file.split('/').at(-1) ?? run.file);
    const { latencyMs, against } = run.report;
    const speedup = against === undefined ? '' : ` · ${against.speedup.toFixed(2)}×`;
    item.description = `${formatMs(latencyMs.median)}${speedup} · ${new Date(run.when).toLocaleString()}`;
    item.tooltip = [run.file, run.report.runtime, run.steps.join(', ')].join('\n');
    item.iconPath = new vscode.ThemeIcon('dashboard');
    item.command = { command: 'kerf.showRun', title: vscode.l10n.t('Show Run'), arguments: [run.id] };
    return item;
  });
}
