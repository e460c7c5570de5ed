import { KerfError } from '../../ir/errors.ts';
import type { OptionValue, OptionValues, PassOption } from '../pass.ts';

/** Option values complete with defaults and checked against their declaration. */
export interface Options {
  number(name: string): number;
  boolean(name: string): boolean;
  choice(name: string): string;
  text(name: string): string;
}

/** Checks `values` against `declared` and fills in defaults. Throws `KerfError('bad-option')` naming the option. */
export function readOptions(declared: readonly PassOption[], values: OptionValues): Options {
  const known = new Map(declared.map((option) => [option.name, option]));
  for (const name of Object.keys(values)) {
    if (!known.has(name)) {
      const names = [...known.keys()].join(', ') || 'none';
      throw new KerfError('bad-option', `there is no option ${name}; the options are: ${names}`);
    }
  }
  const complete = new Map<string, OptionValue>();
  for (const option of declared) complete.set(option.name, checked(option, values[option.name]));
  return {
    number: (name) => Number(complete.get(name)),
    boolean: (name) => complete.get(name) === true,
    choice: (name) => String(complete.get(name)),
    text: (name) => String(complete.get(name)).trim(),
  };
}

function checked(option: PassOption, value: OptionValue | undefined): OptionValue {
  if (value === undefined) return option.default;
  switch (option.type) {
    case 'boolean':
      if (typeof value === 'boolean') return value;
      throw wrong(option, value, 'true or false');
    case 'choice':
      if (typeof value === 'string' && option.choices.includes(value)) return value;
      throw wrong(option, value, `one of ${option.choices.join(', ')}`);
    case 'text':
      return String(value);
    case 'integer':
    case 'number': {
      const inside = typeof value === 'number' && value >= option.min && value <= option.max;
      if (inside && (option.type === 'number' || Number.isInteger(value))) return value;
      const kind = option.type === 'integer' ? 'an integer' : 'a number';
      throw wrong(option, value, `${kind} from ${option.min} to ${option.max}`);
    }
  }
}

function wrong(option: PassOption, value: OptionValue, expected: string): KerfError {
  return new KerfError('bad-option', `${option.name}=${String(value)}: expected ${expected}`);
}
