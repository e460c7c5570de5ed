import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { attr } from '../../../../src/ir/attribute.ts';
import type { Graph, Node, TfliteModel, TfliteSignature, Value } from '../../../../src/ir/model.ts';
import { decodeFloats, encodeNumbers, floatTensor, intTensor } from '../../../../src/ir/numbers.ts';
import type { Tensor } from '../../../../src/ir/tensor.ts';
import { tensorType } from '../../../../src/ir/types.ts';
import { tidied } from '../../../../src/passes/convert/onnxModel.ts';
import { tfliteToOnnx } from '../../../../src/passes/convert/toOnnx/convert.ts';
import { startRunner } from '../../../../src/runtime/process/launch.ts';
import type { HostTensor, Tensors } from '../../../../src/runtime/runner.ts';
import { useSourceRunner } from '../../support/runner.ts';
import { temporaryFile } from '../calibrate.ts';

const runner = startRunner();
beforeAll(useSourceRunner);
afterAll(() => runner.kill());

const floats = (id: string, dims: readonly number[]): Value => ({
  id,
  name: id,
  type: tensorType('float32', dims),
});
const typed = (id: string, dtype: 'bool' | 'int32', dims: readonly number[] = []): Value => ({
  id,
  name: id,
  type: tensorType(dtype, dims),
});
const fixed = (id: string, constant: Tensor): Value => ({
  id,
  name: id,
  type: tensorType(constant.dtype, constant.dims),
  constant,
});
const layer = (
  op: string,
  inputs: readonly string[],
  outputs: readonly string[],
  attributes: Record<string, ReturnType<typeof attr.int>> = {},
): Node => ({
  id: `${op}_${outputs.join('_')}`,
  name: '',
  op,
  domain: '',
  inputs,
  outputs,
  attributes: new Map(Object.entries(attributes)),
});
const graph = (
  name: string,
  nodes: readonly Node[],
  values: readonly Value[],
  inputs: readonly string[],
  outputs: readonly string[],
): Graph => ({ name, nodes, values: new Map(values.map((each) => [each.id, each])), inputs, outputs });
const model = (
  graphs: readonly [Graph, ...Graph[]],
  signatures: readonly TfliteSignature[] = [],
): TfliteModel => ({ dialect: 'tflite', version: 3, description: '', graphs, metadata: [], signatures });

const three = floatTensor([], Float32Array.of(3));
const branches = model([
  graph(
    'main',
    [layer('IF', ['c', 'x'], ['y'], { then_subgraph_index: attr.int(1), else_subgraph_index: attr.int(2) })],
    [typed('c', 'bool'), floats('x', [2]), floats('y', [2])],
    ['c', 'x'],
    ['y'],
  ),
  graph(
    'then',
    [layer('MUL', ['x', 'k'], ['t']), layer('ABS', ['t'], ['y'])],
    [floats('x', [2]), fixed('k', three), floats('t', [2]), floats('y', [2])],
    ['x'],
    ['y'],
  ),
  // The same names as outside, and what comes in goes out.
  graph('else', [], [floats('x', [2])], ['x'], ['x']),
]);

const one = intTensor('int32', [], [1]);
const limit = intTensor('int32', [], [5]);
const loops = model([
  graph(
    'main',
    [
      layer('WHILE', ['i', 'x'], ['n', 'y'], {
        cond_subgraph_index: attr.int(1),
        body_subgraph_index: attr.int(2),
      }),
    ],
    [typed('i', 'int32'), floats('x', [2]), typed('n', 'int32'), floats('y', [2])],
    ['i', 'x'],
    ['n', 'y'],
  ),
  graph(
    'cond',
    [layer('LESS', ['i', 'limit'], ['more'])],
    [typed('i', 'int32'), floats('x', [2]), fixed('limit', limit), typed('more', 'bool')],
    ['i', 'x'],
    ['more'],
  ),
  graph(
    'body',
    [layer('ADD', ['i', 'one'], ['j']), layer('MUL', ['x', 'k'], ['y'])],
    [
      typed('i', 'int32'),
      typed('j', 'int32'),
      fixed('one', one),
      floats('x', [2]),
      fixed('k', three),
      floats('y', [2]),
    ],
    ['i', 'x'],
    ['j', 'y'],
  ),
]);

