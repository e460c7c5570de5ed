import { InvalidArgumentError } from 'commander';
import { KerfError } from '../ir/errors.ts';

/** Collects `--set a=1 --set b=2` into an object. */
export function keyValue(
  text: string,
  earlier: Readonly<Record<string, string>> = {},
): Record<string, string> {
  const at = text.indexOf('=');
  if (at <= 0) throw new InvalidArgumentError('expected name=value');
  return { ...earlier, [text.slice(0, at)]: text.slice(at + 1) };
}

export function repeated(text: string, earlier: readonly string[] = []): string[] {
  return [...earlier, text];
}

export function wholeNumber(text: string): number {
  const value = Number(text);
  if (!Number.isInteger(value) || value < 1)
    throw new InvalidArgumentError('expected a whole number of at least 1');
  return value;
}

/** Percentage points. */
export function points(text: string): number {
  const value = Number(text);
  if (text.trim() === '' || !(value >= 0 && value <= 100))
    throw new InvalidArgumentError('expected a number from 0 to 100');
  return value;
}

/** `--bind N=1` values as numbers. */
export function bindings(
  texts: Readonly<Record<string, string>> | undefined,
): Record<string, number> | undefined {
  if (texts === undefined) return undefined;
  const bound: Record<string, number> = {};
  for (const [name, text] of Object.entries(texts)) {
    const value = Number(text);
    if (!Number.isInteger(value) || value < 1) {
      throw new KerfError(
        'bad-option',
        `--bind ${name}=${text}: a dimension is a whole number of at least 1`,
      );
    }
    bound[name] = value;
  }
  return bound;
}
