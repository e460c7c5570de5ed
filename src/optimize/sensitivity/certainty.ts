/** The logarithm of a change's noise, as far as it is known. */
export interface Estimate {
  readonly level: number;
  /** Standard error of the level. */
  readonly error: number;
}

export interface RankCertainty {
  /** Rank correlation (Spearman) to be expected between the estimates and what they estimate. */
  readonly correlation: number;
  /** Per estimate, the expected square of its difference in rank. */
  readonly shifts: readonly number[];
}

const draws = 200;

/**
 * How far the order of some estimates is to be trusted, from draws of what they may stand for: each level with normal
 * errors, independent of the others. Seeded, so the same estimates give the same answer.
 */
export function rankCertainty(estimates: readonly Estimate[]): RankCertainty {
  const count = estimates.length;
  if (count < 2 || estimates.every(({ error }) => error === 0))
    return { correlation: 1, shifts: estimates.map(() => 0) };
  const own = ranksOf(Float64Array.from(estimates, ({ level }) => level));
  const normal = normals();
  const shifts = new Float64Array(count);
  const drawn = new Float64Array(count);
  for (let draw = 0; draw < draws; draw += 1) {
    for (const [index, { level, error }] of estimates.entries()) drawn[index] = level + error * normal();
    const ranks = ranksOf(drawn);
    for (let index = 0; index < count; index += 1)
      shifts[index] =
        (shifts[index] as number) + ((ranks[index] as number) - (own[index] as number)) ** 2 / draws;
  }
  const sum = shifts.reduce((total, each) => total + each, 0);
  return { correlation: 1 - (6 * sum) / (count * (count ** 2 - 1)), shifts: [...shifts] };
}

function ranksOf(values: Float64Array): Uint32Array {
  const order = Uint32Array.from(values.keys()).sort(
    (a, b) => (values[a] as number) - (values[b] as number) || a - b,
  );
  const ranks = new Uint32Array(values.length);
  for (const [rank, index] of order.entries()) ranks[index] = rank;
  return ranks;
}

/** Standard normal numbers (Box and Muller 1958) from a sequence of Weyl and Park-Miller's generator. */
function normals(): () => number {
  let state = 1;
  const uniform = () => {
    state = (state * 48271) % 2147483647;
    return state / 2147483647;
  };
  return () => Math.sqrt(-2 * Math.log(uniform())) * Math.cos(2 * Math.PI * uniform());
}
