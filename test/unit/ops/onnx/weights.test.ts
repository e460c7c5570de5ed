import { describe, expect, it } from 'vitest';
import { numberTensor } from '../../../../src/ir/numbers.ts';
import { operatorOf } from '../../../../src/ops/registry.ts';
import type { OperatorCase } from './build.ts';
import { constant, f32, filled, graph, node, onnxModel, operatorModel, value } from './build.ts';

function rolesOf(each: OperatorCase) {
  const model = operatorModel(each);
  const [only] = model.graphs[0].nodes;
  return only === undefined ? [] : (operatorOf(model, only)?.weights?.(only, model) ?? []);
}

describe('weight roles', () => {
  const conv = (group: number, ...dims: number[]) =>
    rolesOf({ op: 'Conv', inputs: [f32(1, 4, 8, 8), filled('float32', dims)], attributes: { group } })[0];

  it('tell depthwise from grouped and plain convolutions', () => {
    expect(conv(1, 8, 4, 3, 3)).toMatchObject({ kind: 'conv', outputAxis: 0, inputAxis: 1, bias: 2 });
    expect(conv(2, 8, 2, 3, 3)).toMatchObject({ kind: 'conv', outputAxis: 0, inputAxis: 1 });
    expect(conv(4, 8, 1, 3, 3)).toEqual({
      input: 1,
      kind: 'depthwise',
      outputAxis: 0,
      bias: 2,
      activation: 0,
    });
  });

  it('see a depthwise weight behind its dequantization', () => {
    const dequantize = node('DequantizeLinear', ['q', 's'], ['w']);
    const depthwise = node('Conv', ['x', 'w'], ['y'], { group: 4 });
    const model = onnxModel(
      graph('g', {
        inputs: [value('x', 'float32', [1, 4, 8, 8])],
        outputs: ['y'],
        nodes: [dequantize, depthwise],
        values: [
          constant('q', numberTensor('int8', [4, 1, 3, 3], Array(36).fill(1))),
          constant('s', numberTensor('float32', [], [1])),
        ],
      }),
    );
    expect(operatorOf(model, depthwise)?.weights?.(depthwise, model)[0]?.kind).toBe('depthwise');
  });

  it('follow the orientation of matrices', () => {
    const gemm = (transB: number) =>
      rolesOf({ op: 'Gemm', inputs: [f32(2, 4), filled('float32', [4, 4])], attributes: { transB } })[0];
    expect(gemm(0)).toMatchObject({ outputAxis: 1, inputAxis: 0 });
    expect(gemm(1)).toMatchObject({ outputAxis: 0, inputAxis: 1 });
    const matmul = (...dims: number[]) =>
      rolesOf({ op: 'MatMul', inputs: [f32(3, 2, 4), filled('float32', dims)] });
    expect(matmul(4, 5)[0]).toMatchObject({ outputAxis: 1, inputAxis: 0 });
    expect(matmul(3, 4, 5)[0]).toMatchObject({ outputAxis: 2, inputAxis: 1 });
    expect(matmul(4)).toEqual([]);
  });

  it('of transposed convolutions have the input channels first', () => {
    const roles = rolesOf({
      op: 'ConvTranspose',
      inputs: [f32(1, 4, 5, 5), filled('float32', [4, 2, 3, 3])],
    });
    expect(roles[0]).toMatchObject({ kind: 'conv-transpose', outputAxis: 1, inputAxis: 0 });
  });
});
