import * as vscode from 'vscode';
import type { LayerRow } from '../../engine/answers.ts';
import { KerfError } from '../../ir/errors.ts';
import { textExtension, textScheme } from '../contributions.ts';
import type { ModelDocument } from '../document/document.ts';
import type { Services } from '../services.ts';
import { indexText, type TextIndex } from './model.ts';

/** What is known about the text that an open text form shows. */
export interface ShownText {
  readonly document: ModelDocument;
  readonly index: TextIndex;
  readonly rows: ReadonlyMap<string, LayerRow>;
}

/** The text forms of models: what they say, who looks at them, and the selection that moves with the graph. */
export interface TextForms extends vscode.Disposable {
  /** A text form was printed again. */
  readonly onDidPrint: vscode.Event<ShownText & { readonly uri: vscode.Uri }>;
  /** An open text form does not say what its model is any more. */
  readonly onDidOutdate: vscode.Event<vscode.Uri>;
  /** Opens the text form beside, at a layer when one is given. */
  show(document: ModelDocument, layer?: string): Promise<void>;
  /** The current text of a model, whether a text form is open or not. */
  print(document: ModelDocument): Promise<ShownText>;
  /** The text for an editor; the model stays open until the editor's text is closed. */
  read(uri: vscode.Uri): Promise<ShownText>;
  /** What an open text form shows; undefined when the text is not one, or not printed yet. */
  shown(uri: vscode.Uri): ShownText | undefined;
}

interface OpenText {
  readonly held: Promise<ModelDocument>;
  shown?: ShownText;
  follow?: vscode.Disposable;
}

/** A reader that opens no editor (a file search, a hover of a tab) holds the model no longer than this. */
const readerSeconds = 30;

export function textUri(model: vscode.Uri): vscode.Uri {
  const query = model.scheme === 'file' ? '' : model.toString();
  return vscode.Uri.from({ scheme: textScheme, path: model.path + textExtension, query });
}

export function modelUri(text: vscode.Uri): vscode.Uri {
  if (text.query !== '') return vscode.Uri.parse(text.query);
  return vscode.Uri.file(text.path.slice(0, -textExtension.length));
}

export function createTextForms(services: Services): TextForms {
  const { store, selection } = services;
  const outdated = new vscode.EventEmitter<vscode.Uri>();
  const didPrint = new vscode.EventEmitter<ShownText & { uri: vscode.Uri }>();
  const texts = new Map<string, OpenText>();
  const prints = new WeakMap<ModelDocument, { key: string; text: Promise<ShownText> }>();
  const print = (document: ModelDocument): Promise<ShownText> => {
    const known = prints.get(document);
    if (known?.key === document.modelKey) return known.text;
    const text = printed(document);
    prints.set(document, { key: document.modelKey, text });
    text.catch(() => prints.delete(document));
    return text;
  };
  const hold = (uri: vscode.Uri): OpenText => {
    const key = uri.toString();
    const known = texts.get(key);
    if (known !== undefined) return known;
    const entry: OpenText = { held: store.acquire(modelUri(uri)) };
    texts.set(key, entry);
    entry.held.then(
      (document) => {
        entry.follow = document.onDidChange((reason) => reason !== 'saved' && outdated.fire(uri));
      },
      () => texts.delete(key),
    );
    setTimeout(() => !isOpen(uri) && letGo(uri), readerSeconds * 1000);
    return entry;
  };
  const letGo = (uri: vscode.Uri): void => {
    const entry = texts.get(uri.toString());
    if (entry === undefined) return;
    texts.delete(uri.toString());
    entry.follow?.dispose();
    entry.held.then((document) => store.release(document)).catch(() => undefined);
  };
  const subscriptions = [
    outdated,
    didPrint,
    vscode.workspace.onDidCloseTextDocument((text) => text.uri.scheme === textScheme && letGo(text.uri)),
    selection.onDidSelect(({ document, layer, from }) => revealSelected(document, layer, from)),
    vscode.window.onDidChangeTextEditorSelection(({ textEditor, kind }) => {
      // Programmatic moves answer a selection made elsewhere.
      if (kind === undefined || textEditor.document.uri.scheme !== textScheme) return;
      const shown = texts.get(textEditor.document.uri.toString())?.shown;
      const layer = shown?.index.layerAt(textEditor.selection.active.line);
      if (shown !== undefined && layer !== undefined)
        selection.select({ document: shown.document, layer, from: textEditor.document });
    }),
  ];
  const revealSelected = (document: ModelDocument, layer: string | null, from: object | undefined): void => {
    if (layer === null) return;
    const key = textUri(document.uri).toString();
    for (const editor of vscode.window.visibleTextEditors)
      if (editor.document.uri.toString() === key && editor.document !== from)
        revealLayer(editor, texts.get(key)?.shown, layer);
  };
  return {
    onDidPrint: didPrint.event,
    onDidOutdate: outdated.event,
    print,
    shown: (uri) => texts.get(uri.toString())?.shown,
    async read(uri) {
      const entry = hold(uri);
      const shown = await print(await entry.held);
      entry.shown = shown;
      didPrint.fire({ uri, ...shown });
      return shown;
    },
    async show(document, layer) {
      const uri = textUri(document.uri);
      const text = await vscode.workspace.openTextDocument(uri);
      const editor = await vscode.window.showTextDocument(text, {
        viewColumn: vscode.ViewColumn.Beside,
        preview: false,
      });
      if (layer !== undefined && !revealLayer(editor, texts.get(uri.toString())?.shown, layer))
        throw new KerfError('not-found', `the text form has no layer '${layer}'`);
    },
    dispose() {
      for (const entry of texts.values()) entry.follow?.dispose();
      vscode.Disposable.from(...subscriptions).dispose();
    },
  };
}

function isOpen(uri: vscode.Uri): boolean {
  return vscode.workspace.textDocuments.some((text) => text.uri.toString() === uri.toString());
}

async function printed(document: ModelDocument): Promise<ShownText> {
  const form = await document.ask('text', {});
  const { layers } = await document.inspection();
  return { document, index: indexText(form), rows: new Map(layers.map((row) => [row.id, row])) };
}

function revealLayer(editor: vscode.TextEditor, shown: ShownText | undefined, layer: string): boolean {
  const line = shown?.index.lineOf(layer);
  if (line === undefined || line >= editor.document.lineCount) return false;
  const { range, firstNonWhitespaceCharacterIndex } = editor.document.lineAt(line);
  const start = new vscode.Position(line, firstNonWhitespaceCharacterIndex);
  editor.selection = new vscode.Selection(start, start);
  editor.revealRange(range, vscode.TextEditorRevealType.InCenterIfOutsideViewport);
  return true;
}
