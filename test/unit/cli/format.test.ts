import { describe, expect, it } from 'vitest';
import { bytes, change, changeOfShare, table } from '../../../src/cli/format.ts';

describe('two figures side by side', () => {
  it('sizes change by a share, accuracies by points', () => {
    expect(change(451_000, 98_600, bytes)).toBe('451 kB -> 98.6 kB (-78.1 %)');
    expect(changeOfShare(0.8242, 0.8184)).toBe('82.42 % -> 81.84 % (-0.58 points)');
    expect(changeOfShare(0.5, 0.75)).toBe('50.00 % -> 75.00 % (+25.00 points)');
  });

  it('what is unknown stays a word', () => {
    expect(change(null, 12, bytes)).toBe('unknown -> 12 B');
    expect(changeOfShare(0.5, null)).toBe('50.00 % -> unknown');
  });
});

describe('tables', () => {
  const rows = [
    ['layer', 'operator', 'MACs'],
    ['model/a/BiasAdd;model/b/FusedBatchNormV3;model/c/Conv2D', 'CONV_2D', '2.36 M'],
    ['b', 'ADD', '12'],
  ];

  it('pad their columns, numbers to the right', () => {
    const lines = table(rows, [2], Number.POSITIVE_INFINITY).split('\n');
    expect(lines[1]).toBe(`${rows[1]?.[0]}  CONV_2D   2.36 M`);
    expect(lines[2]?.endsWith('      12')).toBe(true);
  });

  it('cut the middle out of names that do not fit the terminal', () => {
    const lines = table(rows, [2], 60).split('\n');
    expect(Math.max(...lines.map((line) => line.length))).toBe(60);
    expect(lines[1]).toMatch(/^model\/a\S+…\S+c\/Conv2D {2}CONV_2D/);
  });

  it('keep enough of names in a terminal that is too narrow', () => {
    const [, line] = table(rows, [2], 20).split('\n');
    expect(line?.split('  ')[0]).toHaveLength(24);
  });
});
