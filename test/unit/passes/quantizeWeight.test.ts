import { expect, it } from 'vitest';
import { floatTensor, readIntegers } from '../../../src/ir/numbers.ts';
import { quantizeWeight, roundHalfEven } from '../../../src/passes/support/quantization.ts';
import { random } from './runtime.ts';

/** Element by element, as the definition says it. */
function byDefinition(
  values: Float32Array,
  dims: readonly number[],
  axis: number | undefined,
  largest: number,
) {
  const inner = axis === undefined ? 1 : dims.slice(axis + 1).reduce((product, dim) => product * dim, 1);
  const channels = axis === undefined ? 1 : (dims[axis] as number);
  const channelOf = (i: number) => Math.floor(i / inner) % channels;
  const scales = new Float32Array(channels);
  for (let c = 0; c < channels; c += 1) {
    const own = [...values].filter((_, i) => channelOf(i) === c).map(Math.abs);
    const most = Math.max(0, ...own);
    scales[c] = most === 0 ? 1 : most / largest;
  }
  const codes = Array.from(values, (value, i) => {
    const code = roundHalfEven(value / (scales[channelOf(i)] as number));
    return Math.min(largest, Math.max(-largest, code)) + 0;
  });
  return { scales: [...scales], codes };
}

it.each(Array.from({ length: 30 }, (_, seed) => seed))(
  'weights are coded as the definition says, seed %i',
  (seed) => {
    const next = random(seed);
    const dims = Array.from({ length: 1 + Math.floor(next() * 4) }, () => 1 + Math.floor(next() * 6));
    const count = dims.reduce((product, dim) => product * dim, 1);
    // Multiples of a half meet ties, zeros a channel without a scale.
    const values = Float32Array.from({ length: count }, () =>
      seed % 3 === 0 ? Math.round(next() * 20 - 10) / 2 : seed % 7 === 0 ? 0 : next() * 4 - 2,
    );
    const axis = next() < 0.3 ? undefined : Math.floor(next() * dims.length);
    const largest = next() < 0.5 ? 127 : 63;
    const { tensor, scales } = quantizeWeight(floatTensor(dims, values), axis, undefined, largest);
    const expected = byDefinition(values, dims, axis, largest);
    expect([...scales]).toEqual(expected.scales);
    expect(readIntegers(tensor).map((code) => code + 0)).toEqual(expected.codes);
  },
);
