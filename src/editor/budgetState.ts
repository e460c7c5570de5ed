import type { EstimateReport } from '../engine/protocol.ts';
import type { InspectReport } from '../engine/answers.ts';
import type { Budget } from '../rules/rule.ts';

/** One limit of the budget with what the model uses of it; `used` is null when that is unknown. */
export interface BudgetUse {
  readonly limit: keyof Budget;
  readonly used: number | null;
  readonly allowed: number;
  readonly broken: boolean;
}

/** How the model stands against its budget. Limits that only an evaluation can tell are left out. */
export function budgetUse(
  budget: Budget,
  inspection: InspectReport,
  estimate: EstimateReport | undefined,
): readonly BudgetUse[] {
  const used: Partial<Record<keyof Budget, number | null>> = {
    fileBytes: inspection.fileBytes,
    macs: inspection.macs,
    flashBytes: estimate?.flashBytes ?? inspection.fileBytes,
    ramBytes: estimate?.ramBytes ?? inspection.peakActivationBytes,
    latencyMs: estimate?.latencyMs ?? null,
  };
  return (Object.keys(used) as (keyof Budget)[]).flatMap((limit) => {
    const allowed = budget[limit];
    if (allowed === undefined) return [];
    const amount = used[limit] ?? null;
    return [{ limit, used: amount, allowed, broken: amount !== null && amount > allowed }];
  });
}
