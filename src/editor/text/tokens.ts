import type { TextSpan } from './model.ts';

/** What the parts of a line are, for semantic colouring. No `vscode` import. */

export const tokenTypes = [
  'label',
  'type',
  'function',
  'variable',
  'property',
  'number',
  'string',
  'keyword',
] as const;
export const tokenModifiers = ['declaration'] as const;

interface LineToken {
  readonly start: number;
  readonly length: number;
  readonly type: (typeof tokenTypes)[number];
  readonly declaration: boolean;
}

const piece = /"(?:[^"\\]|\\.)*"?|[A-Za-z_][\w.]*|-?\d[\w.+-]*|=>|\S/g;
const types =
  /^(float(8e\w+|4e2m1|16|32|64)|bfloat16|u?int(2|4|8|16|32|64)|bool|string|complex(64|128)|seq|optional|map|sparse_tensor|resource|variant)$/;
const units = /^(B|kB|MB|GB|TB)$/;

/** Tokens of a line from left to right; names that the printer placed are variables, the rest goes by its shape. */
export function lineTokens(text: string, spans: readonly TextSpan[]): readonly LineToken[] {
  const tokens: LineToken[] = [];
  let span = 0;
  let before = '';
  for (const { 0: word, index: start } of text.matchAll(piece)) {
    while ((spans[span]?.end ?? Infinity) <= start) span += 1;
    const here = spans[span];
    const push = (type: LineToken['type'], declaration = false): void => {
      tokens.push({ start, length: word.length, type, declaration });
    };
    if (here !== undefined && here.start <= start && start < here.end)
      push('variable', here.role === 'definition');
    else {
      const type = typeOf(word, before, text.slice(start + word.length), text);
      if (type !== undefined) push(type);
    }
    before = word;
  }
  return tokens;
}

function typeOf(word: string, before: string, after: string, line: string): LineToken['type'] | undefined {
  if (word === '=>') return 'keyword';
  if (before === '[' && after.startsWith('] ') && /^\s*\[/.test(line)) return 'label';
  if (word.startsWith('"')) return 'string';
  if (/^-?\d/.test(word)) return 'number';
  if (!/^[A-Za-z_]/.test(word)) return undefined;
  if (types.test(word)) return 'type';
  if (units.test(word)) return 'number';
  if (before === '=' && /^(:[\w.]+)?( <| \()/.test(after)) return 'function';
  if (word === 'graph' || word === 'missing' || after.startsWith(':')) return 'keyword';
  return after.startsWith(' = ') ? 'property' : undefined;
}
