/** How values become heat. */
export type Scale = 'linear' | 'root' | 'log' | 'rank';

export const scales: readonly { readonly id: Scale; readonly title: string }[] = [
  { id: 'root', title: 'Square root' },
  { id: 'linear', title: 'Linear' },
  { id: 'log', title: 'Logarithmic' },
  { id: 'rank', title: 'Rank' },
];

/**
 * Maps values to 0..1, the largest to 1; NaN stays unknown and nothing becomes less than 0. The square root shows the
 * middle of the field beside one very hot layer; the logarithm starts at the smallest positive value; the rank is the
 * share of values that are not larger.
 */
export function scaled(values: Float64Array, scale: Scale): Float64Array {
  const known = values.filter((value) => value > 0).sort();
  const least = known[0] ?? 0;
  const most = known[known.length - 1] ?? 0;
  if (most === 0) return values.map((value) => (Number.isNaN(value) ? value : 0));
  return values.map((value) => {
    if (Number.isNaN(value)) return value;
    if (value <= 0) return 0;
    switch (scale) {
      case 'linear':
        return value / most;
      case 'root':
        return Math.sqrt(value / most);
      case 'log':
        // Even the smallest positive value is more than nothing.
        return most === least ? 1 : 0.1 + (0.9 * Math.log(value / least)) / Math.log(most / least);
      case 'rank':
        return notAbove(known, value) / known.length;
    }
  });
}

/** How many sorted values are as small or smaller. */
function notAbove(sorted: Float64Array, value: number): number {
  let low = 0;
  let high = sorted.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (sorted[middle]! <= value) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** The value whose heat is `share`: what a threshold on the scale means in units. */
export function valueAt(values: Float64Array, scale: Scale, share: number): number {
  const known = values.filter((value) => value > 0).sort();
  const least = known[0] ?? 0;
  const most = known[known.length - 1] ?? 0;
  if (share <= 0 || most === 0) return 0;
  switch (scale) {
    case 'linear':
      return share * most;
    case 'root':
      return share * share * most;
    case 'log':
      return share <= 0.1 ? least : least * (most / least) ** ((share - 0.1) / 0.9);
    case 'rank':
      return known[Math.min(known.length - 1, Math.max(0, Math.ceil(share * known.length) - 1))]!;
  }
}
