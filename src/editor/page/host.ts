import * as vscode from 'vscode';
import type { ModelDocument } from '../document/document.ts';
import type { FindingsView } from '../findings/findings.ts';
import { graphAhead } from './graphAhead.ts';
import type { LayerTimes } from '../layerTimes.ts';
import { pageHandlers } from './handlers.ts';
import { pageHtml, pageRoots } from './html.ts';
import { connect } from './line.ts';
import type { Against, Notice, Tab } from './protocol.ts';
import { revisionOf, stateOf } from './state.ts';
import type { Services } from '../services.ts';
import type { TextForms } from '../text/forms.ts';

/** The panels that show documents: HTML, requests, notices. */
export interface PageHost extends vscode.Disposable {
  resolve(document: ModelDocument, panel: vscode.WebviewPanel): void;
  /** Shows a tab in the document's panel and starts its job; false when there is no panel. */
  show(document: ModelDocument, tab: Tab, run: boolean): boolean;
  /** Shows a comparison in the document's panel; false when there is no panel. */
  compare(document: ModelDocument, against: Against): boolean;
  /** Colours the graph of the document's panel by values from a file; false when there is no panel. */
  values(document: ModelDocument, file: { readonly name: string; readonly text: string }): boolean;
  /** Colours the graph by the sensitivities just measured; false when there is no panel. */
  measured(document: ModelDocument): boolean;
  isOpen(document: ModelDocument): boolean;
}

interface Panel {
  readonly document: ModelDocument;
  readonly panel: vscode.WebviewPanel;
  notify(notice: Notice): void;
}

export function createPageHost(
  services: Services,
  around: {
    readonly texts: TextForms;
    readonly findings: FindingsView;
    readonly times: LayerTimes;
  },
): PageHost {
  const panels = new Set<Panel>();
  const toAll = (which: (panel: Panel) => boolean, notice: (panel: Panel) => Notice): void => {
    for (const panel of panels) if (which(panel)) panel.notify(notice(panel));
  };
  /** To the panel of a document that is in front. */
  const tell = (document: ModelDocument, notice: Notice): boolean => {
    const shown = [...panels].filter((panel) => panel.document === document);
    const panel = shown.find((each) => each.panel.active) ?? shown[0];
    if (panel === undefined) return false;
    panel.notify(notice);
    panel.panel.reveal(panel.panel.viewColumn, false);
    return true;
  };
  const changed = ({ document }: Panel): Notice => ({
    notice: 'changed',
    state: stateOf(services, document),
  });
  const subscriptions = [
    services.settings.onDidChange(() => toAll(() => true, changed)),
    vscode.workspace.onDidGrantWorkspaceTrust(() => toAll(() => true, changed)),
    around.times.onDidMeasure((document) =>
      toAll(
        (panel) => panel.document === document,
        () => ({ notice: 'measured', show: false }),
      ),
    ),
    services.selection.onDidSelect(({ document, layer, from }) =>
      toAll(
        (panel) => panel.document === document && panel.panel !== from,
        () => ({ notice: 'select', layer }),
      ),
    ),
  ];
  return {
    resolve(document, panel) {
      panel.webview.options = { enableScripts: true, localResourceRoots: pageRoots(services.extensionUri) };
      const graph = graphAhead(
        () => `${revisionOf(services, document)} ${services.engine.generation}`,
        (options) => {
          const device = services.settings.device(document.uri);
          const params = { marks: false, ...(device === null ? {} : { device }) };
          return document.ask('graph', params, options);
        },
      );
      // The page takes a while to load; its picture need not wait for the engine then.
      graph.ask();
      const handlers = pageHandlers(services, document, panel, {
        reveal: () => panel.reveal(panel.viewColumn, false),
        showText: (layer) => around.texts.show(document, layer),
        showRule: async (rule) => vscode.commands.executeCommand('kerf.showRule', rule),
        graph,
        findings: around.findings,
        times: around.times,
      });
      const line = connect(panel.webview, handlers, () => revisionOf(services, document));
      const entry: Panel = { document, panel, notify: line.notify };
      panels.add(entry);
      const listeners = vscode.Disposable.from(
        line,
        document.onDidChange((reason) => {
          if (reason !== 'saved' && panel.visible) graph.ask();
          entry.notify(changed(entry));
        }),
        panel.onDidChangeViewState(() => !panel.visible && line.sleep()),
      );
      panel.onDidDispose(() => {
        panels.delete(entry);
        listeners.dispose();
      });
      panel.webview.html = pageHtml(panel.webview, services.extensionUri);
    },
    show: (document, tab, run) => tell(document, { notice: 'show', tab, run }),
    compare: (document, against) => tell(document, { notice: 'compare', against }),
    values: (document, file) => tell(document, { notice: 'values', ...file }),
    measured: (document) => tell(document, { notice: 'measured', show: true }),
    isOpen: (document) => [...panels].some((panel) => panel.document === document),
    dispose: () => vscode.Disposable.from(...subscriptions).dispose(),
  };
}
