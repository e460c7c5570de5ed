import type { Damage } from '../ir/errors.ts';
import type { Finding } from './rule.ts';

/** What was broken in the file itself, in the form of what rules find. */
export function damageFinding({ severity, place, message }: Damage): Finding {
  return {
    rule: 'damaged-file',
    severity,
    message: place === '' ? message : `${place}: ${message}`,
    fixes: [],
  };
}
