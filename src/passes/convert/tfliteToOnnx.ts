import { stringAttribute } from '../../ir/attribute.ts';
import type { DType } from '../../ir/dtype.ts';
import { KerfError } from '../../ir/errors.ts';
import type { Graph, OnnxModel, Quantization, TfliteModel, Value, ValueId } from '../../ir/model.ts';
import { feedsOf } from '../../ir/model.ts';
import { isStatic } from '../../ir/types.ts';
import { OnnxBuilder } from './onnxBuilder.ts';
import { TfliteEmission } from './tfliteEmission.ts';
import { clip, tfliteRules } from './tfliteRules.ts';

/** TFLite operators that the converter covers. */
export const convertibleToOnnx: readonly string[] = Object.keys(tfliteRules);

const integerRange: Partial<Record<DType, readonly [number, number]>> = {
  int8: [-128, 127],
  uint8: [0, 255],
  int16: [-32768, 32767],
};

/**
 * A TFLite model as ONNX. Axis order, names, and integer inputs and outputs stay; a quantized tensor becomes a
 * QuantizeLinear / DequantizeLinear pair. Throws `KerfError('unsupported')` naming the layer and the reason.
 */
export function tfliteToOnnx(model: TfliteModel): { model: OnnxModel; notes: readonly string[] } {
  const graph = model.graphs[0];
  refuseUncovered(model, graph);
  const builder = new OnnxBuilder();
  const placed = new Map<ValueId, ValueId>();
  for (const id of [...graph.inputs, ...graph.outputs]) builder.reserve(id);
  const inputs = feedsOf(graph).map((value) => {
    const { dtype, shape } = declared(value);
    const input = builder.declare(value.id, dtype, shape);
    const quantization = quantizationOf(value);
    placed.set(
      value.id,
      quantization === undefined ? input : builder.dequantize(input, value.id, dtype, quantization),
    );
    return input;
  });
  const stored = new Map<ValueId, ValueId>();
  for (const node of graph.nodes) {
    const emission = new TfliteEmission(node, builder, graph, placed);
    const made = (tfliteRules[node.op] as (typeof tfliteRules)[string])(emission);
    finishValue(emission, made, placed, stored);
  }
  const outputs = graph.outputs.map((id) => {
    const { dtype, shape } = declared(graph.values.get(id) as Value);
    const value = stored.get(id) ?? placed.get(id);
    if (value === undefined) throw new KerfError('unsupported', `output '${id}' is not computed`);
    return builder.output(value, id, dtype, shape);
  });
  return { model: builder.finish(graph.name || 'main', inputs, outputs), notes: [] };
}

/** Fused activation, then the tensor's own quantization. */
function finishValue(
  emission: TfliteEmission,
  made: ValueId,
  placed: Map<ValueId, ValueId>,
  stored: Map<ValueId, ValueId>,
): void {
  const output = emission.output();
  const quantization = quantizationOf(output);
  const { dtype } = declared(output);
  const activated = activate(emission, made, dtype, quantization);
  if (quantization === undefined) {
    placed.set(output.id, activated);
    return;
  }
  const integers = emission.builder.quantize(activated, output.id, dtype, quantization);
  stored.set(output.id, integers);
  placed.set(output.id, emission.builder.dequantize(integers, output.id, dtype, quantization));
}

/** A bound that the output's integer range already enforces needs no operator. */
function activate(
  emission: TfliteEmission,
  value: ValueId,
  dtype: DType,
  quantization: Quantization | undefined,
): ValueId {
  const kind = stringAttribute(emission.node, 'fused_activation_function', 'NONE');
  if (kind === 'NONE') return value;
  const [low, high] = realRange(dtype, quantization);
  if (kind === 'RELU')
    return low >= 0 ? value : emission.builder.emit('Relu', [value], `${emission.name}_relu`);
  if (kind === 'RELU6') {
    if (low >= 0 && high <= 6 + 1e-5) return value;
    return clip(emission, value, 0, 6);
  }
  if (kind === 'RELU_N1_TO_1') return clip(emission, value, -1, 1);
  if (kind === 'TANH') return emission.builder.emit('Tanh', [value], `${emission.name}_tanh`);
  return emission.refuse(`fused activation ${kind} is not covered`);
}

function realRange(dtype: DType, quantization: Quantization | undefined): readonly [number, number] {
  const range = integerRange[dtype];
  if (quantization === undefined || range === undefined) return [-Infinity, Infinity];
  const scale = quantization.scale[0] as number;
  const zero = quantization.zeroPoint[0] ?? 0;
  return [(range[0] - zero) * scale, (range[1] - zero) * scale];
}

function quantizationOf(value: Value): Quantization | undefined {
  const { quantization } = value;
  if (quantization === undefined || quantization.scale.length === 0) return undefined;
  return value.type?.kind === 'tensor' && integerRange[value.type.dtype] !== undefined
    ? quantization
    : undefined;
}

function declared(value: Value): { dtype: DType; shape: readonly number[] } {
  const shape = value.type?.kind === 'tensor' ? value.type.shape : undefined;
  if (value.type?.kind !== 'tensor' || !isStatic(shape)) {
    throw new KerfError('unsupported', 'its shape is not static', { place: `value '${value.id}'` });
  }
  return { dtype: value.type.dtype, shape };
}

function refuseUncovered(model: TfliteModel, graph: Graph): void {
  const uncovered = new Set(
    graph.nodes.filter((node) => tfliteRules[node.op] === undefined).map((node) => node.op),
  );
  if (uncovered.size > 0) {
    throw new KerfError(
      'unsupported',
      `not covered yet by the conversion to ONNX: ${[...uncovered].sort().join(', ')}`,
    );
  }
  if (model.graphs.length > 1)
    throw new KerfError(
      'unsupported',
      'models with several subgraphs are not covered yet by the conversion to ONNX',
    );
}
