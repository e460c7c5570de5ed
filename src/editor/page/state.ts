import * as vscode from 'vscode';
import type { ModelDocument } from '../document/document.ts';
import type { DocumentState } from './protocol.ts';
import type { Services } from '../services.ts';

/** Both parts only grow, so their sum does. */
export function revisionOf({ settings }: Services, document: ModelDocument): number {
  return document.revision + settings.revision;
}

export function stateOf(services: Services, document: ModelDocument): DocumentState {
  const { settings, selection } = services;
  return {
    revision: revisionOf(services, document),
    model: document.modelKey,
    file: document.fileName,
    format: document.format,
    dirty: document.dirty,
    trusted: vscode.workspace.isTrusted,
    device: settings.device(document.uri),
    budget: settings.budget(document.uri),
    data: settings.data(document.uri),
    steps: document.steps,
    undone: document.undone,
    selection: selection.of(document),
  };
}
