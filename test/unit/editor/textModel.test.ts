import { describe, expect, it } from 'vitest';
import { findingLines, heaviestLayers, indexText } from '../../../src/editor/textModel.ts';
import type { LayerRow, TextForm } from '../../../src/engine/protocol.ts';

/** `x` in two graphs: names are only unique within one. */
const form: TextForm = {
  text: 'main (x) {\n  a = Relu (x)\n  b = Add (a, a)\n}\nbody (x) {\n  c = Neg (x)\n}\n',
  layers: [
    { id: 'relu', line: 1 },
    { id: 'add', line: 2 },
    { id: 'neg', line: 5 },
  ],
  definitions: [
    { value: 'x', line: 0, start: 6, end: 7, role: 'definition', scope: 0 },
    { value: 'a', line: 1, start: 2, end: 3, role: 'definition', scope: 0 },
    { value: 'x', line: 1, start: 12, end: 13, role: 'use', scope: 0 },
    { value: 'a', line: 2, start: 11, end: 12, role: 'use', scope: 0 },
    { value: 'a', line: 2, start: 14, end: 15, role: 'use', scope: 0 },
    { value: 'x', line: 4, start: 6, end: 7, role: 'definition', scope: 1 },
    { value: 'x', line: 5, start: 11, end: 12, role: 'use', scope: 1 },
  ],
};

const row = (id: string, weightBytes: number, macs: number | null): LayerRow => ({
  id,
  name: id,
  op: 'Conv',
  params: 0,
  macs,
  flops: null,
  weightBytes,
  activationBytes: null,
  outputShapes: [],
});

describe('the index of a text form', () => {
  const index = indexText(form);

  it('knows the layer of a line and the line of a layer', () => {
    expect(index.layerAt(2)).toBe('add');
    expect(index.layerAt(0)).toBeUndefined();
    expect(index.lineOf('neg')).toBe(5);
    expect(index.lineOf('gone')).toBeUndefined();
  });

  it('leads from a use to the definition in the same graph', () => {
    const use = index.valueAt(5, 11);
    expect(use).toBeDefined();
    expect(use && index.definition(use)?.line).toBe(4);
    expect(use && index.places(use).map(({ line }) => line)).toEqual([4, 5]);
    expect(index.valueAt(3, 0)).toBeUndefined();
  });

  it('lists every place of a value, the definition first', () => {
    const use = index.valueAt(2, 14);
    expect(use && index.places(use).map(({ start }) => start)).toEqual([2, 11, 14]);
  });

  it('puts findings on the lines of their layers, and those of the model on none', () => {
    const found = { severity: 'hint', message: '', fixes: [] } as const;
    const lines = findingLines(index, [
      { rule: 'two', layer: 'relu', layers: ['relu', 'neg'], ...found },
      { rule: 'whole', ...found },
      { rule: 'gone', layer: 'gone', ...found },
    ]);
    expect(lines.map(({ line, finding }) => [finding.rule, line])).toEqual([
      ['two', 1],
      ['two', 5],
    ]);
  });
});

describe('heavy layers', () => {
  it('are those that hold or do most; unknown work counts by its weights', () => {
    const rows = [row('small', 1, 1), row('wide', 900, null), row('busy', 99, 999)];
    const heavy = heaviestLayers(rows, 5);
    expect(heavy.map(({ row: { id } }) => id)).toEqual(['busy', 'wide']);
    expect(heavy[0]?.share).toBeCloseTo(0.999);
    expect(heaviestLayers(rows, 1)).toHaveLength(1);
    expect(heaviestLayers([row('free', 0, 0)], 5)).toEqual([]);
  });
});
