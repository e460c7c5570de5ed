import { describe, expect, it } from 'vitest';
import { analyse } from '../../../../src/analysis/analyse.ts';
import type { OnnxModel } from '../../../../src/ir/model.ts';
import type { Shape } from '../../../../src/ir/types.ts';
import { operatorOf } from '../../../../src/ops/registry.ts';
import type { OperatorCase } from './build.ts';
import { operatorModel } from './build.ts';
import { cases } from './cases.ts';
import { observe } from './runtime.ts';

interface Inferred {
  readonly dtype?: string;
  readonly dims?: Shape | undefined;
}

function infer(model: OnnxModel, bind: Record<string, number> = {}): Record<string, Inferred> {
  const types = analyse(model, { bind }).types.get(model.graphs[0]);
  return Object.fromEntries(
    model.graphs[0].outputs.map((id) => {
      const type = types?.get(id);
      return [id, type?.kind === 'tensor' ? { dtype: type.dtype, dims: type.shape } : {}];
    }),
  );
}

function title(each: OperatorCase): string {
  const inputs = each.inputs.map((operand) => {
    if (operand === null) return '-';
    return 'constant' in operand ? `[${operand.constant.dims}]c` : `[${operand.dims}]`;
  });
  return `${each.op}-${each.opset ?? 17} ${JSON.stringify(each.attributes ?? {})} ${inputs.join(' ')}`;
}

describe('inferred types equal what ONNX Runtime computes', () => {
  for (const each of cases) {
    it(title(each), async () => {
      const model = operatorModel(each);
      expect(infer(model)).toEqual(Object.fromEntries(await observe(model)));
    });
  }
});

/** Everything `weak` claims must also be claimed by `strong`, which was inferred from more. */
function expectImplied(weak: Record<string, Inferred>, strong: Record<string, Inferred>): void {
  for (const [id, { dtype, dims }] of Object.entries(weak)) {
    if (dtype !== undefined) expect(dtype).toBe(strong[id]?.dtype);
    if (dims === undefined) continue;
    expect(dims).toHaveLength(strong[id]?.dims?.length ?? -1);
    dims.forEach((dim, axis) => {
      if (typeof dim === 'number') expect(dim).toBe(strong[id]?.dims?.[axis]);
    });
  }
}

describe('knowing less never leads to another answer', () => {
  for (const each of cases) {
    it(`operands fed at run time: ${title(each)}`, () => {
      const inputs = each.inputs.map((operand) => {
        if (operand === null || !('constant' in operand)) return operand;
        return { feed: operand.constant.dtype, dims: operand.constant.dims };
      });
      expectImplied(infer(operatorModel({ ...each, inputs })), infer(operatorModel(each)));
    });
    it(`symbolic sizes: ${title(each)}`, () => {
      const bind: Record<string, number> = {};
      const inputs = each.inputs.map((operand, index) => {
        if (operand === null || 'constant' in operand) return operand;
        const shape = operand.dims.map((dim, axis) => {
          if (axis === 0) return dim;
          bind[`d${index}_${axis}`] = dim;
          return `d${index}_${axis}`;
        });
        return { ...operand, shape };
      });
      const model = operatorModel({ ...each, inputs });
      expect(infer(model, bind)).toEqual(infer(operatorModel(each)));
      expectImplied(infer(model), infer(operatorModel(each)));
    });
  }
});

it('every operator of the table is described', () => {
  for (const each of cases) {
    const model = operatorModel(each);
    expect(operatorOf(model, model.graphs[0].nodes[0] as never)?.name).toBe(each.op);
  }
});
