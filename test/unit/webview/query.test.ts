import { describe, expect, it } from 'vitest';
import { suggestionsFor } from '../../../webview-ui/graph/complete.ts';
import { runQuery } from '../../../webview-ui/graph/query.ts';
import { amountOf } from '../../../webview-ui/graph/queryAmount.ts';
import { viewOf } from '../../webview/support/builder.ts';
import { resnetLike } from '../../webview/support/graphs.ts';

const nodes = resnetLike();
const view = viewOf(nodes);
const context = {
  view,
  findings: new Map([['stem/Conv', ['float-weights', 'The weights take 1792 bytes']]]),
  measured: new Map([['fc/Gemm', 2]]),
  changes: new Map([['stem/Relu', 'added'] as const]),
};
const ids = (query: string) => runQuery(context, query).found.map((v) => nodes[v]!.id);
const all = (test: (node: (typeof nodes)[number]) => boolean) => nodes.filter(test).map(({ id }) => id);

describe('queries', () => {
  it('words look in operator, name and shape, all at once', () => {
    expect(ids('gemm')).toEqual(['fc/Gemm']);
    expect(ids('CONV 16x32x32')).toHaveLength(7);
    expect(ids('layer2 add')).toHaveLength(3);
    expect(ids('   ')).toEqual([]);
    expect(ids('nothing like it')).toEqual([]);
  });

  it('fields agree with a filter over the layers', () => {
    expect(ids('op=conv')).toEqual(all(({ op }) => op === 'Conv'));
    expect(ids('op:con')).toEqual(all(({ op }) => op === 'Conv'));
    expect(ids('name~^layer[12]/block0/add$')).toEqual(['layer1/block0/Add', 'layer2/block0/Add']);
    expect(ids('in:layer3')).toEqual(all(({ scope }) => scope?.startsWith('layer3') === true));
    expect(ids('macs>1.5M')).toEqual(all(({ macs }) => (macs ?? 0) > 1.5e6));
    expect(ids('params>=2k params<10k')).toEqual(all(({ params = 0 }) => params >= 2000 && params < 10_000));
    expect(ids('weight:*x3x3')).toEqual(all(({ op }) => op === 'Conv'));
    expect(ids('measured>1ms')).toEqual(['fc/Gemm']);
    expect(ids('type:float32 -op:conv -op:relu macs=0')).toEqual(
      all(({ op, kind, macs }) => (kind ?? 0) === 0 && op !== 'Conv' && op !== 'Relu' && (macs ?? 0) === 0),
    );
  });

  it('alternatives, findings and states', () => {
    expect(ids('op:gemm | finding:float-weights')).toEqual(['stem/Conv', 'fc/Gemm']);
    expect(ids('finding:any')).toEqual(all(({ findings }) => (findings ?? 0) > 0));
    expect(ids('is:added')).toEqual(['stem/Relu']);
    expect(ids('severity>=warning')).toEqual(all(({ severity }) => (severity ?? 0) >= 3));
    expect(ids('finding:"weights take"')).toEqual(['stem/Conv']);
  });

  it('say what they do not understand', () => {
    expect(runQuery(context, 'macs>many').problem).toContain('not a number');
    expect(runQuery(context, 'name~[').problem).toContain('no regular expression');
    expect(runQuery(context, 'op>3').problem).toContain('compared with');
    expect(runQuery(context, 'is:odd').problem).toContain('takes changed');
    // A colon that belongs to a name is no field.
    expect(runQuery(context, 'onnx::conv').problem).toBeUndefined();
  });
});

describe('a query that is still being written', () => {
  it('asks for what is there', () => {
    expect(ids('op:gemm macs>')).toEqual(['fc/Gemm']);
    expect(runQuery(context, 'op:')).toEqual({ found: [] });
  });
});

describe('amounts', () => {
  it.each([
    ['1.5M', 'count', 1.5e6],
    ['64kB', 'bytes', 64_000],
    ['2MiB', 'bytes', 2 * 2 ** 20],
    ['500us', 'time', 0.5],
    ['2s', 'time', 2000],
    ['7', 'count', 7],
    ['3kB', 'count', undefined],
    ['x', 'bytes', undefined],
  ] as const)('%s as %s', (text, amount, value) => {
    expect(amountOf(text, amount)).toBe(value);
  });
});

describe('suggestions', () => {
  const titles = (query: string, history: readonly string[] = []) =>
    suggestionsFor(query, { view, rules: ['float-weights'], history }).map(({ title }) => title);

  it('fields, then what the model holds, most frequent first', () => {
    expect(titles('ma')).toContain('macs>');
    expect(titles('op:')[0]).toBe('Conv');
    expect(titles('finding:')).toEqual(['any', 'float-weights']);
    expect(titles('conv')).toEqual(['Conv']);
    expect(titles('type:flo')).toEqual(['float32']);
  });

  it('history comes first while nothing is written, and terms before stay', () => {
    expect(titles('', ['macs>1M'])[0]).toBe('macs>1M');
    const [first] = suggestionsFor('layer2 op:rel', { view, rules: [], history: [] });
    expect(first?.query).toBe('layer2 op:Relu');
  });
});
