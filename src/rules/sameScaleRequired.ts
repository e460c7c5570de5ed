import type { Graph, Node } from '../ir/model.ts';
import type { Rule } from './rule.ts';
import { layersWhere } from './places.ts';
import { onLayers } from './support.ts';

const passOn = new Set([
  'AVERAGE_POOL_2D',
  'MAX_POOL_2D',
  'RESHAPE',
  'SQUEEZE',
  'EXPAND_DIMS',
  'TRANSPOSE',
  'PAD',
  'PADV2',
  'MIRROR_PAD',
  'SLICE',
  'STRIDED_SLICE',
  'SPLIT',
  'SPLIT_V',
  'UNPACK',
  'GATHER',
  'GATHER_ND',
  'TILE',
  'RESIZE_BILINEAR',
  'RESIZE_NEAREST_NEIGHBOR',
  'SPACE_TO_DEPTH',
  'DEPTH_TO_SPACE',
  'SPACE_TO_BATCH_ND',
  'BATCH_TO_SPACE_ND',
]);

/** The data operand, where it is not the first. */
const dataInput: Readonly<Record<string, number>> = { SPLIT: 1 };

export const sameScaleRequired: Rule = {
  id: 'same-scale-required',
  severity: 'warning',
  title: 'An operator that moves values changes their scale',
  manual: `Pooling, reshaping, padding and slicing of int8 tensors copy codes and do not convert them, so input and output must have
the same scale and zero point (LiteRT quantization specification). Where they differ, kernels refuse the layer or give results
on the wrong scale.

**Example.** MAX_POOL_2D from scale 0.02 to scale 0.03.

**Remedy.** Quantize the model again with a tool that follows the specification; \`quantize-static\` does.`,
  check({ model }) {
    if (model.dialect !== 'tflite') return [];
    return onLayers(
      sameScaleRequired,
      layersWhere(model, ({ node, graph }) => changesScale(node, graph)),
      (where) => `Input and output must have the same scale here, and do not${where}.`,
    );
  },
};

function changesScale(node: Node, graph: Graph): boolean {
  if (node.domain !== '' || !passOn.has(node.op)) return false;
  const input = encoding(node.inputs[dataInput[node.op] ?? 0], graph);
  if (input === undefined) return false;
  return node.outputs.some((id) => {
    const output = encoding(id, graph);
    if (output === undefined) return false;
    const near = Math.abs(output.scale - input.scale) <= 1e-5 * input.scale;
    return !near || output.zero !== input.zero;
  });
}

/** Scale and zero point of an int8 tensor; older uint8 kernels convert, and int16 has scales of its own. */
function encoding(
  id: string | null | undefined,
  graph: Graph,
): { readonly scale: number; readonly zero: number } | undefined {
  const value = id === null || id === undefined ? undefined : graph.values.get(id);
  if (value?.type?.kind !== 'tensor' || value.type.dtype !== 'int8') return undefined;
  const { scale, zeroPoint } = value.quantization ?? { scale: [], zeroPoint: [] };
  const [only] = scale;
  return only === undefined || scale.length > 1 ? undefined : { scale: only, zero: zeroPoint[0] ?? 0 };
}
