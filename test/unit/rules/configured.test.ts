import { describe, expect, it } from 'vitest';
import { parseCheckConfig } from '../../../src/optimize/checkConfig.ts';
import { configured, noConfig } from '../../../src/rules/configured.ts';
import type { Finding } from '../../../src/rules/rule.ts';

const finding = (rule: string, ...layers: string[]): Finding => {
  const [layer] = layers;
  const where = layer === undefined ? {} : layers.length === 1 ? { layer } : { layer, layers };
  return { rule, severity: 'warning', message: rule, fixes: [], ...where };
};

describe('configured findings', () => {
  it('severities replace or silence', () => {
    const found = [finding('a'), finding('b'), finding('c')];
    const result = configured(found, { ...noConfig, severities: { a: 'off', b: 'error' } }, 'm.onnx');
    expect(result.map(({ rule, severity }) => [rule, severity])).toEqual([
      ['b', 'error'],
      ['c', 'warning'],
    ]);
  });

  it('suppression takes away the layer, the rule, or the rule in some models', () => {
    const found = [finding('a', 'x/1', 'x/2', 'y'), finding('b', 'y'), finding('c')];
    const left = (...suppress: { rule: string; layer?: string; model?: string }[]) =>
      configured(found, { ...noConfig, suppress }, '/models/net.onnx');
    expect(left({ rule: 'a', layer: 'x/1' })[0]).toEqual(finding('a', 'x/2', 'y'));
    expect(left({ rule: 'a', layer: 'x/*' })[0]).toEqual(finding('a', 'y'));
    expect(left({ rule: 'a', layer: '*' }).map(({ rule }) => rule)).toEqual(['b', 'c']);
    expect(left({ rule: 'a' }, { rule: 'c' }).map(({ rule }) => rule)).toEqual(['b']);
    expect(left({ rule: 'c', layer: 'y' })).toEqual(found);
    expect(left({ rule: 'a', model: 'net.onnx' })).toHaveLength(2);
    expect(left({ rule: 'a', model: 'other*' })).toEqual(found);
    expect(left({ rule: 'b', layer: 'Y' })).toEqual(found);
  });
});

describe('kerf.json', () => {
  it('holds limits, severities and suppressions, or limits alone', () => {
    const text = JSON.stringify({
      budget: { fileBytes: '1 kB' },
      rules: { 'dynamic-shape': 'off' },
      suppress: [{ rule: 'layer-too-large', layer: 'fc', reason: 'is the point of the model' }],
    });
    expect(parseCheckConfig(text)).toEqual({
      budget: { fileBytes: 1000 },
      severities: { 'dynamic-shape': 'off' },
      suppress: [{ rule: 'layer-too-large', layer: 'fc', reason: 'is the point of the model' }],
    });
    expect(parseCheckConfig('{"macs": "5M"}')).toEqual({ ...noConfig, budget: { macs: 5_000_000 } });
    expect(parseCheckConfig('{"rules": {}}')).toEqual(noConfig);
  });

  it.each([
    ['{', 'is not JSON'],
    ['[]', 'is not an object'],
    ['{"rules": {"a": "loud"}}', 'is none of'],
    ['{"suppress": {}}', 'is not a list'],
    ['{"suppress": [{"layer": "x"}]}', 'needs a "rule"'],
    ['{"suppress": [{"rule": "a", "layer": 3}]}', 'is not a text'],
    ['{"budget": {"size": 3}}', 'is not a limit'],
  ])('%s is refused with the place', (text, message) => {
    expect(() => parseCheckConfig(text, 'kerf.json')).toThrow(message);
  });
});
