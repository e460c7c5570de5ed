import { Tensor } from 'onnxruntime-node';
import { describe, expect, it } from 'vitest';
import type { OnnxModel, Value } from '../../../src/ir/model.ts';
import { floatTensor, numberTensor, readFloats } from '../../../src/ir/numbers.ts';
import { encodeFloat8, nearestCode } from '../../../src/passes/quantizeWeights/float8.ts';
import { byChannel } from '../../../src/passes/support/grouping.ts';
import { OnnxBuilder, operatorsOf, runPass } from './build.ts';
import { onnxFeeds, optimizedOnnx, random, relativeError, runOnnx, sqnrDb } from './runtime.ts';

const decode = (code: number) =>
  readFloats({ ...numberTensor('uint8', [1], [code]), dtype: 'float8e4m3fn' })[0] as number;

/** A Gemm with its weight each way round, a MatMul and a Conv. */
function network(opset: number): OnnxModel {
  const g = new OnnxBuilder(5);
  g.input('x', ['N', 4, 6, 6]);
  g.node('Conv', ['x', g.floats('k', [8, 4, 3, 3]), g.floats('kb', [8])], 'c');
  g.node('Relu', ['c'], 'r');
  g.node('Flatten', ['r'], 'f');
  g.node('Gemm', ['f', g.floats('w', [48, 128]), g.floats('b', [48])], 'a', { transB: 1 });
  g.node('MatMul', ['a', g.floats('v', [48, 32])], 'm');
  g.node('Gemm', ['m', g.floats('u', [32, 40]), g.floats('d', [40])], 'y');
  return g.output('y').model(opset);
}

describe('float8 weights', () => {
  it('are rounded as ONNX Runtime casts', async () => {
    const next = random(4);
    const wide = Array.from({ length: 4000 }, () => (next() - 0.5) * 2 ** (24 * next() - 14));
    const ties = Array.from({ length: 126 }, (_, code) => (decode(code) + decode(code + 1)) / 2);
    const special = [0, -0, 448, -448, 460, 1e9, -1e9, 2 ** -9, 2 ** -10, 1.5 * 2 ** -10, 2 ** -11];
    const numbers = Float32Array.from([...wide, ...ties, ...ties.map((tie) => -tie), ...special]);
    const g = new OnnxBuilder();
    g.input('x', ['N']);
    g.node('Cast', ['x'], 'e', { to: 17 });
    g.node('Cast', ['e'], 'y', { to: 1 });
    const model = { ...g.output('y').model(19), irVersion: 9 };
    const { y } = await runOnnx(model, { x: new Tensor('float32', numbers, [numbers.length]) });
    const own = Array.from(numbers, (value) => decode(nearestCode(value)) || 0);
    expect(Array.from(y ?? [], (value) => value || 0)).toEqual(own);
  });

  it('have one scale per output channel, under which the largest weight is the largest number', () => {
    const numbers = Float32Array.from({ length: 24 }, (_, i) =>
      i % 8 === 3 ? 0 : Math.sin(i) * (1 + (i % 3)),
    );
    const tensor = floatTensor([2, 3, 4], numbers);
    const { codes, scales } = encodeFloat8(tensor, byChannel([2, 3, 4], 1));
    const [factors, values] = [readFloats(scales), readFloats(codes)];
    for (const channel of [0, 1, 2]) {
      const own = numbers.filter((_, i) => Math.floor(i / 4) % 3 === channel);
      const largest = Math.max(...own.map(Math.abs));
      expect(factors[channel]).toBeCloseTo(largest / 448, 9);
    }
    values.forEach((value, i) => {
      const meant = numbers[i] as number;
      const scale = factors[Math.floor(i / 4) % 3] as number;
      // Half a step of three bits, or of the smallest number.
      expect(Math.abs(value * scale - meant)).toBeLessThanOrEqual(
        Math.max(Math.abs(meant) / 16, scale * 2 ** -10) * 1.0001,
      );
    });
    const zeros = encodeFloat8(floatTensor([2, 2], new Float32Array(4)), byChannel([2, 2], 0));
    expect(Array.from(readFloats(zeros.scales))).toEqual([1, 1]);
  });

  it.each([13, 19, 21])(
    'of opset %i: ONNX Runtime computes with the numbers that were stored',
    async (opset) => {
      const model = { ...network(opset), irVersion: opset > 13 ? 9 : 7 };
      const options = { type: 'float8', conv: true, smallest: 0 };
      const { model: after, notes } = await runPass('quantize-weights', model, { options });
      const [graph] = after.graphs;
      const stored = [...graph.values.values()].filter((value) => value.constant?.dtype === 'float8e4m3fn');
      expect(stored).toHaveLength(4);
      expect(after.irVersion).toBeGreaterThanOrEqual(9);
      expect(notes.join('\n')).toContain('float8e4m3fn');
      const feeds = onnxFeeds(model, 7, 3);
      const [float, now] = [await runOnnx(model, feeds), await runOnnx(after, feeds)];
      expect(sqnrDb(float, now)).toBeGreaterThan(25);
      expect(relativeError(await runOnnx(withDecoded(after), feeds), now)).toBeLessThan(1e-5);
      // No kernel takes float8: every weight is unpacked in front of a float one.
      expect(operatorsOf(await optimizedOnnx(after))).toContain('DequantizeLinear:4');
    },
  );

  it.each([
    [{ bits: '4' }, '8 bits'],
    [{ block: '32' }, '8 bits'],
  ])('are refused with %j', async (more, said) => {
    const options = { type: 'float8', ...more };
    await expect(runPass('quantize-weights', network(21), { options })).rejects.toThrow(said);
  });
});

/** The same with the float32 numbers that the codes stand for. */
function withDecoded(model: OnnxModel): OnnxModel {
  const [graph] = model.graphs;
  const values = new Map(graph.values);
  const replaced = new Map<string, string>();
  for (const node of graph.nodes) {
    if (node.op !== 'DequantizeLinear') continue;
    const [codes, scales] = node.inputs.map((id) => graph.values.get(id ?? '')?.constant);
    if (codes === undefined || scales === undefined) throw new Error('no constants');
    const axis = Number(
      node.attributes.get('axis')?.kind === 'int' && (node.attributes.get('axis') as { value: number }).value,
    );
    const inner = codes.dims.slice(axis + 1).reduce((a, b) => a * b, 1);
    const factors = readFloats(scales);
    const floats = readFloats(codes).map(
      (value, i) => value * (factors[Math.floor(i / inner) % (codes.dims[axis] as number)] as number),
    );
    const id = node.outputs[0] as string;
    const value: Value = { id, name: id, constant: floatTensor(codes.dims, floats) };
    values.set(id, value);
    replaced.set(node.id, id);
  }
  const nodes = graph.nodes.filter((node) => !replaced.has(node.id));
  return { ...model, graphs: [{ ...graph, nodes, values }] };
}
