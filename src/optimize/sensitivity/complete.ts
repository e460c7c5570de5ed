/** Noise per batch of samples; undefined where a change was not measured on the batch. */
type BatchNoise = readonly (number | undefined)[];

/** Changes measured next, whose noise tells hard batches from easy ones. */
const neighbours = 4;

/**
 * The noise of every change over all batches. Batches a change was not measured on are filled in by ratio: the same
 * samples are hard for all layers, and the noise of other changes, measured on them, says how much more. `rows` are
 * changes in the order of the layers, those near the outputs last; each sees no more batches than the one behind it.
 */
export function completeNoise(rows: readonly BatchNoise[]): readonly number[] {
  const completed: Float64Array[] = [];
  for (const row of [...rows].reverse()) completed.push(completedRow(row, completed.slice(-neighbours)));
  return completed.reverse().map((row) => row.reduce((sum, noise) => sum + noise, 0));
}

function completedRow(row: BatchNoise, behind: readonly Float64Array[]): Float64Array {
  const hardness = hardnessOf(row.length, behind);
  let seen = 0;
  let weight = 0;
  for (const [batch, noise] of row.entries()) {
    if (noise === undefined) continue;
    seen += noise;
    weight += hardness[batch] as number;
  }
  const scale = weight > 0 ? seen / weight : 0;
  return Float64Array.from(row, (noise, batch) => noise ?? scale * (hardness[batch] as number));
}

/** Mean share of each batch in the noise of some changes; all alike without any. */
function hardnessOf(batches: number, rows: readonly Float64Array[]): Float64Array {
  const hardness = new Float64Array(batches);
  for (const row of rows) {
    const sum = row.reduce((total, noise) => total + noise, 0);
    if (sum > 0)
      for (let batch = 0; batch < batches; batch += 1)
        hardness[batch] = (hardness[batch] as number) + (row[batch] as number) / sum;
  }
  return hardness.some((share) => share > 0) ? hardness : hardness.fill(1);
}