async function bothSides(source: TfliteModel, feeds: readonly Tensors[]) {
  const converted = await tidied(tfliteToOnnx(source).model, { seed: 1, step: async () => {} } as never);
  const [before, after] = [
    await runner.open(await temporaryFile(source), {}),
    await runner.open(await temporaryFile(converted), {}),
  ];
  const results: (readonly [Tensors, Tensors])[] = [];
  for (const each of feeds) results.push([await before.run(each), await after.run(each)]);
  await Promise.all([before.close(), after.close()]);
  return results;
}

const pair = (a: number, b: number): HostTensor => ({
  dtype: 'float32',
  dims: [2],
  data: encodeNumbers('float32', [a, b]),
});
const scalar = (dtype: 'bool' | 'int32', value: number): HostTensor => ({
  dtype,
  dims: [],
  data: encodeNumbers(dtype, [value]),
});
const read = (tensors: Tensors) => [...decodeFloats('float32', (tensors['y'] as HostTensor).data, 2)];

describe('control flow', () => {
  it('IF becomes If, and gives what LiteRT gives for both branches', async () => {
    const feeds = [1, 0].map((c) => ({ c: scalar('bool', c), x: pair(-2, 5) }));
    const results = await bothSides(branches, feeds);
    expect(results.map(([, seen]) => read(seen))).toEqual([
      [6, 15],
      [-2, 5],
    ]);
    for (const [wanted, seen] of results) expect(read(seen)).toEqual(read(wanted));
  });

  it('WHILE becomes Loop, and gives what LiteRT gives, for no round too', async () => {
    const feeds = [0, 3, 9].map((i) => ({ i: scalar('int32', i), x: pair(1, -2) }));
    const results = await bothSides(loops, feeds);
    expect(results.map(([, seen]) => read(seen))).toEqual([
      [243, -486],
      [9, -18],
      [1, -2],
    ]);
    for (const [wanted, seen] of results) expect(seen).toEqual(wanted);
  });

  it('is refused where a branch keeps a state', () => {
    const [main, then, other] = branches.graphs as [Graph, Graph, Graph];
    const kept: Value = { ...floats('kept', [2]), variable: true };
    const stateful = { ...then, values: new Map([...then.values, ['kept', kept] as const]) };
    expect(() => tfliteToOnnx(model([main, stateful, other]))).toThrow(/states inside of branches and loops/);
  });
});

describe('signatures', () => {
  const times = (name: string, factor: number) =>
    graph(
      name,
      [layer('MUL', ['x', 'k'], ['y'])],
      [floats('x', [2]), fixed('k', floatTensor([], Float32Array.of(factor))), floats('y', [2])],
      ['x'],
      ['y'],
    );
  const signature = (key: string, at: number): TfliteSignature => ({
    key,
    graph: at,
    inputs: [['in', 'x']],
    outputs: [['out', 'y']],
  });
  const two = model([times('a', 2), times('b', 3)], [signature('double', 0), signature('triple', 1)]);
  const run = async (options: { signature?: string }) => {
    const session = await runner.open(await temporaryFile(tfliteToOnnx(two, options).model), {});
    return read(await session.run({ x: pair(1, 2) }));
  };

  it('are converted one at a time: the first, or the one that is named', async () => {
    expect(await run({})).toEqual([2, 4]);
    expect(await run({ signature: 'triple' })).toEqual([3, 6]);
    expect(tfliteToOnnx(two).notes).toEqual([
      'this is the signature double; --signature takes another (triple)',
    ]);
    expect(tfliteToOnnx(two, { signature: 'triple' }).notes).toEqual([]);
  });

  it('are named when an unknown one is asked for', () => {
    expect(() => tfliteToOnnx(two, { signature: 'half' })).toThrow(
      "the model has no signature 'half' (it has double, triple)",
    );
  });
});
