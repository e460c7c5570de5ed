import { memoryBytes } from '../../ir/bytes.ts';
import type { Node, ValueId } from '../../ir/model.ts';
import { attr } from '../../ir/attribute.ts';
import { floatTensor, intTensor, readFloats } from '../../ir/numbers.ts';
import type { Tensor } from '../../ir/tensor.ts';
import type { WeightRole } from '../../ops/operator.ts';
import { eagerBytes, madeBytes, readableConstant } from '../support/constants.ts';
import type { Encoding } from '../support/quantization.ts';
import { quantizeBias, quantizeWeight, smallestScales } from '../support/quantization.ts';
import type { Emitter, StoredWeight } from './emitter.ts';
import { qdq } from './emitter.ts';
import { foldedFilters, repeated } from './foldEmit.ts';
import type { NodePlan } from './onnxPlan.ts';

/** Replaces weight and bias among `inputs` by dequantized constants; gives the nodes that do it. */
export function weightNodes(
  emitter: Emitter,
  plan: NodePlan,
  role: WeightRole,
  inputs: (ValueId | null)[],
): readonly Node[] {
  const { node } = plan;
  const { editor, graph, encodings } = emitter;
  const id = node.inputs[role.input] as ValueId;
  const activation = node.inputs[role.activation] as ValueId;
  const root = emitter.plan.values.get(activation)?.root ?? activation;
  const inputScale = (encodings.get(root) as Encoding).scale;
  const biasId = role.bias === undefined ? null : (node.inputs[role.bias] ?? null);
  const own = biasId === null ? undefined : readFloats(readableConstant(graph, biasId) as Tensor);
  const bias = own && repeated(own, plan.folding?.results ?? 1);
  const stored = storeWeight(emitter, plan, role, own && smallestScales(own, inputScale));
  const result = editor.freshValue(`${id}_dq`);
  const axis = stored.scales.length > 1 ? new Map([['axis', attr.int(role.outputAxis)]]) : undefined;
  const nodes = [qdq(editor, 'DequantizeLinear', stored.ids, result, id, axis)];
  inputs[role.input] = result;
  if (bias === undefined || biasId === null || role.bias === undefined) return nodes;
  const quantized = quantizeBias(bias, inputScale, stored.scales);
  const perChannel = quantized.scales.length > 1;
  const codes = editor.addConstant(`${biasId}_int32`, quantized.tensor);
  const scale = editor.addConstant(
    `${biasId}_scale`,
    floatTensor(perChannel ? [quantized.scales.length] : [], quantized.scales),
  );
  const output = editor.freshValue(`${biasId}_dq`);
  const along = perChannel ? new Map([['axis', attr.int(0)]]) : undefined;
  nodes.push(qdq(editor, 'DequantizeLinear', [codes, scale], output, biasId, along));
  inputs[role.bias] = output;
  return nodes;
}

/** A weight read by several layers is stored once, unless a bias needs larger scales than its codes have. */
function storeWeight(
  emitter: Emitter,
  { node, onCodes, folding, weightZero = 0 }: NodePlan,
  role: WeightRole,
  atLeast: Float64Array | undefined,
): StoredWeight {
  const { editor, graph, weights, rules } = emitter;
  const id = node.inputs[role.input] as ValueId;
  const perChannel = emitter.perChannel && rules.weights.perChannel.includes(node.op);
  const largest = 2 ** ((rules.weights.bits ?? 8) - 1) - 1;
  const channels = onCodes?.op === 'Pad' ? onCodes.to : undefined;
  const key = `${id}|${perChannel ? role.outputAxis : ''}|${channels}|${weightZero}|${JSON.stringify(folding)}`;
  const known = weights.get(key);
  if (known !== undefined && !(atLeast?.some((least, c) => least > scaleOf(known, c)) ?? false)) return known;
  const own = readableConstant(graph, id) as Tensor;
  const tensor = channels === undefined ? own : withChannels(own, channels);
  const floor = perChannel || atLeast === undefined ? atLeast : [Math.max(...atLeast)];
  const plain = quantizeWeight(
    tensor,
    perChannel ? role.outputAxis : undefined,
    floor,
    largest,
    emitter.scales.get(node.id),
  );
  const codes = folding === undefined ? plain.tensor : foldedFilters(plain.tensor, folding);
  const scales = repeated(plain.scales, folding?.results ?? 1);
  const dims = perChannel ? [scales.length] : [];
  const zeros = Array.from({ length: scales.length }, () => weightZero);
  const stored: StoredWeight = {
    ids: [
      editor.addConstant(`${id}_int8`, weightZero === 0 ? codes : shifted(codes, weightZero)),
      editor.addConstant(`${id}_scale`, floatTensor(dims, scales)),
      editor.addConstant(`${id}_zero`, intTensor('int8', dims, zeros)),
    ],
    scales,
  };
  weights.set(key, stored);
  return stored;
}

/** Codes of int8 moved by a zero point; symmetric ones leave the lowest code free for it. */
function shifted({ dtype, dims, data }: Tensor, by: number): Tensor {
  const moved = () => data.read().map((code) => code + by);
  return {
    dtype,
    dims,
    data: data.length > eagerBytes ? madeBytes(data.length, moved) : memoryBytes(moved()),
  };
}

/** A convolution's weight with zeros for further input channels. */
function withChannels(tensor: Tensor, channels: number): Tensor {
  const [outputs = 0, inputs = 0, ...window] = tensor.dims;
  const size = window.reduce((product, dim) => product * dim, 1);
  const values = readFloats(tensor);
  const padded = new Float32Array(outputs * channels * size);
  for (let o = 0; o < outputs; o += 1) {
    padded.set(values.subarray(o * inputs * size, (o + 1) * inputs * size), o * channels * size);
  }
  return floatTensor([outputs, channels, ...window], padded);
}

function scaleOf({ scales }: StoredWeight, channel: number): number {
  return scales[scales.length === 1 ? 0 : channel] as number;
}
