import { expect } from 'vitest';
import { analyse } from '../../../src/analysis/analyse.ts';
import type { DeviceProfile } from '../../../src/devices/profile.ts';
import { deviceById } from '../../../src/devices/registry.ts';
import type { Model } from '../../../src/ir/model.ts';
import { checkModel, rules } from '../../../src/rules/registry.ts';
import type { Finding, RuleContext } from '../../../src/rules/rule.ts';

export function device(id: string, change: Partial<DeviceProfile> = {}): DeviceProfile {
  const found = deviceById(id);
  if (found === undefined) throw new Error(`no device ${id}`);
  return { ...found, ...change };
}

export function check(model: Model, context: Partial<RuleContext> = {}): readonly Finding[] {
  return checkModel({ model, analysis: analyse(model), budget: {}, ...context });
}

/** The findings of one rule. */
export function of(rule: string, model: Model, context: Partial<RuleContext> = {}): readonly Finding[] {
  expect(rules.map((each) => each.id)).toContain(rule);
  return check(model, context).filter((finding) => finding.rule === rule);
}
