import { mkdir } from 'node:fs/promises';
import { basename, join } from 'node:path';
import * as vscode from 'vscode';
import type { CallOptions, Handle } from '../../engine/protocol.ts';
import type { Dialect } from '../../ir/model.ts';
import type { EngineService } from '../engineService.ts';

/** A model value that is to be written. */
interface Written {
  readonly handle: Handle;
  readonly format: Dialect;
}

/** Writes a model to a path; the extension of the other format converts it. */
export async function writeModel(
  engine: EngineService,
  { handle, format }: Written,
  path: string,
  options: CallOptions,
): Promise<void> {
  const other = format === 'onnx' ? '.tflite' : '.onnx';
  await engine.call(path.toLowerCase().endsWith(other) ? 'convert' : 'save', { handle, path }, options);
}

/** Writes a model wherever VS Code can; places that are no files get a copy of one made in `scratch`. */
export async function writeModelTo(
  engine: EngineService,
  model: Written,
  { destination, scratch }: { readonly destination: vscode.Uri; readonly scratch: string },
  options: CallOptions,
): Promise<void> {
  if (destination.scheme === 'file') return writeModel(engine, model, destination.fsPath, options);
  await mkdir(scratch, { recursive: true });
  const path = join(scratch, basename(destination.path));
  await writeModel(engine, model, path, options);
  await copyOut(path, destination);
}

/** Whole-file copy to a place that only VS Code can write; such places have no other way. */
export async function copyOut(path: string, destination: vscode.Uri): Promise<void> {
  await vscode.workspace.fs.copy(vscode.Uri.file(path), destination, { overwrite: true });
}
