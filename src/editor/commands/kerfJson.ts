import { parseCheckConfig } from '../../optimize/checkConfig.ts';

/** The text of a kerf.json with one more accepted finding; limits that stood at the top move under `budget`. */
export function withSuppression(
  text: string,
  entry: { readonly rule: string; readonly model: string; readonly layer?: string },
): string {
  const config = parseCheckConfig(text, 'kerf.json');
  const root = JSON.parse(text) as Record<string, unknown>;
  const whole = ['budget', 'rules', 'suppress'].some((key) => key in root);
  const { $schema, ...limits } = root;
  const base =
    whole || Object.keys(limits).length === 0
      ? root
      : { ...($schema !== undefined && { $schema }), budget: limits };
  const next = { ...base, suppress: [...config.suppress, entry] };
  return `${JSON.stringify(next, null, 2)}\n`;
}
