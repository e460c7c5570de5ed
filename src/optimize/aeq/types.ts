import { KerfError } from '../../ir/errors.ts';

/** Recipes of AI Edge Quantizer (github.com/google-ai-edge/ai-edge-quantizer, `recipe_manager.py`): a list of rules. */
export interface AeqRule {
  /** Searched for in the names of an operator's outputs, each followed by a semicolon. */
  readonly regex: string;
  /** A builtin operator, or `*`; `INPUT` and `OUTPUT` stand for the ends of the model. */
  readonly operation: string;
  readonly algorithm_key: string;
  readonly op_config?: AeqConfig;
}

export interface AeqConfig {
  readonly weight_tensor_config?: AeqTensor;
  readonly activation_tensor_config?: AeqTensor;
  readonly compute_precision?: 'INTEGER' | 'FLOAT';
  readonly explicit_dequantize?: boolean;
  readonly skip_checks?: boolean;
  readonly min_weight_elements?: number;
}

export interface AeqTensor {
  readonly num_bits: number;
  readonly symmetric?: boolean;
  readonly granularity?: string;
  readonly dtype?: 'INT' | 'FLOAT';
  readonly block_size?: number;
  /** Older recipes say this instead of `granularity`. */
  readonly channel_wise?: boolean;
}

/** What stands in for an operator that no rule is for. */
export const untouched = 'no_quantize';

/** Whether a parsed JSON document is such a list; Kerf's own recipes are objects. */
export function isAeqRecipe(document: unknown): boolean {
  return Array.isArray(document) && document.every((each) => isRecord(each) && 'regex' in each);
}

/** Checks a parsed JSON document. Throws `KerfError('malformed')` naming the rule and the field. */
export function parseAeqRecipe(document: unknown, file?: string): readonly AeqRule[] {
  if (!Array.isArray(document)) return fail('recipe', 'is not a list of rules', file);
  return document.map((each, index) => parseRule(each, `rule ${index + 1}`, file));
}

function parseRule(value: unknown, place: string, file?: string): AeqRule {
  if (!isRecord(value)) return fail(place, 'is not an object', file);
  const text = (field: string): string => {
    const found = value[field];
    return typeof found === 'string' ? found : fail(`${place}.${field}`, 'is not a text', file);
  };
  const rule = { regex: text('regex'), operation: text('operation'), algorithm_key: text('algorithm_key') };
  if (!isExpression(rule.regex)) return fail(`${place}.regex`, 'is not a regular expression', file);
  const config = value['op_config'];
  if (config === undefined || config === null) return rule;
  if (!isRecord(config)) return fail(`${place}.op_config`, 'is not an object', file);
  for (const name of ['weight_tensor_config', 'activation_tensor_config'])
    checkTensor(config[name], `${place}.op_config.${name}`, file);
  return { ...rule, op_config: config as AeqConfig };
}

function isExpression(text: string): boolean {
  try {
    return new RegExp(text) instanceof RegExp;
  } catch {
    return false;
  }
}

function checkTensor(value: unknown, place: string, file?: string): void {
  if (value === undefined || value === null) return;
  if (!isRecord(value) || typeof value['num_bits'] !== 'number')
    fail(`${place}.num_bits`, 'is not a number', file);
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function fail(place: string, message: string, file?: string): never {
  throw new KerfError('malformed', message, { ...(file !== undefined && { file }), place });
}
