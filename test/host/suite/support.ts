import assert from 'node:assert/strict';
import path from 'node:path';
import * as vscode from 'vscode';
import type { ModelDocument } from '../../../src/editor/document/document.ts';
import type { Services } from '../../../src/editor/services.ts';
import { writeParts } from '../../../src/formats/io/writeParts.ts';
import { readModelFile } from '../../../src/formats/io/models.ts';
import { encodeOnnx } from '../../../src/formats/onnx/write.ts';
import type { Bytes } from '../../../src/ir/bytes.ts';

/** The parts of the running extension. */
export function services(): Services {
  const extension = vscode.extensions.getExtension<Services>('kerf.kerf');
  assert.ok(extension?.isActive, 'the extension is active');
  return extension.exports;
}

export function documentOf(uri: vscode.Uri): ModelDocument {
  const document = services().store.find(uri);
  assert.ok(document, `${uri.path} is open`);
  return document;
}

/** Writes an ONNX model again, with its larger weights in a file beside it. */
export async function writeWithExternalData(from: string, to: string, location: string): Promise<void> {
  const { model } = readModelFile(from);
  assert.equal(model.dialect, 'onnx');
  const weights: Bytes[] = [];
  let offset = 0;
  const encoded = encodeOnnx(model, ({ data }) => {
    if (data.length < 1024) return undefined;
    const reference = { location, offset, length: data.length, checksum: undefined };
    weights.push(data);
    offset += data.length;
    return reference;
  });
  await writeParts(path.join(path.dirname(to), location), weights);
  await writeParts(to, encoded);
}

/** A file system in memory: what a remote or virtual workspace looks like to the extension. */
export class MemoryFiles implements vscode.FileSystemProvider {
  readonly #files = new Map<string, { bytes: Uint8Array; time: number }>();
  readonly #changed = new vscode.EventEmitter<vscode.FileChangeEvent[]>();
  readonly onDidChangeFile = this.#changed.event;

  watch(): vscode.Disposable {
    return new vscode.Disposable(() => undefined);
  }
  stat(uri: vscode.Uri): vscode.FileStat {
    const file = this.#files.get(uri.path);
    if (file !== undefined)
      return { type: vscode.FileType.File, ctime: 0, mtime: file.time, size: file.bytes.length };
    const isFolder = [...this.#files.keys()].some((name) => name.startsWith(`${uri.path}/`));
    if (!isFolder && uri.path !== '/') throw vscode.FileSystemError.FileNotFound(uri);
    return { type: vscode.FileType.Directory, ctime: 0, mtime: 0, size: 0 };
  }
  readDirectory(): [string, vscode.FileType][] {
    return [];
  }
  createDirectory(): void {
    // Folders are implied by the files in them.
  }
  readFile(uri: vscode.Uri): Uint8Array {
    const file = this.#files.get(uri.path);
    if (file === undefined) throw vscode.FileSystemError.FileNotFound(uri);
    return file.bytes;
  }
  writeFile(uri: vscode.Uri, bytes: Uint8Array): void {
    this.#files.set(uri.path, { bytes, time: Date.now() });
    this.#changed.fire([{ type: vscode.FileChangeType.Changed, uri }]);
  }
  delete(uri: vscode.Uri): void {
    this.#files.delete(uri.path);
  }
  rename(from: vscode.Uri, to: vscode.Uri): void {
    this.writeFile(to, this.readFile(from));
    this.delete(from);
  }
}
