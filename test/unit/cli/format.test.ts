import { describe, expect, it } from 'vitest';
import { bytes, change, changeOfShare } from '../../../src/cli/format.ts';

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
