import { KerfError } from '../ir/errors.ts';
import type { CheckConfig, SeverityOverride, Suppression } from '../rules/configured.ts';
import { parseBudget } from './budget.ts';

const severities: readonly SeverityOverride[] = ['error', 'warning', 'information', 'hint', 'off'];

/**
 * Reads a `kerf.json`: `{"budget": {…}, "rules": {"rule-id": "off"}, "suppress": [{"rule": "…", "layer": "…"}]}`, or the
 * limits alone. Throws `KerfError('malformed')` naming the file and the field.
 */
export function parseCheckConfig(text: string, file?: string): CheckConfig {
  const root = parsed(text, file);
  const whole = ['budget', 'rules', 'suppress'].some((key) => key in root);
  const limits = whole ? (root['budget'] ?? {}) : root;
  return {
    budget: parseBudget(JSON.stringify(limits), file),
    severities: severitiesOf(root['rules'] ?? {}, file),
    suppress: list(root['suppress'] ?? [], file).map((each, index) => suppression(each, index, file)),
  };
}

function severitiesOf(value: unknown, file?: string): Readonly<Record<string, SeverityOverride>> {
  if (!isRecord(value)) return fail('rules', 'is not an object', file);
  return Object.fromEntries(
    Object.entries(value).map(([rule, severity]) => {
      const known = severities.find((each) => each === severity);
      return [rule, known ?? fail(`rules.${rule}`, `is none of ${severities.join(', ')}`, file)];
    }),
  );
}

function suppression(value: unknown, index: number, file?: string): Suppression {
  const place = `suppress[${index}]`;
  if (!isRecord(value) || typeof value['rule'] !== 'string') return fail(place, 'needs a "rule"', file);
  for (const key of ['layer', 'model', 'reason'])
    if (value[key] !== undefined && typeof value[key] !== 'string')
      fail(`${place}.${key}`, 'is not a text', file);
  const { rule, layer, model, reason } = value as Record<string, string>;
  return {
    rule: rule as string,
    ...(layer !== undefined && { layer }),
    ...(model !== undefined && { model }),
    ...(reason !== undefined && { reason }),
  };
}

function parsed(text: string, file?: string): Record<string, unknown> {
  try {
    const root: unknown = JSON.parse(text);
    return isRecord(root) ? root : fail('kerf.json', 'is not an object', file);
  } catch (error) {
    if (KerfError.is(error)) throw error;
    return fail('kerf.json', `is not JSON: ${error instanceof Error ? error.message : String(error)}`, file);
  }
}

function list(value: unknown, file?: string): readonly unknown[] {
  return Array.isArray(value) ? value : fail('suppress', 'is not a list', file);
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function fail(place: string, message: string, file?: string): never {
  throw new KerfError('malformed', message, { ...(file !== undefined && { file }), place });
}
