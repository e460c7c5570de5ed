import type { DType } from '../ir/dtype.ts';
import { isFloat } from '../ir/dtype.ts';
import type { Graph, Node, NodeId, Value } from '../ir/model.ts';
import { readFloats } from '../ir/numbers.ts';
import { graphsOf, indexOf } from '../ir/walk.ts';
import { readableConstant } from '../passes/support/constants.ts';
import type { Finding, Rule } from './rule.ts';
import { placesOf } from './places.ts';
import { onLayers, onModel } from './support.ts';

const limits: Partial<Record<DType, readonly [number, number]>> = {
  int4: [-8, 7],
  uint4: [0, 15],
  int8: [-128, 127],
  uint8: [0, 255],
  int16: [-32768, 32767],
  uint16: [0, 65535],
};

export const invalidQuantization: Rule = {
  id: 'invalid-quantization',
  severity: 'error',
  title: 'A scale or zero point that cannot be',
  manual: `A scale is zero, negative or not a number; a zero point is outside of the type it belongs to; or there are more scales than
channels. Runtimes refuse such a tensor or compute garbage with it.

**Example.** An int8 tensor with zero point 128, copied from its uint8 twin.

**Remedy.** Quantize the model again. A wrong zero point after a conversion from uint8 to int8 is the old one minus 128.`,
  check({ model }) {
    return model.dialect === 'tflite' ? [...graphsOf(model)].flatMap(tfliteFindings) : onnxFindings(model);
  },
};

function tfliteFindings(graph: Graph): readonly Finding[] {
  const { producer, uses } = indexOf(graph);
  return [...graph.values.values()].flatMap((value) => {
    const problem = tfliteProblem(value);
    if (problem === undefined) return [];
    const layer = producer.get(value.id)?.id ?? uses.get(value.id)?.[0]?.node.id;
    const message = `“${value.name}”: ${problem}.`;
    if (layer === undefined) return onModel(invalidQuantization, message);
    return [
      { rule: invalidQuantization.id, severity: invalidQuantization.severity, layer, message, fixes: [] },
    ];
  });
}

function tfliteProblem({ quantization, type, constant }: Value): string | undefined {
  if (quantization === undefined || quantization.scale.length === 0 || quantization.details !== undefined)
    return undefined;
  const dtype = constant?.dtype ?? (type?.kind === 'tensor' ? type.dtype : undefined);
  // Float tensors may carry what training left behind; no kernel looks at it.
  if (dtype === undefined || isFloat(dtype)) return undefined;
  const { scale, zeroPoint, axis } = quantization;
  const dims = constant?.dims;
  if (dims !== undefined && scale.length > 1 && dims[axis] !== undefined && dims[axis] !== scale.length)
    return `${scale.length} scales for ${String(dims[axis])} channels along axis ${axis}`;
  return scaleProblem(scale) ?? zeroProblem(zeroPoint, dtype);
}

function scaleProblem(scale: ArrayLike<number>): string | undefined {
  const bad = Array.from(scale).find((each) => !(each > 0) || each === Infinity);
  return bad === undefined ? undefined : `a scale is ${bad}`;
}

function zeroProblem(zeros: readonly number[], dtype: DType): string | undefined {
  const range = limits[dtype];
  const bad = range && zeros.find((zero) => zero < range[0] || zero > range[1]);
  return bad === undefined ? undefined : `zero point ${bad} is outside of ${dtype}`;
}

/** Inputs that hold scales, by operator. */
const scaleInputs: Readonly<Record<string, readonly number[]>> = {
  QuantizeLinear: [1],
  DequantizeLinear: [1],
  QLinearConv: [1, 4, 6],
  QLinearMatMul: [1, 4, 6],
};

function onnxFindings(model: Parameters<typeof placesOf>[0]): readonly Finding[] {
  const byProblem = new Map<string, NodeId[]>();
  for (const { node, graph } of placesOf(model)) {
    const problem = onnxProblem(node, graph);
    if (problem !== undefined) byProblem.set(problem, [...(byProblem.get(problem) ?? []), node.id]);
  }
  return [...byProblem].flatMap(([problem, layers]) =>
    onLayers(invalidQuantization, layers, (where) => `The quantization cannot be right: ${problem}${where}.`),
  );
}

function onnxProblem({ op, inputs, domain }: Node, graph: Graph): string | undefined {
  if (domain !== '' && domain !== 'ai.onnx') return undefined;
  for (const index of scaleInputs[op] ?? []) {
    const scale = readableConstant(graph, inputs[index]);
    const problem = scale && isFloat(scale.dtype) ? scaleProblem(readFloats(scale)) : undefined;
    if (problem !== undefined) return problem;
  }
  return undefined;
}
