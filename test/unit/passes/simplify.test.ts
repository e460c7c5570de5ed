import { describe, expect, it } from 'vitest';
import { attr } from '../../../src/ir/attribute.ts';
import { floatTensor, numberTensor } from '../../../src/ir/numbers.ts';
import type { OnnxModel } from '../../../src/ir/model.ts';
import { OnnxBuilder, operatorsOf, runPass } from './build.ts';
import { randomModel } from './randomModel.ts';
import { onnxFeeds, relativeError, runOnnx } from './runtime.ts';

async function simplified(model: OnnxModel): Promise<OnnxModel> {
  const result = await runPass('simplify', model);
  for (const batch of [1, 3]) {
    const feeds = onnxFeeds(model, 11, batch);
    expect(relativeError(await runOnnx(model, feeds), await runOnnx(result.model, feeds))).toBeLessThan(1e-6);
  }
  return result.model;
}

describe('simplify', () => {
  it('removes what passes its input on, and keeps the names of outputs', async () => {
    const g = new OnnxBuilder();
    g.input('x', ['N', 4, 6]);
    g.node('Identity', ['x'], 'a');
    g.node('Relu', ['a'], 'b');
    g.node('Dropout', ['b'], 'c');
    g.node('Cast', ['c'], 'd', { to: 1 });
    g.node('Transpose', ['d'], 'e', { perm: [0, 1, 2] });
    g.node('Mul', ['e', g.floats('one', [1], () => 1)], 'f');
    g.node('Add', ['f', g.floats('zero', [4, 1], () => 0)], 'g');
    g.node('Reshape', ['g', g.integers('shape', [0, 4, 6])], 'h');
    g.node('Identity', ['h'], 'y');
    const model = g.output('y').model();
    const after = await simplified(model);
    expect(operatorsOf(after)).toBe('Relu:1');
    expect(after.graphs[0].outputs).toEqual(['y']);
    expect(after.graphs[0].nodes[0]?.outputs).toEqual(['y']);
  });

  it('keeps an identity between an input and an output', async () => {
    const g = new OnnxBuilder();
    g.input('x', ['N', 4]);
    g.node('Identity', ['x'], 'y');
    const model = g.output('y').model();
    expect((await runPass('simplify', model)).model).toBe(model);
  });

  it('keeps both names of a value that leaves the model twice', async () => {
    const g = new OnnxBuilder();
    g.input('x', ['N', 4]);
    g.node('Relu', ['x'], 'a');
    g.node('Identity', ['a'], 'b');
    g.node('Identity', ['a'], 'c');
    const after = await simplified(g.output('b').output('c').model());
    expect(after.graphs[0].outputs).toEqual(['b', 'c']);
  });

  it('merges transposes and undoes reshapes', async () => {
    const g = new OnnxBuilder();
    g.input('x', ['N', 4, 6]);
    g.node('Transpose', ['x'], 'a', { perm: [0, 2, 1] });
    g.node('Transpose', ['a'], 'b', { perm: [0, 2, 1] });
    g.node('Unsqueeze', ['b', g.integers('axes', [1])], 'c');
    g.node('Squeeze', ['c', g.integers('axes2', [1])], 'd');
    g.node('Sigmoid', ['d'], 'y');
    expect(operatorsOf(await simplified(g.output('y').model()))).toBe('Sigmoid:1');
  });

  it('computes shape arithmetic, but never takes the batch for a number', async () => {
    const g = new OnnxBuilder();
    g.input('x', ['N', 4, 6]);
    g.node('Shape', ['x'], 'shape');
    g.node('Gather', ['shape', g.integers('zero', [0], [])], 'n', { axis: 0 });
    g.node('Gather', ['shape', g.integers('one', [1], [])], 'c', { axis: 0 });
    g.node('Gather', ['shape', g.integers('two', [2], [])], 'l', { axis: 0 });
    g.node('Mul', ['c', 'l'], 'cl');
    g.node('Unsqueeze', ['n', g.integers('axes', [0])], 'n1');
    g.node('Unsqueeze', ['cl', 'axes'], 'cl1');
    g.node('Concat', ['n1', 'cl1'], 'target', { axis: 0 });
    g.node('Reshape', ['x', 'target'], 'y');
    const after = await simplified(g.output('y').model());
    expect(operatorsOf(after)).toBe('Shape:1 Gather:1 Unsqueeze:1 Concat:1 Reshape:1');
  });

  it('does not fold what would make the file larger', async () => {
    const g = new OnnxBuilder();
    g.input('x', ['N', 100, 100]);
    g.node('ConstantOfShape', [g.integers('shape', [100, 100])], 'w', {
      value: floatTensor([1], Float32Array.of(2)),
    });
    g.node('Mul', ['x', 'w'], 'y');
    const model = g.output('y').model();
    expect((await runPass('simplify', model)).model).toBe(model);
  });

  it('folds a transposed weight into a weight', async () => {
    const g = new OnnxBuilder();
    g.input('x', ['N', 40]);
    g.node('Transpose', [g.floats('w', [30, 40])], 'wt', { perm: [1, 0] });
    g.node('MatMul', ['x', 'wt'], 'y');
    const after = await simplified(g.output('y').model());
    expect(operatorsOf(after)).toBe('MatMul:1');
    expect([...after.graphs[0].values.values()].filter((value) => value.constant)).toHaveLength(1);
  });

  it('folds reshaped and transposed weights of any size', async () => {
    const g = new OnnxBuilder();
    g.input('x', ['N', 1200]);
    g.node('Transpose', [g.floats('w', [10, 120, 1200])], 'a', { perm: [2, 1, 0] });
    g.node('Reshape', ['a', g.integers('shape', [1200, -1])], 'b');
    g.node('MatMul', ['x', 'b'], 'y');
    expect(operatorsOf(await simplified(g.output('y').model()))).toBe('MatMul:1');
  });

  it('shares constants and repeated computations', async () => {
    const g = new OnnxBuilder();
    g.input('x', ['N', 4]);
    g.node('Mul', ['x', g.floats('a', [4], (i) => i)], 'p');
    g.node('Mul', ['x', g.floats('b', [4], (i) => i)], 'q');
    g.node('Relu', ['p'], 'r');
    g.node('Relu', ['q'], 's');
    g.node('Add', ['r', 's'], 'y');
    const after = await simplified(g.output('y').model());
    expect(operatorsOf(after)).toBe('Mul:1 Relu:1 Add:1');
  });

  it('never shares random numbers', async () => {
    const g = new OnnxBuilder();
    g.input('x', ['N', 4]);
    g.node('RandomNormalLike', ['x'], 'a', { seed: attr.float(1) });
    g.node('RandomNormalLike', ['x'], 'b', { seed: attr.float(1) });
    g.node('Add', ['a', 'b'], 'y');
    expect(operatorsOf((await runPass('simplify', g.output('y').model())).model)).toBe(
      'RandomNormalLike:2 Add:1',
    );
  });

  it('puts the taken branch in the place of an If, and reads of the outer graph follow', async () => {
    const branch = (seed: number) => {
      const b = new OnnxBuilder(seed);
      b.node('Mul', ['outer', b.floats('k', [4])], 'inner');
      b.node('Relu', ['inner'], 'result');
      return b.output('result').graph(`branch${seed}`);
    };
    const g = new OnnxBuilder();
    g.input('x', ['N', 4]);
    g.node('Identity', ['x'], 'same');
    g.node('Neg', ['same'], 'outer');
    g.floats('k', [4]);
    g.constant('yes', numberTensor('bool', [], [1]));
    g.node('If', ['yes'], 'z', { then_branch: branch(1), else_branch: branch(2) });
    g.node('Add', ['z', 'k'], 'y');
    const after = await simplified(g.output('y').model());
    expect(operatorsOf(after)).toBe('Neg:1 Mul:1 Relu:1 Add:1');
  });

  it('lets a body read what replaced its outer value', async () => {
    const branch = (op: string) => {
      const b = new OnnxBuilder();
      b.node(op, ['same'], 'result');
      return b.output('result').graph(op);
    };
    const g = new OnnxBuilder();
    g.input('x', ['N', 4]);
    g.node('Neg', ['x'], 'outer');
    g.node('Identity', ['outer'], 'same');
    g.node('ReduceSum', ['x'], 'sum', { keepdims: 0 });
    g.node('Greater', ['sum', g.floats('limit', [], () => 0)], 'test');
    g.node('If', ['test'], 'y', { then_branch: branch('Relu'), else_branch: branch('Abs') });
    expect(operatorsOf(await simplified(g.output('y').model()))).toBe('Neg:1 ReduceSum:1 Greater:1 If:1');
  });

  it('removes a quantization that gives back the codes it came from, and no other', async () => {
    const g = new OnnxBuilder();
    g.input('x', ['N', 4]);
    const zero = g.constant('zero', numberTensor('uint8', [], [3]));
    g.floats('scale', [], () => 0.1);
    g.floats('twin', [], () => 0.1);
    g.floats('wider', [], () => 0.2);
    g.node('QuantizeLinear', ['x', 'scale', zero], 'a');
    g.node('DequantizeLinear', ['a', 'scale', zero], 'b');
    g.node('QuantizeLinear', ['b', 'twin', zero], 'c');
    g.node('DequantizeLinear', ['c', 'twin', zero], 'd');
    g.node('QuantizeLinear', ['d', 'wider', zero], 'e');
    g.node('DequantizeLinear', ['e', 'wider', zero], 'y');
    const after = await simplified(g.output('y').model());
    expect(operatorsOf(after)).toBe('QuantizeLinear:2 DequantizeLinear:2');
  });

  it('changes only the chosen layers', async () => {
    const g = new OnnxBuilder();
    g.input('x', ['N', 4]);
    g.node('Identity', ['x'], 'a');
    g.node('Relu', ['a'], 'b');
    g.node('Identity', ['b'], 'c');
    g.node('Neg', ['c'], 'y');
    const model = g.output('y').model();
    const { model: after, changed } = await runPass('simplify', model, { layers: ['Identity:c'] });
    expect(operatorsOf(after)).toBe('Identity:1 Relu:1 Neg:1');
    expect(changed).toContain('Identity:c');
    expect(changed).not.toContain('Identity:a');
  });

  it('shares every node it did not touch', async () => {
    const g = new OnnxBuilder();
    g.input('x', ['N', 4]);
    g.node('Relu', ['x'], 'a');
    g.node('Identity', ['a'], 'b');
    g.node('Neg', ['b'], 'c');
    g.node('Abs', ['c'], 'y');
    const model = g.output('y').model();
    const { model: after, changed } = await runPass('simplify', model);
    const node = (of: OnnxModel, id: string) => of.graphs[0].nodes.find((each) => each.id === id);
    expect(node(after, 'Abs:y')).toBe(node(model, 'Abs:y'));
    expect(node(after, 'Relu:a')).toBe(node(model, 'Relu:a'));
    expect(changed.toSorted()).toEqual(['Identity:b', 'Neg:c']);
  });
});

describe('on random graphs, simplify and fuse', () => {
  it.each(Array.from({ length: 60 }, (_, seed) => [seed + 1]))('keep results, seed %i', async (seed) => {
    const model = randomModel(seed);
    const feeds = onnxFeeds(model, seed, 2);
    const before = await runOnnx(model, feeds);
    let current = model;
    for (const id of ['simplify', 'fuse', 'simplify', 'fuse']) {
      const result = await runPass(id, current);
      current = result.model;
      expect(relativeError(before, await runOnnx(current, feeds))).toBeLessThan(1e-4);
      const again = await runPass(id, current);
      expect(again.model).toBe(current);
    }
  });
});
