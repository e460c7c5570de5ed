/** One measurement with its cost for one sample, in whole inferences of the original. */
interface Effort {
  readonly cost: number;
}

/**
 * Shares of the samples per measurement, so that all together cost at most `share` of the naive way (one whole
 * inference per measurement and sample). For a given cost the error summed over all is least when samples go with the
 * inverse root of the cost of one (Neyman 1934): layers near the outputs, which are cheap, see all of them.
 */
export function sampleShares(efforts: readonly Effort[], share: number): readonly number[] {
  const budget = share * efforts.length;
  const sharesAt = (factor: number) =>
    efforts.map(({ cost }) => (cost <= 0 ? 1 : Math.min(1, factor / Math.sqrt(cost))));
  const total = (shares: readonly number[]) =>
    shares.reduce((sum, each, index) => sum + each * (efforts[index]?.cost ?? 0), 0);
  const all = efforts.map(() => 1);
  if (total(all) <= budget) return all;
  let [low, high] = [0, Math.sqrt(Math.max(...efforts.map(({ cost }) => cost)))];
  for (let round = 0; round < 50; round += 1) {
    const middle = (low + high) / 2;
    if (total(sharesAt(middle)) <= budget) low = middle;
    else high = middle;
  }
  return sharesAt(low);
}

/** The places of `count` things in an order whose every beginning is spread evenly over them. */
export function spreadRanks(count: number): readonly number[] {
  const golden = 0.6180339887498949;
  const order = Array.from({ length: count }, (_, index) => index).sort(
    (a, b) => ((a * golden) % 1) - ((b * golden) % 1),
  );
  const ranks = order.slice();
  for (const [rank, index] of order.entries()) ranks[index] = rank;
  return ranks;
}
