import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { deltaOf } from '../../../src/engine/shipping/delta.ts';
import { shippedOf } from '../../../src/engine/shipping/shipped.ts';
import { jobContext } from '../../../src/engine/context.ts';
import { readModelFile } from '../../../src/formats/io/models.ts';
import { runPass } from '../passes/build.ts';
import { random } from '../passes/runtime.ts';
import { samples } from '../support/models.ts';

/** Follows the instructions, as whoever receives an update would. */
function patched(old: Uint8Array, delta: Uint8Array): Uint8Array {
  let at = 0;
  const number = () => {
    let value = 0;
    for (let scale = 1; ; scale *= 128) {
      const byte = delta[at] as number;
      at += 1;
      value += (byte % 128) * scale;
      if (byte < 128) return value;
    }
  };
  const out: number[] = [];
  let expected = 0;
  while (at < delta.length) {
    const run = number();
    out.push(...delta.subarray(at, at + run));
    at += run;
    const length = number();
    const folded = number();
    const start = expected + (folded % 2 === 1 ? -(folded + 1) / 2 : folded / 2);
    out.push(...old.subarray(start, start + length));
    expected = start + length;
  }
  return Uint8Array.from(out);
}

function noise(length: number, seed: number): Uint8Array {
  const next = random(seed);
  return Uint8Array.from({ length }, () => Math.floor(next() * 256));
}

describe('a delta', () => {
  it('makes the new bytes out of the old ones, whatever happened to them', () => {
    for (let seed = 1; seed <= 40; seed += 1) {
      const next = random(seed);
      const old = noise(Math.floor(next() * 3000), seed);
      const cut = Math.floor(next() * old.length);
      const other = noise(Math.floor(next() * 300), seed + 100);
      const moved = [old.subarray(cut), other, old.subarray(0, cut), old.subarray(cut >> 1, cut)];
      const changed = Uint8Array.from(moved.flatMap((part) => [...part]));
      for (let i = 0; i < 5 && changed.length > 0; i += 1) changed[Math.floor(next() * changed.length)] = i;
      expect(patched(old, deltaOf(old, changed))).toEqual(changed);
    }
  });

  it('is small where most stayed, and no larger than the whole where nothing did', () => {
    const old = noise(100_000, 1);
    const changed = old.slice();
    changed.set(noise(200, 2), 50_000);
    expect(deltaOf(old, changed).length).toBeLessThan(400);
    expect(deltaOf(old, noise(100_000, 3)).length).toBeLessThan(100_100);
    expect(deltaOf(old, old).length).toBeLessThan(20);
    expect(patched(new Uint8Array(), deltaOf(new Uint8Array(), old))).toEqual(old);
  });
});

describe('what an update carries', () => {
  it('is little for a renamed output, and everything for quantized weights', async () => {
    const { model } = readModelFile(path.join(samples, 'digits.onnx'));
    const job = jobContext(new AbortController().signal, () => undefined);
    const renamed = (await runPass('rename', model, { options: { names: 'logits=scores' } })).model;
    const small = await shippedOf(renamed, model, job);
    expect(small.deltaBytes).toBeLessThan(300);
    const quantized = (await runPass('quantize-weights', model, { options: { conv: true } })).model;
    const large = await shippedOf(quantized, model, job);
    expect(large.compressedBytes).toBeLessThan(0.5 * (small.compressedBytes as number));
    expect(large.deltaBytes as number).toBeGreaterThan(0.5 * (large.compressedBytes as number));
    expect((await shippedOf(model, undefined, job)).deltaBytes).toBeNull();
    const best = await shippedOf(quantized, model, job, 11);
    expect([large.quality, best.quality]).toEqual([5, 11]);
    expect(best.compressedBytes).toBeLessThan(large.compressedBytes as number);
  });
});
