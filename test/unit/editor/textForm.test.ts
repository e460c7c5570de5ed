import { describe, expect, it } from 'vitest';
import { analyse } from '../../../src/analysis/analyse.ts';
import { findingsOf, fixBehind } from '../../../src/editor/findings/findingView.ts';
import { fixBenchmarkText, fixResultText } from '../../../src/editor/commands/fixResult.ts';
import { withSuppression } from '../../../src/editor/commands/kerfJson.ts';
import { heavyScopes, indexText } from '../../../src/editor/text/model.ts';
import { layersIn, type ScopeNode, scopePath, scopesOf } from '../../../src/editor/text/scopes.ts';
import { lineTokens } from '../../../src/editor/text/tokens.ts';
import { layerRow } from '../../../src/engine/nodeDetails.ts';
import type { BenchReport } from '../../../src/engine/protocol.ts';
import { printOnnxSyntax } from '../../../src/formats/text/onnxSyntax.ts';
import { printModel } from '../../../src/formats/text/print.ts';
import { attr } from '../../../src/ir/attribute.ts';
import { convNet, onnx, reluBody, tensor } from '../rules/small.ts';

const relu = (name: string, from: string, to: string) => [name, 'Relu', [from], [to]] as const;

function shown(model: ReturnType<typeof onnx>) {
  const analysis = analyse(model);
  const index = indexText(printModel(model));
  const rows = new Map(analysis.layers.map((layer) => [layer.id, layerRow(layer)]));
  return { index, rows };
}

/** The tree as nested names. */
const names = (nodes: readonly ScopeNode[]): unknown[] =>
  nodes.map((node) => [
    node.kind === 'layer' ? node.id : `${node.kind} ${node.name}`,
    ...names(node.children),
  ]);

describe('scopes', () => {
  it('come from the names of layers; TFLite joins names with semicolons', () => {
    expect(scopePath('/stage/block/Conv')).toEqual(['stage', 'block']);
    expect(scopePath('model/act/Relu;model/conv/BiasAdd')).toEqual(['model', 'act']);
    expect(scopePath('conv1')).toEqual([]);
  });

  it('nest in the order of the text, and single things stand alone', () => {
    const { index, rows } = shown(
      onnx({
        inputs: { x: ['float32', [4]] },
        outputs: ['f'],
        nodes: [
          relu('/a/one/Relu', 'x', 'b'),
          relu('/a/one/Relu_1', 'b', 'c'),
          relu('/a/two/Relu', 'c', 'd'),
          relu('last', 'd', 'e'),
          relu('/b/Relu', 'e', 'f'),
        ],
      }),
    );
    const tree = scopesOf(index, rows);
    expect(names(tree)).toEqual([
      [
        'graph main',
        ['scope a', ['scope one', ['/a/one/Relu'], ['/a/one/Relu_1']], ['/a/two/Relu']],
        ['last'],
        ['/b/Relu'],
      ],
    ]);
    const [a] = tree[0]?.children ?? [];
    expect(a && layersIn(a)).toEqual(['/a/one/Relu', '/a/one/Relu_1', '/a/two/Relu']);
    expect([a?.line, a?.end].map((line) => index.lines[line ?? 0]?.includes('/a/'))).toEqual([true, true]);
  });

  it('keep bodies under their layer', () => {
    const { index, rows } = shown(
      onnx({
        inputs: { c: ['bool', []], x: ['float32', [2]] },
        outputs: ['z'],
        nodes: [
          ['choice', 'If', ['c'], ['y'], { then_branch: { kind: 'graph', value: reluBody } }],
          relu('after', 'y', 'z'),
        ],
      }),
    );
    expect(names(scopesOf(index, rows))).toEqual([
      ['graph main', ['choice', ['graph then', ['inner']]], ['after']],
    ]);
  });

  it('are heavy when they hold or do a tenth of the model', () => {
    const model = convNet(16, 8, [
      ['/tail/relu', 'Relu', ['y'], ['z']],
      ['/tail/neg', 'Neg', ['z'], ['out']],
    ]);
    const { index, rows } = shown(model);
    expect(heavyScopes(scopesOf(index, rows), rows, 5)).toEqual([]);
    const renamed = {
      ...model,
      graphs: [
        {
          ...model.graphs[0],
          nodes: model.graphs[0].nodes.map((node) => ({
            ...node,
            name: `/net/${node.id.split('/').at(-1) ?? ''}`,
          })),
        },
      ] as const,
    };
    const second = shown(renamed);
    expect(heavyScopes(scopesOf(second.index, second.rows), second.rows, 5)).toMatchObject([
      { name: 'net', layers: ['conv', '/tail/relu', '/tail/neg'], weightBytes: 9216, share: 1 },
    ]);
  });
});

