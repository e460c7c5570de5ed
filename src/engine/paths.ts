import { requireFolder, requireOutput } from '../formats/io/files.ts';
import { KerfError } from '../ir/errors.ts';
import type { Dialect } from '../ir/model.ts';

/**
 * Refuses an output before the work rather than after it: its folder must be there, and its name must not promise the
 * other format. Throws `KerfError('io' | 'bad-option')`.
 */
export function checkOutput(file: string, format?: Dialect): void {
  requireOutput(file);
  const other = format === 'onnx' ? 'tflite' : 'onnx';
  if (format !== undefined && file.toLowerCase().endsWith(`.${other}`)) {
    throw new KerfError(
      'bad-option',
      `the result is an ${format} model; 'kerf convert' makes ${other} ones`,
      {
        file,
      },
    );
  }
}

/** Throws `KerfError('io')` unless all of the folders are there. */
export function checkFolders(folders: readonly string[]): void {
  folders.forEach(requireFolder);
}
