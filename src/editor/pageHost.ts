import * as vscode from 'vscode';
import type { WireError } from '../engine/protocol.ts';
import { KerfError } from '../ir/errors.ts';
import { isCancellation } from './cancel.ts';
import type { ModelDocument } from './document.ts';
import { describe } from './engineService.ts';
import type { FindingsView } from './findings.ts';
import { pageHandlers } from './pageHandlers.ts';
import { pageHtml, pageRoots } from './pageHtml.ts';
import type { HostCall, Notice, PageHandlers, PageMethod, Tab, ToHost, ToPage } from './pageProtocol.ts';
import { revisionOf, stateOf } from './pageState.ts';
import type { Services } from './services.ts';
import type { TextForms } from './textForms.ts';

/** The panels that show documents: HTML, requests, notices. */
export interface PageHost extends vscode.Disposable {
  resolve(document: ModelDocument, panel: vscode.WebviewPanel): void;
  /** Shows a tab in the document's panel and starts its job; false when there is no panel. */
  show(document: ModelDocument, tab: Tab, run: boolean): boolean;
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
  },
): PageHost {
  const panels = new Set<Panel>();
  const toAll = (which: (panel: Panel) => boolean, notice: (panel: Panel) => Notice): void => {
    for (const panel of panels) if (which(panel)) panel.notify(notice(panel));
  };
  const changed = ({ document }: Panel): Notice => ({
    notice: 'changed',
    state: stateOf(services, document),
  });
  const subscriptions = [
    services.settings.onDidChange(() => toAll(() => true, changed)),
    vscode.workspace.onDidGrantWorkspaceTrust(() => toAll(() => true, changed)),
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
      const handlers = pageHandlers(services, document, panel, {
        reveal: () => panel.reveal(panel.viewColumn, false),
        showText: (layer) => around.texts.show(document, layer),
        showRule: async (rule) => vscode.commands.executeCommand('kerf.showRule', rule),
        findings: around.findings,
      });
      const line = connect(panel.webview, handlers, () => revisionOf(services, document));
      const entry: Panel = { document, panel, notify: line.notify };
      panels.add(entry);
      const listeners = vscode.Disposable.from(
        line,
        document.onDidChange(() => entry.notify(changed(entry))),
      );
      panel.onDidDispose(() => {
        panels.delete(entry);
        listeners.dispose();
      });
      panel.webview.html = pageHtml(panel.webview, services.extensionUri);
    },
    show(document, tab, run) {
      const shown = [...panels].filter((panel) => panel.document === document);
      const panel = shown.find((each) => each.panel.active) ?? shown[0];
      if (panel === undefined) return false;
      panel.panel.reveal(panel.panel.viewColumn, false);
      panel.notify({ notice: 'show', tab, run });
      return true;
    },
    isOpen: (document) => [...panels].some((panel) => panel.document === document),
    dispose: () => vscode.Disposable.from(...subscriptions).dispose(),
  };
}

interface Line extends vscode.Disposable {
  notify(notice: Notice): void;
}

/** Answers that describe the model belong to the revision they were asked at; the others are news. */
const reads: ReadonlySet<PageMethod> = new Set([
  'graph',
  'node',
  'inspect',
  'layers',
  'tensor',
  'check',
  'estimate',
  'bench',
  'evaluate',
  'compare',
  'optimize',
]);

/** Serves one webview. Notices wait for the page's first `ready`: messages to a page that is not there are lost. */
export function connect(
  webview: Pick<vscode.Webview, 'postMessage' | 'onDidReceiveMessage'>,
  handlers: PageHandlers,
  revision: () => number,
): Line {
  const running = new Map<number, AbortController>();
  const waiting: Notice[] = [];
  let ready = false;
  const post = (message: ToPage): void => {
    // oxlint-disable-next-line unicorn/require-post-message-target-origin -- a webview, not a window
    webview.postMessage(message).then(undefined, () => undefined);
  };
  const abandon = (): void => {
    for (const controller of running.values()) controller.abort();
    running.clear();
  };
  const serve = async (id: number, method: PageMethod, params: unknown): Promise<void> => {
    const controller = new AbortController();
    running.set(id, controller);
    const current = (): boolean => running.get(id) === controller;
    const call: HostCall = {
      signal: controller.signal,
      progress: (fraction, message) => current() && post({ kind: 'progress', id, fraction, message }),
    };
    const asked = revision();
    const handler = handlers[method] as (params: unknown, call: HostCall) => Promise<unknown>;
    try {
      const result = await handler(params, call);
      if (current()) post({ kind: 'result', id, revision: reads.has(method) ? asked : revision(), result });
    } catch (error) {
      if (current()) post({ kind: 'error', id, error: toWire(error) });
    } finally {
      if (current()) running.delete(id);
    }
  };
  const greet = async (message: ToHost & { kind: 'call' }): Promise<void> => {
    abandon();
    await serve(message.id, message.method, message.params);
    ready = true;
    for (const notice of waiting.splice(0)) post({ kind: 'notice', ...notice });
  };
  const listener = webview.onDidReceiveMessage((message: ToHost) => {
    if (message.kind === 'cancel') running.get(message.id)?.abort();
    else if (message.method === 'ready') void greet(message);
    else void serve(message.id, message.method, message.params);
  });
  return {
    notify: (notice) => (ready ? post({ kind: 'notice', ...notice }) : void waiting.push(notice)),
    dispose() {
      listener.dispose();
      abandon();
    },
  };
}

function toWire(error: unknown): WireError {
  if (isCancellation(error)) return { reason: 'cancelled', message: 'cancelled' };
  if (!KerfError.is(error)) return { reason: 'internal', message: describe(error) };
  const { reason, message, file, place } = error;
  return {
    reason,
    message,
    ...(file === undefined ? {} : { file }),
    ...(place === undefined ? {} : { place }),
  };
}
