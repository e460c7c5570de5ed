import { createHash } from 'node:crypto';
import path from 'node:path';
import { openFile } from '../formats/io/openFile.ts';
import { forEachPiece } from '../ir/bytes.ts';
import type { Fingerprint } from '../optimize/recipe.ts';
import { headBytes } from '../optimize/recipe.ts';

/** Files beyond this are told apart by their first mebibyte and their length. */
const wholeFileLimit = 256 * 1024 * 1024;
const pieceBytes = 4 * 1024 * 1024;

/** What a recipe remembers of the file it was made for. */
export function fingerprintOf(file: string): Fingerprint {
  const bytes = openFile(file);
  const whole = bytes.length <= wholeFileLimit;
  const hash = createHash('sha256');
  forEachPiece(whole ? bytes : bytes.slice(0, headBytes), pieceBytes, (piece) => hash.update(piece));
  return {
    method: whole ? 'sha256' : 'sha256-head',
    digest: hash.digest('hex'),
    bytes: bytes.length,
    name: path.basename(file),
  };
}
