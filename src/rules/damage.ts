import type { Damage } from '../ir/errors.ts';
import type { Finding } from './rule.ts';

/** What was broken in the file itself, in the form of what rules find. Weights that cannot be read have a rule of their own. */
export function damageFindings(damage: readonly Damage[]): readonly Finding[] {
  return damage
    .filter(({ place }) => place !== 'external data')
    .map(({ severity, place, message }) => ({
      rule: 'damaged-file',
      severity,
      message: place === '' ? message : `${place}: ${message}`,
      fixes: [],
    }));
}
