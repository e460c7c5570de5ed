import type { BudgetUse } from '../../engine/protocol.ts';
import { bytes, count, milliseconds, table } from '../format.ts';

const shown = {
  fileBytes: ['model file', bytes],
  flashBytes: ['flash', bytes],
  ramBytes: ['RAM', bytes],
  macs: ['MACs', count],
  latencyMs: ['latency', milliseconds],
} as const;

/** Limits as a table for people and logs: used, allowed, share, verdict. */
export function budgetTable(uses: readonly BudgetUse[]): string {
  const cells = uses.map(({ limit, used, allowed, verdict, basis }) => {
    const [title, format] = shown[limit];
    const share = used === null ? '' : `${((100 * used) / allowed).toFixed(0)} %`;
    const words = verdict === 'over' ? 'OVER BUDGET' : verdict;
    return [
      title,
      format(used),
      format(allowed),
      share,
      basis === 'estimated' ? `${words} (estimated)` : words,
    ];
  });
  return table([['budget', 'used', 'allowed', 'share', ''], ...cells], [1, 2, 3]);
}
