import { bf16 } from './bf16/bf16.ts';
import { binarize } from './binarize/binarize.ts';
import { cluster } from './cluster.ts';
import { fp16 } from './fp16/fp16.ts';
import { fuse } from './fuse/fuse.ts';
import { layout } from './layout/layout.ts';
import { lowRank } from './lowRank/lowRank.ts';
import { normStatistics } from './normStatistics/normStatistics.ts';
import type { Pass } from './pass.ts';
import { pruneChannels } from './pruneChannels/pruneChannels.ts';
import { removeDeadChannels } from './pruneChannels/removeDead.ts';
import { pruneMagnitude } from './pruneMagnitude/pruneMagnitude.ts';
import { quantizeDynamic } from './quantizeDynamic/quantizeDynamic.ts';
import { quantizeStatic } from './quantizeStatic/quantizeStatic.ts';
import { quantizeWeights } from './quantizeWeights/quantizeWeights.ts';
import { reorder } from './reorder/reorder.ts';
import { repair } from './repair/repair.ts';
import { requantize } from './requantize/requantize.ts';
import { compact } from './compact/compact.ts';
import { extract } from './surgery/extract.ts';
import { ioTypes } from './surgery/ioTypes.ts';
import { postprocess } from './surgery/postprocess.ts';
import { preprocess } from './surgery/preprocess.ts';
import { removeLayers } from './surgery/removeLayers.ts';
import { rename } from './surgery/rename.ts';
import { setShape } from './surgery/setShape.ts';
import { simplify } from './simplify/simplify.ts';

/** Every transformation there is, in the order in which people usually apply them. */
export const passes: readonly Pass[] = [
  simplify,
  fuse,
  layout,
  fp16,
  bf16,
  quantizeDynamic,
  quantizeWeights,
  binarize,
  quantizeStatic,
  requantize,
  removeDeadChannels,
  pruneChannels,
  pruneMagnitude,
  lowRank,
  cluster,
  normStatistics,
  compact,
  reorder,
  repair,
  removeLayers,
  extract,
  rename,
  setShape,
  ioTypes,
  preprocess,
  postprocess,
];

/** The pass with this id, or `undefined`. */
export function passById(id: string): Pass | undefined {
  return passes.find((pass) => pass.id === id);
}
