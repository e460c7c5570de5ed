import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { readModelFile } from '../../../src/formats/io/models.ts';
import { stepsOfAeq } from '../../../src/optimize/aeq/read.ts';
import { isAeqRecipe, parseAeqRecipe } from '../../../src/optimize/aeq/types.ts';
import { aeqOfSteps } from '../../../src/optimize/aeq/write.ts';
import { problemsOf } from '../../../src/optimize/recipe.ts';
import type { RecipeStep } from '../../../src/passes/pass.ts';
import { passes } from '../../../src/passes/registry.ts';
import { samples } from '../support/models.ts';

const { model } = readModelFile(path.join(samples, 'digits.tflite'));
const layersOf = (op: string) => model.graphs[0].nodes.filter((node) => node.op === op).map(({ id }) => id);

const weight = (bits: number) => ({
  num_bits: bits,
  symmetric: true,
  granularity: 'CHANNELWISE',
  dtype: 'INT',
});
const everything = {
  regex: '.*',
  operation: '*',
  algorithm_key: 'min_max_uniform_quantize',
  op_config: {
    activation_tensor_config: { num_bits: 8, symmetric: false, granularity: 'TENSORWISE', dtype: 'INT' },
    weight_tensor_config: weight(8),
    compute_precision: 'INTEGER',
    explicit_dequantize: false,
    skip_checks: false,
  },
};
const dense = {
  regex: '.*',
  operation: 'FULLY_CONNECTED',
  algorithm_key: 'gptq',
  op_config: { weight_tensor_config: weight(4), compute_precision: 'INTEGER', min_weight_elements: 100 },
};
const none = { regex: '.*', operation: 'CONV_2D', algorithm_key: 'no_quantize' };

function stepsOf(...rules: readonly object[]): readonly RecipeStep[] {
  const { steps } = stepsOfAeq(parseAeqRecipe(rules), model);
  expect(problemsOf({ steps }, passes)).toEqual([]);
  return steps;
}

describe('recipes of AI Edge Quantizer', () => {
  it('become one step where one rule covers the model', () => {
    expect(stepsOf(everything)).toEqual([
      { pass: 'quantize-static', options: { scheme: 'w8a8', io: 'int8' } },
    ]);
  });

  it('let the last matching rule win, operator by operator', () => {
    const steps = stepsOf(everything, dense, none);
    const weights = steps.find(({ pass }) => pass === 'quantize-weights');
    expect(weights?.layers).toEqual(layersOf('FULLY_CONNECTED'));
    expect(weights?.options).toMatchObject({ bits: '4', rounding: 'optimized', smallest: 100 });
    const fixed = steps.find(({ pass }) => pass === 'quantize-static');
    for (const id of layersOf('CONV_2D')) expect(fixed?.layers).not.toContain(id);
    for (const id of layersOf('MAX_POOL_2D')) expect(fixed?.layers).toContain(id);
    // A rule for everything clears the earlier ones under the same expression.
    expect(stepsOf(dense, none, everything)).toEqual(stepsOf(everything));
  });

  it('find operators by the names of their outputs', () => {
    const [id = ''] = layersOf('CONV_2D');
    const node = model.graphs[0].nodes.find((each) => each.id === id);
    const name = model.graphs[0].values.get(node?.outputs[0] ?? '')?.name ?? '';
    const rule = { ...dense, operation: 'CONV_2D', regex: name.replaceAll(/[.()]/g, '\\$&') };
    expect(stepsOf(rule)[0]?.layers).toEqual([id]);
  });

  it('keep blocks of weights, and weights of four bits in four', () => {
    const blocks = {
      ...dense,
      op_config: { ...dense.op_config, weight_tensor_config: { ...weight(4), granularity: 'BLOCKWISE_32' } },
    };
    const [step] = stepsOf(blocks);
    expect(step?.options).toMatchObject({ bits: '4', block: '32' });
    const rules = aeqOfSteps(model, step === undefined ? [] : [step]);
    expect(rules[0]?.op_config?.weight_tensor_config).toMatchObject({ granularity: 'BLOCKWISE_32' });
    const narrow = { ...everything.op_config, weight_tensor_config: weight(4) };
    const [fixed] = stepsOf({ ...everything, op_config: narrow });
    expect(fixed?.options).toMatchObject({ scheme: 'w4a8', packed: true });
    const large = { ...weight(4), granularity: 'BLOCKWISE_256' };
    const other = { ...dense, op_config: { ...dense.op_config, weight_tensor_config: large } };
    expect(stepsOfAeq(parseAeqRecipe([other]), model).notes.join()).toContain('blocks of 256');
  });

  it('come back as they went out', () => {
    const steps: readonly RecipeStep[] = [
      {
        pass: 'quantize-weights',
        options: { bits: '4', conv: true, rounding: 'optimized', ends: false, smallest: 0 },
        layers: layersOf('FULLY_CONNECTED'),
      },
      { pass: 'quantize-static', options: { scheme: 'w8a8', io: 'float' }, layers: layersOf('CONV_2D') },
    ];
    const rules = JSON.parse(JSON.stringify(aeqOfSteps(model, steps))) as unknown;
    expect(isAeqRecipe(rules)).toBe(true);
    expect(stepsOfAeq(parseAeqRecipe(rules), model).steps).toEqual(steps);
  });

  it('say what they cannot', () => {
    expect(() => aeqOfSteps(model, [{ pass: 'low-rank' }])).toThrow(/nothing like low-rank/);
    expect(() => parseAeqRecipe([{ regex: '(', operation: '*', algorithm_key: 'x' }])).toThrow(
      /regular expression/,
    );
    const { notes } = stepsOfAeq(parseAeqRecipe([{ ...everything, algorithm_key: 'octav' }]), model);
    expect(notes).toEqual(['octav was taken for min_max_uniform_quantize']);
  });
});
