import { basename } from 'node:path';
import * as vscode from 'vscode';
import type { CallOptions, Handle } from '../../engine/protocol.ts';
import type { InspectReport } from '../../engine/answers.ts';
import type { ModelDocument } from '../document/document.ts';
import type { Against, HostCall, OtherModel, PageHandlers, PageInspect } from './protocol.ts';
import type { Services } from '../services.ts';
import { sliced } from './sliced.ts';
import { pickModel } from '../targets.ts';

/** What the page asks about two models: the current one, and a former state of it or another file. */
export function pageComparison(
  services: Services,
  document: ModelDocument,
): Pick<PageHandlers, 'other' | 'pickOther' | 'compareTexts' | 'history'> {
  const { engine } = services;
  return {
    async other({ against }, call) {
      if (against.kind === 'steps') {
        const handle = await document.handleBefore(against.count);
        return otherModel(services, document, { handle, title: titleOf(document, against) }, options(call));
      }
      const { handle } = await engine.call('open', { path: against.path }, options(call));
      try {
        const title = basename(against.path);
        return await otherModel(services, document, { handle, title }, options(call));
      } finally {
        await engine.call('release', { handle });
      }
    },

    async pickOther() {
      const uri = await pickModel(vscode.l10n.t('Compare {0} with…', document.fileName), document.uri);
      return { kind: 'file', path: uri.fsPath };
    },

    async compareTexts({ path }) {
      const command = 'kerf.compareWith';
      await vscode.commands.executeCommand(command, vscode.Uri.file(path), document.uri, 'texts');
      return null;
    },

    async history(_, call) {
      const points = [];
      for (let count = 0; count <= document.steps.length; count++) {
        const handle = await document.handleBefore(count);
        const { fileBytes, params, macs } = await engine.call(
          'inspect',
          { handle, sparsity: false },
          options(call),
        );
        points.push({ fileBytes, params, macs });
      }
      return { points };
    },
  };
}

function titleOf(document: ModelDocument, { count }: Against & { kind: 'steps' }): string {
  if (count === 0) return vscode.l10n.t('{0} as opened', document.fileName);
  return vscode.l10n.t('{0} after step {1}', document.fileName, count);
}

async function otherModel(
  { engine, settings }: Services,
  document: ModelDocument,
  other: { readonly handle: Handle; readonly title: string },
  call: CallOptions,
): Promise<OtherModel> {
  const { handle, title } = other;
  const device = settings.device(document.uri);
  const graph = await engine.call('graph', { handle, ...(device === null ? {} : { device }) }, call);
  const before = await engine.call('inspect', { handle }, call);
  const after = await document.inspection();
  const diff = await engine.call('diff', { a: handle, b: await document.handle() }, call);
  return { title, graph: sliced(graph), before: withoutRows(before), after: withoutRows(after), diff };
}

/** The rows of ten thousand layers would cross for nothing. */
export function withoutRows({ layers, ...report }: InspectReport): PageInspect {
  return { ...report, layerCount: layers.length };
}

function options({ signal, progress }: HostCall): CallOptions {
  return { signal, onProgress: progress };
}
