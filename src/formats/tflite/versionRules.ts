import { arithmeticVersions } from './arithmeticVersions.ts';
import { layerVersions } from './layerVersions.ts';
import { movementVersions } from './movementVersions.ts';
import type { Rules } from './versionConditions.ts';

/**
 * The version that each operator needs, first rule that holds; 1 when none does. A version that is too low is worse
 * than one that is too high: an old runtime would accept the operator and compute garbage.
 */
export const versionRules: Readonly<Record<string, Rules>> = {
  ...layerVersions,
  ...movementVersions,
  ...arithmeticVersions,
};
