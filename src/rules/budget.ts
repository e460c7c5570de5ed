import { arenaBytesOf } from '../devices/arena.ts';
import { estimateOn } from '../devices/estimate.ts';
import { passFix } from './fixes.ts';
import { predictGain } from './gain.ts';
import type { Budget, Finding, Fix, Rule, RuleContext } from './rule.ts';
import { weightsOf } from './places.ts';
import { bytesText, constantBytes, durationText, onModel, shrinkingFixes, storedBytes } from './support.ts';

const remedy = `The limits come from \`kerf.json\` or from the workspace settings; \`kerf check\` fails when one is broken.`;

export const overFileBudget: Rule = {
  id: 'over-file-budget',
  severity: 'error',
  title: 'The file is larger than the budget allows',
  manual: `The model file is larger than \`fileBytes\` or \`flashBytes\` of the budget.

**Example.** 4.9 MB with a budget of 1 MB.

**Remedy.** Quantize, prune, or raise the limit. ${remedy}`,
  check(context) {
    const { fileBytes, flashBytes } = context.budget;
    const limit = Math.min(fileBytes ?? Number.POSITIVE_INFINITY, flashBytes ?? Number.POSITIVE_INFINITY);
    const used = storedBytes(context);
    if (used <= limit) return [];
    const message = `The file takes ${bytesText(used)}; the budget allows ${bytesText(limit)}.`;
    return onModel(overFileBudget, message, shrinkingFixes(context, constantBytes(context, 'float32')));
  },
};

export const overRamBudget: Rule = {
  id: 'over-ram-budget',
  severity: 'error',
  title: 'The activations need more RAM than the budget allows',
  manual: `The peak of the activation memory is above \`ramBytes\` of the budget.

**Example.** A peak of 300 kB with a budget of 256 kB.

**Remedy.** Quantize with calibration, lower the input resolution, or raise the limit. ${remedy}`,
  check({ model, analysis, budget }) {
    const used = arenaBytesOf(model, analysis);
    if (budget.ramBytes === undefined || used === undefined || used <= budget.ramBytes) return [];
    const allowed = bytesText(budget.ramBytes);
    return onModel(
      overRamBudget,
      `The activations peak at ${bytesText(used)}; the budget allows ${allowed}.`,
    );
  },
};

export const overMacsBudget: Rule = {
  id: 'over-macs-budget',
  severity: 'error',
  title: 'More arithmetic than the budget allows',
  manual: `One inference takes more multiply-accumulates than \`macs\` of the budget.

**Example.** 300 million MACs with a budget of 100 million.

**Remedy.** Prune channels, lower the input resolution, or raise the limit. ${remedy}`,
  check(context) {
    const { analysis, budget } = context;
    const { macs } = analysis.totals;
    if (budget.macs === undefined || macs === undefined || macs <= budget.macs) return [];
    return onModel(
      overMacsBudget,
      `One inference takes ${millions(macs)} MACs; the budget allows ${millions(budget.macs)}.`,
      pruned(context, macs, budget.macs),
    );
  },
};

export const overLatencyBudget: Rule = {
  id: 'over-latency-budget',
  severity: 'error',
  title: 'Slower on the device than the budget allows',
  manual: `The estimated latency on the chosen device is above \`latencyMs\` of the budget. When only the upper end of the
interval is above the limit it is a warning: measure on the device before you trust it.

**Example.** 120 ms (80 to 180) with a budget of 100 ms.

**Remedy.** Quantize with calibration, prune channels, or choose a faster device. ${remedy}`,
  check: (context) => latencyFindings(context),
};

/** One limit of a budget against what the model takes; unknown is null. The accuracy drop needs data and is not here. */
export interface BudgetUse {
  readonly limit: Exclude<keyof Budget, 'accuracyDrop'>;
  readonly used: number | null;
  readonly allowed: number;
  readonly verdict: 'ok' | 'over' | 'unknown';
  readonly basis: 'counted' | 'estimated';
}

/** Every limit that can be told of without running the model, by the measures the rules above use. */
export function budgetUses(context: RuleContext): readonly BudgetUse[] {
  const { model, analysis, budget, device } = context;
  const stored = storedBytes(context);
  const used: Record<BudgetUse['limit'], number | null | undefined> = {
    fileBytes: stored,
    flashBytes: stored,
    ramBytes: arenaBytesOf(model, analysis),
    macs: analysis.totals.macs,
    latencyMs: device === undefined ? undefined : estimateOn(device, model, analysis).latencyMs,
  };
  return (Object.keys(used) as BudgetUse['limit'][]).flatMap((limit) => {
    const allowed = budget[limit];
    if (allowed === undefined) return [];
    const value = used[limit] ?? null;
    const verdict = value === null ? 'unknown' : value > allowed ? 'over' : 'ok';
    return [{ limit, used: value, allowed, verdict, basis: limit === 'latencyMs' ? 'estimated' : 'counted' }];
  });
}

function latencyFindings(context: RuleContext): readonly Finding[] {
  const { budget, device, model, analysis } = context;
  if (budget.latencyMs === undefined || device === undefined) return [];
  const { latencyMs, latencyRangeMs } = estimateOn(device, model, analysis);
  if (latencyMs === null || latencyRangeMs === null || latencyRangeMs[1] <= budget.latencyMs) return [];
  const [low, high] = latencyRangeMs.map(durationText);
  const estimate = `${durationText(latencyMs)} (${low} to ${high}) on ${device.name}`;
  const over = latencyMs > budget.latencyMs;
  const message = over
    ? `Estimated at ${estimate}; the budget allows ${durationText(budget.latencyMs)}.`
    : `Estimated at ${estimate}; the upper end is above the budget of ${durationText(budget.latencyMs)}.`;
  const rule = over ? overLatencyBudget : { id: overLatencyBudget.id, severity: 'warning' as const };
  const offered = shrinkingFixes(context, constantBytes(context, 'float32'));
  const faster = offered.filter((fix) => predictGain(context, fix, []).latencyMs !== undefined);
  return onModel(rule, message, faster);
}

/** Less than this share is left of no network that still works. */
const leastLeft = 0.3;

function pruned(context: RuleContext, macs: number, allowed: number): readonly Fix[] {
  const share = Math.floor((100 * allowed) / macs) / 100;
  const weights = [...weightsOf(context.model)].some(({ tensor }) => tensor.dtype === 'float32');
  if (share < leastLeft || !weights) return [];
  const title = `Prune channels to ${(100 * share).toFixed(0)} % of the work, refitted to calibration data`;
  return passFix(context, 'prune-channels', {
    title,
    options: { macs: share },
    gain: { macs: macs * (1 - share) },
  });
}

function millions(count: number): string {
  return count >= 1e9 ? `${(count / 1e9).toPrecision(3)} G` : `${(count / 1e6).toPrecision(3)} M`;
}
