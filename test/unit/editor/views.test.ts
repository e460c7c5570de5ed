import { describe, expect, it } from 'vitest';
import { budgetUse } from '../../../src/editor/budgetState.ts';
import { findingsOf, groupFindings, keyOfFinding } from '../../../src/editor/findings/findingView.ts';
import {
  formatBytes,
  formatChange,
  formatCount,
  formatMs,
  formatPercent,
} from '../../../src/editor/support/format.ts';
import { byLikeness } from '../../../src/editor/support/fileNames.ts';
import { checkOption, optionPrompt } from '../../../src/editor/commands/passOptions.ts';
import { passesFor } from '../../../src/editor/support/passes.ts';
import { parseQuantity } from '../../../src/editor/support/quantity.ts';
import { sliced } from '../../../src/editor/page/sliced.ts';
import type { PassInfo } from '../../../src/engine/protocol.ts';
import type { InspectReport } from '../../../src/engine/answers.ts';
import type { Finding } from '../../../src/rules/rule.ts';

const finding = (rule: string, layer?: string, more: Partial<Finding> = {}): Finding => ({
  rule,
  severity: 'warning',
  message: `${rule} here`,
  fixes: [],
  ...(layer === undefined ? {} : { layer }),
  ...more,
});

describe('numbers for people', () => {
  it.each([
    [0, '0 B'],
    [999, '999 B'],
    [999.6, '1 kB'],
    [1234, '1.23 kB'],
    [115_700, '116 kB'],
    [999_499, '999 kB'],
    [999_999, '1 MB'],
    [1.5e9, '1.5 GB'],
    [null, 'unknown'],
    [undefined, 'unknown'],
    [Number.NaN, 'unknown'],
  ])('%j bytes are %s', (bytes, text) => {
    expect(formatBytes(bytes)).toBe(text);
  });

  it('units are never lost, unknown is never 0', () => {
    expect(formatCount(604_000, 'MACs')).toBe('604 kMACs');
    expect(formatCount(0, 'MACs')).toBe('0 MACs');
    expect(formatCount(null, 'MACs')).toBe('unknown');
    expect(formatMs(0.0123)).toBe('12.3 µs');
    expect(formatMs(1234)).toBe('1.23 s');
    expect(formatMs(null)).toBe('unknown');
    expect(formatPercent(0.98765)).toBe('98.8 %');
    expect(formatChange(200, 50)).toBe('−75 %');
    expect(formatChange(200, 200)).toBe('±0 %');
    expect(formatChange(200, 250)).toBe('+25 %');
    expect(formatChange(null, 5)).toBe('');
    expect(formatChange(0, 5)).toBe('');
  });

  it.each([
    ['500k', 500_000],
    ['1.5M', 1_500_000],
    ['1,5 MB', 1_500_000],
    ['256 KiB', 262_144],
    ['64', 64],
    ['20 ms', 20],
    ['', undefined],
    ['many', undefined],
    ['-3', undefined],
  ])('%j is read as %j', (text, value) => {
    expect(parseQuantity(text)).toBe(value);
  });
});

describe('findings', () => {
  it('of one rule become one row when they are many, with one fix over all their layers', () => {
    const fix = (layer: string) => ({
      pass: 'quantize-dynamic',
      options: {},
      layers: [layer],
      title: 'Quantize',
    });
    const many = Array.from({ length: 2000 }, (_, index) =>
      finding('heavy', `layer${String(index)}`, { fixes: [fix(`layer${String(index)}`)] }),
    );
    const groups = groupFindings([...many, finding('other', 'x', { severity: 'error' })], 10);
    expect(groups.map(({ rule }) => rule)).toEqual(['other', 'heavy']);
    const [, heavy] = groups;
    expect(heavy?.message).toContain('1999 more');
    expect(heavy?.fixes).toHaveLength(1);
    expect(heavy?.fixes[0]?.layers).toHaveLength(2000);
  });

  it('stay apart when they are few, and each has its own key', () => {
    const few = [finding('heavy', 'a'), finding('heavy', 'b'), finding('heavy')];
    const groups = groupFindings(few, 10);
    expect(groups).toHaveLength(3);
    expect(new Set(groups.map(({ key }) => key)).size).toBe(3);
    expect(groups[0]?.key).toBe(keyOfFinding(few[0] ?? finding('')));
  });

  it('of several layers are found at each of them', () => {
    const found = [finding('fold', 'a', { layers: ['a', 'b'] }), finding('whole')];
    expect(findingsOf(found, 'b')).toHaveLength(1);
    expect(findingsOf(found, 'c')).toHaveLength(0);
    expect(findingsOf(found, null).map(({ rule }) => rule)).toEqual(['whole']);
  });
});

