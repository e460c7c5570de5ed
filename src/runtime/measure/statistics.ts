import type { LatencyStats } from './reports.ts';

/** The `q`-quantile (0..1) of sorted values, linear between neighbours. */
export function quantile(sorted: ArrayLike<number>, q: number): number {
  const position = (sorted.length - 1) * q;
  const low = Math.floor(position);
  const high = Math.min(low + 1, sorted.length - 1);
  const at = sorted[low] as number;
  return at + ((sorted[high] as number) - at) * (position - low);
}

export function median(values: ArrayLike<number>): number {
  return quantile(Float64Array.from(values).sort(), 0.5);
}

export function latencyStats(times: Float64Array): LatencyStats {
  const sorted = Float64Array.from(times).sort();
  return {
    min: sorted[0] as number,
    median: quantile(sorted, 0.5),
    mean: times.reduce((sum, value) => sum + value, 0) / times.length,
    p90: quantile(sorted, 0.9),
    p99: quantile(sorted, 0.99),
  };
}
