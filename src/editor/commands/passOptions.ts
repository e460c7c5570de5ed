import type { PassOption } from '../../passes/pass.ts';

type NumberOption = Extract<PassOption, { type: 'number' | 'integer' }>;

/** "Sparsity (0 to 1)", "Block size, elements (1 to 256)". */
export function optionPrompt(option: NumberOption): string {
  const unit = option.unit === undefined ? '' : `, ${option.unit}`;
  return `${option.title}${unit} (${String(option.min)} – ${String(option.max)})`;
}

/** Reads what a person typed for a numeric option. */
export function checkOption(
  option: NumberOption,
  input: string,
): { readonly value?: number; readonly problem?: string } {
  const value = Number(input.trim().replace(',', '.'));
  if (input.trim() === '' || Number.isNaN(value)) return { problem: 'a number is needed' };
  if (option.type === 'integer' && !Number.isInteger(value)) return { problem: 'a whole number is needed' };
  if (value < option.min || value > option.max)
    return { problem: `between ${String(option.min)} and ${String(option.max)}` };
  return { value };
}
