/** Seeded integers below a limit (xorshift32), so that a failure can be repeated. */
export function generator(seed: number): (limit: number) => number {
  let state = Math.imul(seed, 2_654_435_761) >>> 0 || 1;
  return (limit) => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    state >>>= 0;
    return state % limit;
  };
}
