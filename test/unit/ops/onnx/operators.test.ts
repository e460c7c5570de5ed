import { describe, expect, it } from 'vitest';
import { analyse } from '../../../../src/analysis/analyse.ts';
import { operatorModel } from './build.ts';
import { cases } from './cases.ts';
import { observe } from './runtime.ts';

describe('inferred types equal what ONNX Runtime computes', () => {
  for (const each of cases) {
    const title = `${each.op}-${each.opset ?? 17} ${JSON.stringify(each.attributes ?? {})} ${each.inputs
      .map((operand) =>
        operand === null ? '-' : 'constant' in operand ? `[${operand.constant.dims}]c` : `[${operand.dims}]`,
      )
      .join(' ')}`;
    it(title, async () => {
      const model = operatorModel(each);
      const types = analyse(model).types.get(model.graphs[0]);
      const inferred = Object.fromEntries(
        model.graphs[0].outputs.map((id) => {
          const type = types?.get(id);
          return [id, type?.kind === 'tensor' ? { dtype: type.dtype, dims: type.shape } : type];
        }),
      );
      expect(inferred).toEqual(Object.fromEntries(await observe(model)));
    });
  }
});
