import fs from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

const root = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '../../..');

/** The models that ship with the project. */
export const samples = path.join(root, 'samples');
const fixtures = path.join(root, 'test/fixtures');

/** A larger collection of public models beside the checkout, used when it is there. */
export const shared = path.join(root, '../shared');
export const hasShared = fs.existsSync(path.join(shared, 'models'));

/** Every model file with the extension: the project's own and, where present, the shared collection. */
export function modelFiles(extension: '.onnx' | '.tflite'): string[] {
  const folders = [samples, fixtures];
  if (hasShared)
    for (const each of ['own', 'onnx', 'skeletons', 'tflite'])
      folders.push(path.join(shared, 'models', each));
  return folders
    .filter((folder) => fs.existsSync(folder))
    .flatMap((folder) => fs.readdirSync(folder).map((name) => path.join(folder, name)))
    .filter((file) => file.endsWith(extension))
    .sort();
}
