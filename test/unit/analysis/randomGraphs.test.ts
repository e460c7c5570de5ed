import { describe, expect, it } from 'vitest';
import { analyse } from '../../../src/analysis/analyse.ts';
import type { OnnxModel } from '../../../src/ir/model.ts';
import type { ValueType } from '../../../src/ir/types.ts';
import { describeType } from '../../../src/ir/types.ts';
import { isImplied } from '../ops/onnx/backend/judge.ts';
import { observe } from '../ops/onnx/runtime.ts';
import { randomGraph } from './randomGraph.ts';

function typesOf(
  model: OnnxModel,
  bind: Readonly<Record<string, number>> = {},
): ReadonlyMap<string, ValueType> {
  return analyse(model, { bind }).types.get(model.graphs[0]) ?? new Map();
}

describe('random graphs', () => {
  for (let seed = 1; seed <= 80; seed += 1) {
    it(`seed ${seed}: every value has the type it has in a run`, async () => {
      const { fixed, symbolic, bind } = randomGraph(seed, 40);
      const inferred = typesOf(fixed);
      const bound = typesOf(symbolic, bind);
      const free = typesOf(symbolic);
      const observed = await observe(fixed);
      expect(observed.size).toBe(fixed.graphs[0].outputs.length);
      for (const [id, { dtype, dims }] of observed) {
        const truth: ValueType = { kind: 'tensor', dtype: dtype as 'float32', shape: dims };
        expect(`${id} ${describeType(inferred.get(id))}`).toBe(`${id} ${describeType(truth)}`);
        expect(`${id} ${describeType(bound.get(id))}`).toBe(`${id} ${describeType(truth)}`);
        const less = free.get(id);
        if (less !== undefined) expect(isImplied(less, truth), `${id} ${describeType(less)}`).toBe(true);
      }
      for (const layer of analyse(symbolic).layers) {
        const unknown = layer.outputShapes.some((shape) => /[a-z?]/.test(shape) && shape !== 'scalar');
        if (unknown && layer.op !== 'Shape') expect(layer.activationBytes).toBeUndefined();
      }
    });
  }
});
