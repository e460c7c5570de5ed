import type { Dim, Shape } from '../ir/types.ts';

/** Longest symbolic expression that is still worth showing; beyond it a dimension is unknown. */
const longestExpression = 64;

type DimOperator = '+' | '-' | '*' | '/';

/**
 * Arithmetic on dimensions. Numbers compute, a symbol stays readable ("2*seq"), an unknown operand gives an unknown.
 * Division rounds down, as sizes do.
 */
export function combine(a: Dim, operator: DimOperator, b: Dim): Dim {
  if (typeof a === 'number' && typeof b === 'number') return compute(a, operator, b);
  const neutral = operator === '+' || operator === '-' ? 0 : 1;
  if (b === neutral) return a;
  if (a === neutral && (operator === '+' || operator === '*')) return b;
  if (operator === '*' && (a === 0 || b === 0)) return 0;
  if (a === null || b === null) return null;
  if (a === b && operator === '-') return 0;
  if (a === b && operator === '/') return 1;
  const offset = typeof b === 'number' && (operator === '+' || operator === '-') ? b : undefined;
  if (offset !== undefined && typeof a === 'string') return shifted(a, operator === '+' ? offset : -offset);
  if (operator === '+' && typeof a === 'number') return shifted(b as string, a);
  const text =
    operator === '*' && typeof b === 'number' ? `${b}*${wrap(a)}` : `${wrap(a)}${operator}${wrap(b)}`;
  return short(text);
}

/** Adds a number to an expression: "n+64" and -256 give "n-192". */
function shifted(expression: string, offset: number): Dim {
  const found = /^(.+)([+-])(\d+)$/.exec(expression);
  const former = found === null ? 0 : Number(`${found[2]}${found[3]}`);
  const base = found?.[1] ?? expression;
  const sum = former + offset;
  if (sum === 0) return base.startsWith('(') && found !== null ? base.slice(1, -1) : base;
  return short(`${found === null ? wrap(base) : base}${sum < 0 ? '-' : '+'}${Math.abs(sum)}`);
}

function short(text: string): Dim {
  return text.length > longestExpression ? null : text;
}

function compute(a: number, operator: DimOperator, b: number): Dim {
  switch (operator) {
    case '+':
      return a + b;
    case '-':
      return a - b;
    case '*':
      return a * b;
    default:
      return b === 0 ? null : Math.floor(a / b);
  }
}

function wrap(dim: Dim): string {
  const text = String(dim);
  return /[+\-*/]/.test(text) ? `(${text})` : text;
}

export function productOf(dims: readonly Dim[]): Dim {
  return dims.reduce<Dim>((product, dim) => combine(product, '*', dim), 1);
}

export function sumOf(dims: readonly Dim[]): Dim {
  return dims.reduce<Dim>((sum, dim) => combine(sum, '+', dim), 0);
}

/**
 * Quotient of two products, symbol by symbol, so that `[N, 8, 4] / [N, 2]` is 16 whatever N is; `null` when it does
 * not come out.
 */
export function quotientOf(numerator: readonly Dim[], denominator: readonly Dim[]): Dim {
  let top = 1;
  let bottom = 1;
  const symbols: string[] = [];
  for (const dim of numerator) {
    if (dim === null) return null;
    if (typeof dim === 'number') top *= dim;
    else symbols.push(dim);
  }
  for (const dim of denominator) {
    if (dim === null) return null;
    if (typeof dim === 'number') {
      bottom *= dim;
      continue;
    }
    const at = symbols.indexOf(dim);
    if (at < 0) return null;
    symbols.splice(at, 1);
  }
  if (bottom === 0) return null;
  if (symbols.length === 0) return Number.isInteger(top / bottom) ? top / bottom : null;
  const rest = productOf(symbols);
  return top % bottom === 0
    ? combine(rest, '*', top / bottom)
    : combine(combine(rest, '*', top), '/', bottom);
}

/** The dimension two broadcast operands give; `null` when it cannot be said. */
function broadcastDim(a: Dim, b: Dim): Dim {
  if (a === b) return a;
  if (a === 1) return b;
  if (b === 1) return a;
  if (typeof a === 'number') return a;
  if (typeof b === 'number') return b;
  return null;
}

/** A size that is negative (some writers mark free dimensions so), fractional or beyond 2^53 is unknown. */
export function soundDim(dim: Dim): Dim {
  return typeof dim === 'number' && !(Number.isSafeInteger(dim) && dim >= 0) ? null : dim;
}

/** Multidirectional (NumPy) broadcasting. */
export function broadcast(shapes: readonly Shape[]): Shape {
  const rank = Math.max(0, ...shapes.map((shape) => shape.length));
  return Array.from({ length: rank }, (_, axis) =>
    shapes.reduce<Dim>((dim, shape) => {
      const at = axis - (rank - shape.length);
      return at < 0 ? dim : broadcastDim(dim, shape[at] as Dim);
    }, 1),
  );
}

/** What is true of both shapes (joining branches): `undefined` when the ranks differ. */
export function join(a: Shape | undefined, b: Shape | undefined): Shape | undefined {
  if (a === undefined || b === undefined || a.length !== b.length) return undefined;
  return a.map((dim, axis) => (dim === b[axis] ? dim : null));
}

/** `axis` counted from the front, or `undefined` when it lies outside the rank. */
export function axisOf(axis: number, rank: number): number | undefined {
  const positive = axis < 0 ? axis + rank : axis;
  return Number.isInteger(positive) && positive >= 0 && positive < rank ? positive : undefined;
}
