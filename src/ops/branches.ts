import type { OpCost } from './operator.ts';

/** The cost of If: that of the branch which is taken, or of the more expensive one where that is not known. */
export function branchCost(yes: OpCost, no: OpCost, taken: boolean | undefined): OpCost {
  if (taken !== undefined) return { ...(taken ? yes : no), formula: `the ${taken ? 'then' : 'else'} branch` };
  return {
    macs: larger(yes.macs, no.macs),
    otherOps: larger(yes.otherOps, no.otherOps),
    formula: 'the more expensive branch',
  };
}

function larger(a: number | undefined, b: number | undefined): number | undefined {
  return a === undefined || b === undefined ? undefined : Math.max(a, b);
}