describe('tokens of a line', () => {
  it('tell operators, types, names, attributes and numbers apart', () => {
    const { index } = shown(convNet(2, 4));
    const line = index.lines.findIndex((text) => text.includes('= Conv'));
    const text = index.lines[line] ?? '';
    const tokens = lineTokens(text, index.spansOn(line)).map(
      ({ start, length, type, declaration }) =>
        `${type}${declaration ? '!' : ''} ${text.slice(start, start + length)}`,
    );
    expect(text).toContain('[conv] ? y = Conv <pads = [1, 1, 1, 1]> (x, w: float32[2,2,3,3] 144 B)');
    expect(tokens).toEqual([
      'label conv',
      'variable! y',
      'function Conv',
      'property pads',
      ...['1', '1', '1', '1'].map((one) => `number ${one}`),
      'variable x',
      'variable! w',
      'type float32',
      ...['2', '2', '3', '3'].map((one) => `number ${one}`),
      'number 144',
      'number B',
    ]);
  });

  it('do not overlap, whatever the names are', () => {
    const odd = ['float32', 'graph', '= Conv (', '"quoted"', 'a b', '<x>'];
    const model = onnx({
      inputs: { x: ['float32', [1]] },
      outputs: [odd.at(-1) ?? ''],
      nodes: odd.map((name, at) => relu(name, odd[at - 1] ?? 'x', name)),
    });
    const { index } = shown(model);
    for (const [line, text] of index.lines.entries()) {
      let end = 0;
      for (const token of lineTokens(text, index.spansOn(line))) {
        expect(token.start).toBeGreaterThanOrEqual(end);
        end = token.start + token.length;
      }
      expect(end).toBeLessThanOrEqual(text.length);
    }
  });
});

describe('ONNX text', () => {
  it('prints chosen layers as a graph of their own, in the syntax of onnx', () => {
    const model = convNet(2, 4, [['act', 'LeakyRelu', ['y'], ['z'], { alpha: attr.float(0.5) }]]);
    const { types } = analyse(model);
    const print = (layers?: string[]) =>
      printOnnxSyntax(model, layers && new Set(layers), (graph, value) => types.get(graph)?.get(value));
    expect(print(['act'])).toBe(`<ir_version: 9, opset_import: ["" : 18]>
main (float[1,2,4,4] y) => (float[1,2,4,4] z)
{
   [act] z = LeakyRelu <alpha: float = 0.5> (y)
}
`);
    expect(print()).toContain('main (float[1,2,4,4] x, float[2,2,3,3] w) => (float[1,2,4,4] z)');
    expect(print()).toContain('[conv] y = Conv <pads: ints = [1, 1, 1, 1]> (x, w)');
  });

  it('quotes names that are no identifiers, and leaves omitted inputs empty', () => {
    const model = onnx({
      inputs: { 'in:0': ['float32', ['N', 2]] },
      outputs: ['/y'],
      constants: { max: tensor('float32', []) },
      nodes: [['/clip', 'Clip', ['in:0', '', 'max'], ['/y']]],
    });
    expect(printOnnxSyntax(model, undefined, (graph, value) => graph.values.get(value)?.type)).toContain(
      '["/clip"] "/y" = Clip ("in:0", , max)',
    );
  });
});

describe('fixes in words', () => {
  const fix = {
    pass: 'fuse',
    options: {},
    title: 'Fold 3 batch normalizations: 3 layers less, 2.00 kB less',
    gain: { fileBytes: 2000, latencyMs: { before: 3, after: 2 } },
  };
  const report = {
    before: { fileBytes: 10_000, params: 10, macs: 100 },
    after: { fileBytes: 7900, params: 8, macs: 100 },
    changed: ['a'],
    notes: [],
    seconds: 1,
  };

  it('set what was done beside what was promised', () => {
    const text = fixResultText(fix, report);
    expect(text).toMatch(/^Fold 3 batch normalizations: 10 kB → 7\.9\d* kB/);
    expect(text).toContain('2.1 kB less, 2 kB predicted');
    const same = { ...report, after: report.before, changed: [], notes: ['why'] };
    expect(fixResultText(fix, same)).toBe('Fold 3 batch normalizations: nothing to change. why');
  });

  it('set the measurement beside the estimate, and call it one', () => {
    const latency = (median: number) => ({ min: median, median, mean: median, p90: median, p99: median });
    const bench = {
      latencyMs: latency(1),
      against: { latencyMs: latency(2), speedup: 2 },
    } as unknown as BenchReport;
    expect(fixBenchmarkText(fix, bench)).toMatch(
      /^Measured here: 2 ms → 1 ms \(2\.00× as fast\)\. Estimated on the device: 3 ms → 2 ms \(1\.50×\)\.$/,
    );
  });

  it('recognise a call that somebody else makes for them', () => {
    const finding = {
      rule: 'r',
      severity: 'hint',
      message: '',
      layer: 'a',
      fixes: [{ ...fix, layers: ['a'] }],
    } as const;
    expect(fixBehind([finding], { pass: 'fuse', options: { more: 1 }, layers: ['a'] })).toBe(
      finding.fixes[0],
    );
    expect(fixBehind([finding], { pass: 'fuse', layers: ['b'] })).toBeUndefined();
    expect(fixBehind([finding], { pass: 'fuse' })).toBeUndefined();
    expect(findingsOf([finding], 'a')).toHaveLength(1);
  });
});

describe('suppressions in kerf.json', () => {
  const entry = { rule: 'r', model: 'm.onnx', layer: 'l' };
  it.each([
    ['{}', { suppress: [entry] }],
    ['{"macs": "5M"}', { budget: { macs: '5M' }, suppress: [entry] }],
    ['{"$schema": "s", "macs": 5}', { $schema: 's', budget: { macs: 5 }, suppress: [entry] }],
    [
      '{"rules": {"a": "off"}, "suppress": [{"rule": "b"}]}',
      { rules: { a: 'off' }, suppress: [{ rule: 'b' }, entry] },
    ],
  ])('%s keeps what it says', (text, expected) => {
    expect(JSON.parse(withSuppression(text, entry))).toEqual(expected);
  });

  it('a broken file is refused, not replaced', () => {
    expect(() => withSuppression('{', entry)).toThrow('not JSON');
  });
});
