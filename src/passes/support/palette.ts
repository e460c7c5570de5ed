/** Most rounds of k-means; one-dimensional data settles in far fewer. */
const mostRounds = 200;

/**
 * Replaces numbers by the nearest entry of a palette of at most `size` entries, found by one-dimensional k-means
 * (Lloyd 1982) that starts from entries spread evenly over the range, as TensorFlow's weight clustering does
 * ("linear" initialization): deterministic, and the tails keep entries of their own. Where exact zeros would fill an
 * entry anyway they keep it, so that pruned weights stay pruned. Changes `values`; false when they have no more than
 * `size` distinct values already, or are not all finite.
 */
export function toPalette(values: Float32Array, size: number): boolean {
  const sorted = values.slice().sort();
  if (!sorted.every(Number.isFinite) || distinct(sorted) <= size) return false;
  let zeros = 0;
  for (const value of sorted) if (value === 0) zeros += 1;
  const keepsZero = zeros * size >= sorted.length;
  const data = keepsZero ? sorted.filter((value) => value !== 0) : sorted;
  const centres = kMeans(data, keepsZero ? size - 1 : size);
  for (let i = 0; i < values.length; i += 1) {
    const value = values[i] as number;
    if (!keepsZero || value !== 0) values[i] = nearest(centres, value);
  }
  return true;
}

function distinct(sorted: Float32Array): number {
  let count = sorted.length === 0 ? 0 : 1;
  for (let i = 1; i < sorted.length; i += 1) if (sorted[i] !== sorted[i - 1]) count += 1;
  return count;
}

/** Centres in ascending order. Clusters of sorted data are runs, so a round costs a binary search per centre. */
function kMeans(sorted: Float32Array, size: number): Float64Array {
  const first = sorted[0] as number;
  const last = sorted.at(-1) as number;
  const centres = Float64Array.from({ length: size }, (_, i) =>
    size === 1 ? (first + last) / 2 : first + ((last - first) * i) / (size - 1),
  );
  const sums = new Float64Array(sorted.length + 1);
  for (let i = 0; i < sorted.length; i += 1) sums[i + 1] = (sums[i] as number) + (sorted[i] as number);
  for (let round = 0; round < mostRounds; round += 1) {
    let moved = false;
    let start = 0;
    const bounds = Array.from({ length: size }, (_, i) =>
      i + 1 === size
        ? sorted.length
        : firstAbove(sorted, ((centres[i] as number) + (centres[i + 1] as number)) / 2),
    );
    for (const [i, end] of bounds.entries()) {
      // An empty cluster keeps its centre: a neighbour may come back to it.
      if (end > start) {
        const mean = ((sums[end] as number) - (sums[start] as number)) / (end - start);
        if (mean !== centres[i]) moved = true;
        centres[i] = mean;
      }
      start = Math.max(start, end);
    }
    if (!moved) break;
  }
  return centres;
}

/** Index of the first element above `bound`. */
function firstAbove(sorted: ArrayLike<number>, bound: number): number {
  let low = 0;
  let high = sorted.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((sorted[middle] as number) > bound) high = middle;
    else low = middle + 1;
  }
  return low;
}

function nearest(centres: Float64Array, value: number): number {
  const above = firstAbove(centres, value);
  const left = centres[above - 1];
  const right = centres[above];
  if (left === undefined || right === undefined) return (left ?? right) as number;
  return value - left <= right - value ? left : right;
}
