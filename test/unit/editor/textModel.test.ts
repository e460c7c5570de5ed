import { describe, expect, it } from 'vitest';
import { findingLines, heaviestLayers, indexText } from '../../../src/editor/text/model.ts';
import type { TextForm } from '../../../src/engine/protocol.ts';
import type { LayerRow } from '../../../src/engine/answers.ts';

/** `x` in two graphs: names are only unique within one. */
const spans: readonly (readonly [
  value: number,
  line: number,
  start: number,
  end: number,
  definition: 0 | 1,
])[] = [
  [0, 0, 6, 7, 1],
  [1, 1, 2, 3, 1],
  [0, 1, 12, 13, 0],
  [1, 2, 11, 12, 0],
  [1, 2, 14, 15, 0],
  [2, 4, 6, 7, 1],
  [2, 5, 11, 12, 0],
];
const column = (index: 0 | 1 | 2 | 3 | 4) => Uint32Array.from(spans, (span) => span[index]);
const form: TextForm = {
  text: 'main (x) {\n  a = Relu (x)\n  b = Add (a, a)\n}\nbody (x) {\n  c = Neg (x)\n}\n',
  layers: ['relu', 'add', 'neg'],
  layerLines: Uint32Array.of(1, 2, 5),
  names: {
    values: ['x', 'a', 'x'],
    value: column(0),
    line: column(1),
    start: column(2),
    end: column(3),
    definition: Uint8Array.from(column(4)),
  },
  graphs: [
    { name: 'main', kind: 'main', line: 0, end: 3 },
    { name: 'body', kind: 'body', line: 4, end: 6 },
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