describe('the budget', () => {
  const inspection = { fileBytes: 100, macs: null, peakActivationBytes: 40 } as InspectReport;

  it('is broken, kept or unknown, limit by limit', () => {
    const uses = budgetUse({ fileBytes: 50, macs: 10, ramBytes: 64, accuracyDrop: 1 }, inspection, undefined);
    expect(Object.fromEntries(uses.map(({ limit, used, broken }) => [limit, [used, broken]]))).toEqual({
      fileBytes: [100, true],
      macs: [null, false],
      ramBytes: [40, false],
    });
  });
});

describe('option forms', () => {
  const sparsity = {
    name: 'sparsity',
    title: 'Sparsity',
    type: 'number',
    default: 0.5,
    min: 0,
    max: 1,
  } as const;

  it('say the range and refuse what is outside', () => {
    expect(optionPrompt({ ...sparsity, unit: 'share' })).toBe('Sparsity, share (0 – 1)');
    expect(checkOption(sparsity, '0,25').value).toBe(0.25);
    expect(checkOption(sparsity, '2').problem).toMatch(/between/);
    expect(checkOption(sparsity, '').problem).toBeDefined();
    expect(checkOption({ ...sparsity, type: 'integer', max: 8 }, '2.5').problem).toMatch(/whole/);
  });
});

describe('what is posted to a page', () => {
  it('never carries the buffer behind a small view', () => {
    const large = new Float32Array(1_000_000);
    const sent = sliced({
      column: large.subarray(10, 20),
      whole: new Uint8Array(3),
      deep: { view: large.subarray(5, 6) },
    });
    expect(sent.column.buffer.byteLength).toBe(40);
    expect(sent.deep.view.buffer.byteLength).toBe(4);
    expect(sent.whole).toHaveLength(3);
  });
});

describe('datasets', () => {
  it('that are called like the model come first', () => {
    const files = ['cifar.npz', 'digits-test.npz', 'a.json', 'digits-calibration.npz', 'digital.npz'];
    expect(byLikeness(files, 'digits.onnx', (name) => name)).toEqual([
      'digits-calibration.npz',
      'digits-test.npz',
      'digital.npz',
      'a.json',
      'cifar.npz',
    ]);
  });
});

describe('forms of passes', () => {
  it('ask for nothing that means nothing in the format of the model', () => {
    const option = { title: 'o', type: 'boolean', default: false } as const;
    const pass = (id: string, dialects: PassInfo['dialects']): PassInfo => ({
      id,
      title: id,
      summary: id,
      dialects,
      exact: true,
      calibration: 'none',
      options: [
        { ...option, name: 'both' },
        { ...option, name: 'tflite', dialects: ['tflite'] },
      ],
    });
    const names = (format: 'onnx' | 'tflite') =>
      passesFor([pass('a', ['onnx', 'tflite']), pass('b', ['tflite'])], format).map(({ id, options }) =>
        [id, ...options.map(({ name }) => name)].join(),
      );
    expect(names('onnx')).toEqual(['a,both']);
    expect(names('tflite')).toEqual(['a,both,tflite', 'b,both,tflite']);
  });
});
