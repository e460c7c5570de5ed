import type { Graph, TfliteModel, Value, ValueId } from '../../../ir/model.ts';
import { floatTensor, intTensor, readFloats, readIntegers } from '../../../ir/numbers.ts';
import type { Tensor } from '../../../ir/tensor.ts';
import { tensorType } from '../../../ir/types.ts';
import { readableConstant } from '../../support/constants.ts';

/**
 * The model with constants as the rules know them: codes with a scale per block as the floats that they stand for, codes of
 * two bits in four.
 */
export function withKnownConstants(model: TfliteModel): TfliteModel {
  const [main, ...others] = model.graphs.map(graphWithKnownConstants) as [Graph, ...Graph[]];
  return { ...model, graphs: [main, ...others] };
}

function graphWithKnownConstants(graph: Graph): Graph {
  const changed = new Map<ValueId, Value>();
  for (const [id, value] of graph.values) {
    const constant = value.quantization === undefined ? undefined : readableConstant(graph, id);
    if (constant === undefined) continue;
    const floats = value.quantization?.tensors === undefined ? undefined : unblocked(graph, value, constant);
    if (floats !== undefined) {
      const { quantization: _, ...rest } = value;
      changed.set(id, { ...rest, type: tensorType('float32', constant.dims), constant: floats });
    } else if (constant.dtype === 'int2') {
      const codes = intTensor('int4', constant.dims, readIntegers(constant));
      changed.set(id, { ...value, type: tensorType('int4', constant.dims), constant: codes });
    }
  }
  return changed.size === 0 ? graph : { ...graph, values: new Map([...graph.values, ...changed]) };
}

/** Scales are `[rows, blocks]`: every row has blocks of one length. */
function unblocked(graph: Graph, { quantization }: Value, constant: Tensor): Tensor | undefined {
  const scales = readableConstant(graph, quantization?.tensors?.[0]);
  if (scales === undefined) return undefined;
  const factors = readFloats(scales);
  const codes = readIntegers(constant);
  const size = codes.length / factors.length;
  const floats = Float32Array.from(codes, (code, i) => code * (factors[Math.floor(i / size)] as number));
  return floatTensor(constant.dims, floats);
}
