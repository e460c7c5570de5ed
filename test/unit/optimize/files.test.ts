import { describe, expect, it } from 'vitest';
import { KerfError } from '../../../src/ir/errors.ts';
import { parseBudget } from '../../../src/optimize/budget.ts';
import type { Recipe } from '../../../src/optimize/recipe.ts';
import { isMadeFor, parseRecipe, problemsOf, serialiseRecipe } from '../../../src/optimize/recipe.ts';
import { passes } from '../../../src/passes/registry.ts';

const digest = 'ab'.repeat(32);
const recipe: Recipe = {
  title: 'Static int8',
  model: { method: 'sha256', digest, bytes: 1234, name: 'digits.onnx' },
  steps: [
    { pass: 'simplify' },
    { pass: 'prune-magnitude', options: { sparsity: 0.5, pattern: '2:4' }, layers: ['/0/Conv'] },
    { pass: 'quantize-static', options: { scheme: 'w8a8' }, data: 'calibration.npz', seed: 3 },
  ],
};

function line(action: () => unknown): string {
  try {
    action();
  } catch (error) {
    if (KerfError.is(error, 'malformed')) return error.line;
    throw error;
  }
  return 'accepted';
}

describe('recipe files', () => {
  it('survive a round trip, byte for byte the second time', () => {
    const text = serialiseRecipe(recipe);
    expect(parseRecipe(text)).toEqual(recipe);
    expect(serialiseRecipe(parseRecipe(text))).toBe(text);
    const bare: Recipe = { steps: [] };
    expect(parseRecipe(serialiseRecipe(bare))).toEqual(bare);
  });

  it('do not depend on the order in which options were given', () => {
    const [a, b] = [
      { pass: 'x', options: { one: 1, two: 2 } },
      { pass: 'x', options: { two: 2, one: 1 } },
    ].map((step) => serialiseRecipe({ steps: [step] }));
    expect(a).toBe(b);
  });

  it('refuse what is no recipe, naming file, place and reason', () => {
    const bad = (content: unknown) => line(() => parseRecipe(JSON.stringify(content), 'r.kerf.json'));
    expect(line(() => parseRecipe('{', 'r.kerf.json'))).toMatch(/^r\.kerf\.json: recipe: is not JSON/);
    expect(bad([])).toBe('r.kerf.json: recipe: is not an object');
    expect(bad({ steps: [] })).toMatch(/^r\.kerf\.json: kerf: is not 1/);
    expect(bad({ kerf: 1 })).toBe('r.kerf.json: steps: is not a list');
    expect(bad({ kerf: 1, steps: [{}] })).toBe('r.kerf.json: steps[0].pass: is not the id of a pass');
    expect(bad({ kerf: 1, steps: [{ pass: 'fp16', layers: [1] }] })).toMatch(
      /layers: is not a list of texts/,
    );
    expect(bad({ kerf: 1, steps: [{ pass: 'fp16', options: { a: null } }] })).toMatch(/options\.a: is not/);
    expect(bad({ kerf: 1, steps: [{ pass: 'fp16', sed: 1 }] })).toMatch(/sed: is not a field of a step/);
    expect(bad({ kerf: 1, steps: [], model: { bytes: 1, sha256: 'x' } })).toMatch(/64 hexadecimal digits/);
  });

  it('say what keeps them from running', () => {
    expect(problemsOf(recipe, passes)).toEqual([]);
    const wrong: Recipe = {
      steps: [
        { pass: 'nothing' },
        { pass: 'prune-magnitude', options: { sparsity: 2, color: 'red', pattern: 'rows' } },
      ],
    };
    expect(problemsOf(wrong, passes)).toEqual([
      "step 1: there is no pass 'nothing'",
      'step 2: prune-magnitude sparsity is not between 0 and 1',
      "step 2: prune-magnitude has no option 'color'",
      expect.stringContaining('prune-magnitude pattern is not one of'),
    ]);
  });

  it('know the file they were made for', () => {
    const same = { method: 'sha256', digest, bytes: 1234 } as const;
    expect(isMadeFor(recipe, same)).toBe(true);
    expect(isMadeFor(recipe, { ...same, bytes: 5 })).toBe(false);
    expect(isMadeFor({ steps: [] }, same)).toBe(true);
  });
});

describe('budget files', () => {
  it('read numbers and units', () => {
    const text = JSON.stringify({
      budget: {
        fileBytes: '256 KiB',
        ramBytes: 1000,
        macs: '12.5 M',
        latencyMs: '0.02 s',
        accuracyDrop: '1 %',
      },
    });
    expect(parseBudget(text)).toEqual({
      fileBytes: 262_144,
      ramBytes: 1000,
      macs: 12_500_000,
      latencyMs: 20,
      accuracyDrop: 1,
    });
    expect(parseBudget('{"flashBytes": "1.5MB"}')).toEqual({ flashBytes: 1_500_000 });
    expect(parseBudget('{}')).toEqual({});
  });

  it('refuse what is no limit', () => {
    const bad = (content: unknown) => line(() => parseBudget(JSON.stringify(content), 'kerf.json'));
    expect(bad({ budget: { size: 1 } })).toMatch(
      /^kerf\.json: budget\.size: is not a limit; there are fileBytes/,
    );
    expect(bad({ budget: { fileBytes: '10 parsecs' } })).toMatch(/budget\.fileBytes: is not a number/);
    expect(bad({ budget: { fileBytes: -1 } })).toMatch(/is not a number of at least 0/);
    expect(bad({ budget: { latencyMs: '5 MB' } })).toMatch(/budget\.latencyMs: is not a number/);
    expect(bad({ budget: 5 })).toBe('kerf.json: budget: is not an object');
  });
});
